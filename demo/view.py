"""What is shown while the demonstration runs."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from demo.accuracy import auc
from demo.observation import Observation, Source
from demo.offline import Offline
from demo.producer import FlightProducer
from stream_app.features.events import Event, InvalidEventError, LogRecord
from stream_app.features.usecase import UseCase
from stream_app.records.places import PartitionId, Place

__all__ = ["Live", "View"]

_RATE_SECONDS: Final = 5.0
_RECENT: Final = 2_000
"""Predictions that the latency quantiles are taken of."""


@dataclass(frozen=True)
class View:
    """One look at the running demonstration."""

    event_clock: float
    """What the accelerated clock shows, in seconds since the epoch."""
    planned: int
    sent: int
    finished: int
    """Records below the committed offsets."""
    sent_a_second: float
    finished_a_second: float
    lag_records: int
    lag_seconds: float
    """Age of the oldest record that is not committed."""
    predictions: int
    dead_letters: Mapping[str, int]
    """By reason."""
    latency_p50_seconds: float | None
    latency_p99_seconds: float | None
    auc: float | None
    auc_static: float | None
    labels: int
    """Flights that were predicted and have landed meanwhile."""


class Live:
    """Turns what was observed so far into views."""

    def __init__(self, usecase: UseCase, static: Offline, planned: int) -> None:
        self.seen = Observation(usecase)
        self._usecase = usecase
        self._decoders = {topic.name: topic.decoder for topic in usecase.topics}
        self._static = static
        self._planned = planned
        self._looked_at = 0
        self._keys: dict[Place, str] = {}
        self._static_scores: dict[Place, float] = {}
        self._labels: dict[str, float] = {}
        self._rates: deque[tuple[float, int, int]] = deque()

    def view(
        self,
        producer: FlightProducer,
        ends: Mapping[PartitionId, int],
        committed: Mapping[PartitionId, int],
    ) -> View:
        """Take one look."""
        self._look_at_events(producer.expected)
        finished = sum(committed.values())
        sent_a_second, finished_a_second = self._rate(producer.sent, finished)
        p50, p99 = self._latency()
        scores, static_scores, labels = self._landed()
        return View(
            event_clock=producer.event_clock,
            planned=self._planned,
            sent=producer.sent,
            finished=finished,
            sent_a_second=sent_a_second,
            finished_a_second=finished_a_second,
            lag_records=max(0, sum(ends.values()) - finished),
            lag_seconds=self._lag_seconds(ends, committed),
            predictions=len(self.seen.predictions),
            dead_letters=Counter(letters[0].reason for letters in self.seen.dead_letters.values()),
            latency_p50_seconds=p50,
            latency_p99_seconds=p99,
            auc=auc(scores, labels),
            auc_static=auc(static_scores, labels),
            labels=len(labels),
        )

    def _look_at_events(self, expected: Mapping[Place, str | None]) -> None:
        """Decode what has come since the last look; records are only added to `sources`."""
        sources, outcome = self.seen.sources, self._usecase.outcome
        assert outcome is not None
        asked: list[tuple[Place, Event]] = []
        for place in list(sources)[self._looked_at :]:
            if place not in expected:
                break  # its acknowledgement is on the way
            self._looked_at += 1
            event = self._decode(place, sources[place]) if expected[place] is None else None
            if event is None:
                continue
            if isinstance(event, self._usecase.features.triggers):
                asked.append((place, event))
            elif isinstance(event, outcome.event):
                label = outcome.label(event)
                if label is not None:
                    self._labels[outcome.join_key(event)] = label
        if asked:
            self._static_scores |= self._static.scores([(at, sources[at]) for at, _ in asked])
            self._keys |= {place: outcome.join_key(event) for place, event in asked}

    def _decode(self, place: Place, source: Source) -> Event | None:
        message = LogRecord(source.value, timestamp=source.timestamp)
        try:
            return self._decoders[place.topic](message)
        except InvalidEventError:
            return None  # the account at the end will say so

    def _landed(self) -> tuple[list[float], list[float], list[float]]:
        """Scores of champion and static model, and labels, of flights predicted and landed."""
        scores, static_scores, labels = [], [], []
        for place, predictions in self.seen.predictions.items():
            key = self._keys.get(place)
            label = None if key is None else self._labels.get(key)
            if label is not None:
                scores.append(predictions[0].score)
                static_scores.append(self._static_scores[place])
                labels.append(label)
        return scores, static_scores, labels

    def _latency(self) -> tuple[float | None, float | None]:
        recent = []
        for place in reversed(self.seen.predictions):
            source = self.seen.sources.get(place)
            if source is not None:
                recent.append(self.seen.predictions[place][0].timestamp - source.timestamp)
                if len(recent) == _RECENT:
                    break
        if not recent:
            return None, None
        p50, p99 = np.quantile(recent, (0.5, 0.99))
        return float(p50), float(p99)

    def _lag_seconds(
        self, ends: Mapping[PartitionId, int], committed: Mapping[PartitionId, int]
    ) -> float:
        now, lag = time.time(), 0.0
        for partition, end in ends.items():
            first = committed.get(partition, 0)
            source = self.seen.sources.get(Place(*partition, first)) if first < end else None
            if source is not None:
                lag = max(lag, now - source.timestamp)
        return lag

    def _rate(self, sent: int, finished: int) -> tuple[float, float]:
        now = time.monotonic()
        self._rates.append((now, sent, finished))
        while now - self._rates[0][0] > _RATE_SECONDS and len(self._rates) > 2:
            self._rates.popleft()
        then, sent_then, finished_then = self._rates[0]
        if now <= then:
            return 0.0, 0.0
        return (sent - sent_then) / (now - then), (finished - finished_then) / (now - then)
