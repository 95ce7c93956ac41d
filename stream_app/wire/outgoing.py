"""What goes out for a batch: what each emitter makes of its items.

Bytes are made once, when the batch is computed; a batch tried again publishes the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stream_app.records.batch import Batch, Outgoing
from stream_app.records.item import Item

__all__ = ["Emitter", "OutgoingRecords"]


class Emitter(Protocol):
    """Writes records to one topic. A further topic out is an emitter more."""

    topic: str
    kind: str
    """What it writes, as `Outgoing.kind` has it."""

    def __call__(self, item: Item) -> Outgoing | None:
        """What goes to the topic for an item that was answered or has failed; None: nothing.

        It may note a failure in the item; emitters after it find that.
        """


class OutgoingRecords:
    """Fills in what goes out for a batch."""

    def __init__(self, emitters: Sequence[Emitter]) -> None:
        """`emitters` in the order of what they make of one item; see `make_emitters`."""
        self._emitters = emitters

    def __call__(self, batch: Batch) -> None:
        """Fill `batch.outgoing`, in the order of the batch."""
        outgoing, emitters = batch.outgoing, self._emitters
        for item in batch.items:
            if item.served is None and item.failure is None:
                continue  # it only updates the state
            for emit in emitters:
                record = emit(item)
                if record is not None:
                    outgoing.append(record)
