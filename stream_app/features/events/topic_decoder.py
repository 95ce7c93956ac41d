"""The decoder of a topic, from what its use case declares."""

from __future__ import annotations

from typing import Any

from stream_app.features.events.decoder import EventDecoder, OwnDecoder, TombstoneDecoder
from stream_app.features.events.event import Event
from stream_app.features.events.json_decoder import JsonDecoder, is_contract

__all__ = ["decoder_of"]


def decoder_of(contract: Any, tombstones: type[Event] | None = None) -> EventDecoder:
    """The decoder of an event type or union (its values are JSON), or of an author's own function.

    `tombstones`: the event that a record without a value is. Raises `TypeError`.
    """
    if isinstance(contract, EventDecoder):
        decoder = contract
    elif is_contract(contract):
        decoder = JsonDecoder(contract)
    elif callable(contract) and not isinstance(contract, type):
        decoder = OwnDecoder(contract)
    else:
        raise TypeError(
            f"{contract!r} decodes no records: give a class derived from stream_app.Event, a union of such "
            "classes, a decoder, or a function that is given the record and returns the event"
        )
    return decoder if tombstones is None else TombstoneDecoder(decoder, tombstones)
