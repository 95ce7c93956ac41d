"""The record that a replay of a letter sends, and the mark that goes with it."""

from __future__ import annotations

import time
from typing import NamedTuple

from stream_app.dead_letters.letter import Letter
from stream_app.dead_letters.resolutions import Resolution
from stream_app.records.headers import Headers
from stream_app.records.places import PartitionId
from stream_app.wire.dead_letter import ATTEMPTS
from stream_app.wire.replays import Replay, Replays

__all__ = ["OutgoingReplay", "outgoing_replay", "resolution"]


class OutgoingReplay(NamedTuple):
    """A record to send again."""

    letter: Letter
    target: PartitionId
    key: bytes | None
    value: bytes | None
    headers: Headers


def outgoing_replay(
    letter: Letter, target: PartitionId, value: bytes | None, replays: Replays
) -> OutgoingReplay:
    """The replay of a letter with this value, which may be a mended one.

    Key and headers are those that the event came with; its first origin and whether that one
    updated the state are told beside them, and how often the event has failed.
    """
    headers = [
        *letter.came_with,
        (ATTEMPTS, str(letter.said.attempts).encode()),
        *replays.headers(Replay(letter.first_origin, letter.is_applied), letter.key, value),
    ]
    return OutgoingReplay(letter, target, letter.key, value, headers)


def resolution(
    letter: Letter, *, by: str, note: str, replayed_to: PartitionId | None = None
) -> Resolution:
    """The mark of a letter that is replayed, or dealt with otherwise."""
    return Resolution(
        action="resolved" if replayed_to is None else "replayed",
        # The mark of one that names no record names the letter alone.
        origin=str(letter.origin if letter.is_identified else letter.id),
        first_origin=str(letter.first_origin if letter.is_identified else letter.id),
        topic=replayed_to and replayed_to.topic,
        partition=None if replayed_to is None else replayed_to.number,
        state=letter.said.state if letter.said.state in ("applied", "not-applied") else "",
        attempt=letter.said.attempts,
        at=round(time.time(), 3),
        by=by,
        note=note,
    )
