"""What is to be sent, and when: real events, and malformed records in addition to them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Final, NamedTuple

from features.flights.data.malformed import KINDS, malformed
from features.flights.data.year import DECEMBER, records

__all__ = ["Planned", "plan", "speed_for", "strewn"]

_SEED: Final = 2013
_PRODUCING_SECONDS: Final = 42.0
"""How long the default number of events takes."""
_DEFAULT_EVENTS: Final = 20_000
_MOST_EVENTS_A_SECOND: Final = 4_000.0


class Planned(NamedTuple):
    """A record to be sent."""

    topic: str
    key: bytes | None
    value: bytes | None
    known_at: float
    """When it is sent on the accelerated clock: seconds since the epoch."""
    reason: str | None = None
    """Why it must be refused; None for a valid event."""


def plan(events: int, malformed_share: float) -> list[Planned]:
    """Return the first `events` of December 2013, with `malformed_share` as many malformed ones."""
    valid = [Planned(r.topic, r.key, r.value, r.known_at) for r in records(DECEMBER, events)]
    return list(strewn(valid, round(len(valid) * malformed_share)))


def speed_for(planned: Sequence[Planned]) -> float:
    """Return how fast the clock must run so that the default number of events takes 42 s.

    Fewer events take less time at that pace; more take the same time, up to 4,000 events a second.
    """
    events = len(planned)
    seconds = max(
        min(1.0, events / _DEFAULT_EVENTS) * _PRODUCING_SECONDS, events / _MOST_EVENTS_A_SECOND
    )
    return max(1.0, planned[-1].known_at - planned[0].known_at) / seconds if planned else 1.0


def strewn(valid: Sequence[Planned], count: int) -> Iterator[Planned]:
    """Strew `count` malformed records over the valid ones, at random and always the same way.

    They take the place of none. Keys are spoiled as well.
    """
    choose = random.Random(_SEED)
    places = Counter(choose.randrange(len(valid)) for _ in range(count))
    kinds = cycle(KINDS)
    for number, planned in enumerate(valid):
        yield planned
        for _ in range(places[number]):
            value, reason = malformed(choose, planned.value or b"", next(kinds))
            key = choose.choice((planned.key, planned.key, None, b"", b"\xff\xfe"))
            yield Planned(planned.topic, key, value, planned.known_at, reason)
