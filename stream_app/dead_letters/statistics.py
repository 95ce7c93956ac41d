"""Letters counted: by topic, stage, reason, disposition, hour and producer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from stream_app.dead_letters.letter import Letter
from stream_app.text.foreign import bounded
from stream_app.wire.headers import by_name

__all__ = ["PRODUCER_HEADERS", "Statistics", "statistics"]

#: Headers in which producers say who they are; the first that is there counts.
PRODUCER_HEADERS: Final = ("producer", "producer-version", "ce_source")

#: What letters are counted by, to how many there are of each.
Statistics = dict[str, Counter[str]]

_MOST: Final = 1_000
"""So many values of one kind are told apart; producers may write what they like."""


def statistics(letters: Iterable[Letter]) -> Statistics:
    """Count letters; values beyond the first thousand of a kind count as "others"."""
    names = ("topic", "stage", "reason", "disposition", "hour", "producer")
    found: Statistics = {name: Counter() for name in names}
    for letter in letters:
        said = letter.said
        values = (said.topic, said.stage, said.reason, said.disposition, _hour(letter), _by(letter))
        for counter, value in zip(found.values(), values, strict=True):
            known = value in counter or len(counter) < _MOST
            counter[value if known else "others"] += 1
    return found


def _hour(letter: Letter) -> str:
    try:
        return datetime.fromtimestamp(letter.written_at, UTC).strftime("%Y-%m-%dT%H:00Z")
    except (ValueError, OverflowError, OSError):
        return "no time"


def _by(letter: Letter) -> str:
    if letter.said.producer:
        return letter.said.producer
    named = by_name(letter.came_with)
    for name in PRODUCER_HEADERS:
        value = named.get(name)
        if value:
            return bounded(value)
    return "(not said)"
