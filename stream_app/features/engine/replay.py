"""The offline execution of a feature set: an event log in, feature rows out.

The training matrix comes from this replay alone, through the same engine that serves, so that a
feature cannot be computed one way in training and another way in serving.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from stream_app.features.engine.arrival import Arrival
from stream_app.features.engine.engine import FeatureEngine, Tables
from stream_app.features.events import Event
from stream_app.features.views import FeatureSet

__all__ = ["LoggedEvent", "Replay", "Row", "in_sequence", "replay"]


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event of the log, with the place it came from.

    The log is in the order of `stream_app.features.engine.order`, that is by the time its events became known.
    """

    event: Event
    rank: int = 0
    """Place of its partition, see `stream_app.features.engine.order.rank`; it stands for the source as well."""
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """The features of one trigger, as they were when it became known."""

    event: Event
    values: list[Any]
    """In the order of `FeatureSet.columns`; NaN, or "" for text, where nothing was known."""
    freshness_seconds: float | None
    """Event time minus the newest event time in the states read; None where there were none."""


class Replay:
    """Replays a log block by block and keeps the states it arrives at."""

    def __init__(self, features: FeatureSet) -> None:
        self._engine = FeatureEngine(features)
        self.tables: Tables = self._engine.tables()
        """The states after what was replayed so far."""

    def __call__(self, log: Iterable[LoggedEvent], block: int = 2048) -> Iterator[Row]:
        """Yield the row of each trigger, in the order of the log.

        `block` events are evaluated at a time; it changes speed, never a value. Raises
        `FeatureError`, which names the function of the declaration that raised; what it raised is
        its cause.
        """
        events = iter(log)
        while logged := list(islice(events, block)):
            arrivals = [Arrival(e.event, e.rank, e.rank, e.offset) for e in logged]
            self._engine.gather(arrivals)
            _raise_first_error(arrivals)
            try:
                self._engine.advance(arrivals, self.tables)
            except Exception as error:
                failure = self._engine.failure(error)
                if failure is None:
                    raise
                raise failure from error
            _raise_first_error(arrivals)
            for arrival in arrivals:
                if arrival.row is not None:
                    event = arrival.event
                    known = arrival.newest > -math.inf
                    freshness = event.event_time - arrival.newest if known else None
                    yield Row(event, arrival.row, freshness)


def _raise_first_error(arrivals: Iterable[Arrival]) -> None:
    for arrival in arrivals:
        if arrival.error is not None:
            raise arrival.error


def replay(features: FeatureSet, events: Iterable[Event]) -> Iterator[Row]:
    """Replay the events of a log, in the order in which they became known, from empty states.

    Yields the row of each trigger. Raises an error that names the function of the declaration that
    raised; what it raised is its cause.
    """
    return Replay(features)(in_sequence(events))


def in_sequence(events: Iterable[Event]) -> Iterator[LoggedEvent]:
    """Number the events of a log that is already in order, as if from one partition."""
    for offset, event in enumerate(events):
        yield LoggedEvent(event, 0, offset)
