"""The same events without a stream, in the order in which they happened: what serving is compared with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from demo.observation import Source
from demo.worker import ROOT
from stream_app.config.settings import Settings
from stream_app.features.engine.order import OrderKey, PartitionOrder, rank
from stream_app.features.events import Event, LogRecord
from stream_app.features.stores import MemoryStore
from stream_app.features.stores import Source as StateSource
from stream_app.features.usecase import UseCase
from stream_app.models import Model, load_model
from stream_app.observer.observer import Observer
from stream_app.predictor.assembly import make_predictor
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId, Place
from stream_app.records.record import Record
from stream_app.waiting.retry import Retry

__all__ = ["Offline", "decoded", "in_order", "outcomes"]

_BATCH: Final = 512


class Offline:
    """Predicts by one model version without a stream: the worker's predictor, its state in memory."""

    def __init__(self, usecase: UseCase, folder: str) -> None:
        """`folder` is below artifacts/. Raises what `load_model` raises."""
        self._usecase = usecase
        self._model: Model = load_model(
            ROOT / "artifacts" / folder, usecase.features, usecase.topics
        )

    def __str__(self) -> str:
        return str(self._model)

    def scores(self, log: Sequence[tuple[Place, Source]]) -> dict[Place, float]:
        """Score each record that asks for a prediction, in the order given, from an empty state."""
        observer = Observer()
        predictor = make_predictor(
            Settings(),
            self._usecase,
            [self._model],
            MemoryStore(self._usecase.features),
            Retry(initial_seconds=0.1, max_seconds=1.0, observer=observer),
            observer,
        )
        partitions = _partitions(self._usecase, {place.partition_id for place, _ in log})
        predictor.state.register(dict.fromkeys(partitions.values(), 0))
        scores: dict[Place, float] = {}
        for start in range(0, len(log), _BATCH):
            some = log[start : start + _BATCH]
            batch = predictor([
                Record(partitions[at.partition_id], at.offset, each.timestamp, None, each.value)
                for at, each in some
            ])  # fmt: skip
            predictor.state.write(batch)
            for (place, _), item in zip(some, batch.items, strict=True):
                if item.served is not None:
                    scores[place] = float(item.served.fields["score"])
        return scores


def decoded(
    usecase: UseCase, sources: Mapping[Place, Source], expected: Mapping[Place, str | None]
) -> dict[Place, Event]:
    """Return the events of the records that the producer knows to be valid.

    Raises `stream_app.features.events.InvalidEventError` if one is not.
    """
    decoders = {topic.name: topic.decoder for topic in usecase.topics}
    decoded = {
        place: decoders[place.topic](LogRecord(source.value, timestamp=source.timestamp))
        for place, source in sources.items()
        if expected.get(place, "") is None
    }
    return {place: event for place, event in decoded.items() if event is not None}


def outcomes(usecase: UseCase, events: Mapping[Place, Event]) -> dict[str, float]:
    """Return the labels that the events tell, by the use case's join key."""
    outcome = usecase.outcome
    assert outcome is not None
    labels = {}
    for event in events.values():
        if isinstance(event, outcome.event):
            label = outcome.label(event)
            if label is not None:
                labels[outcome.join_key(event)] = label
    return labels


def in_order(
    usecase: UseCase, sources: Mapping[Place, Source], events: Mapping[Place, Event]
) -> list[tuple[Place, Source]]:
    """The records of the events, in the order in which they became known.

    It is that of the worker: by the timestamps of the records, partitions merged by
    `stream_app.features.engine.order`.
    """
    ordered = _ordered(usecase, sources, events)
    return [(place, sources[place]) for _, place in ordered if place in events]


def _ordered(
    usecase: UseCase, sources: Mapping[Place, Source], events: Mapping[Place, Event]
) -> list[tuple[OrderKey, Place]]:
    """Return every record with its place in the order; malformed ones hold a partition back too."""
    positions = {topic.name: position for position, topic in enumerate(usecase.topics)}
    orders: dict[PartitionId, PartitionOrder] = {}
    keyed = []
    for place in sorted(sources):
        partition = place.partition_id
        order = orders.get(partition)
        if order is None:
            place_of_partition = rank(positions[place.topic], place.partition)
            order = orders[partition] = PartitionOrder(place_of_partition)
        event = events.get(place)
        event_time = -math.inf if event is None else event.event_time
        keyed.append((order.key(sources[place].timestamp, event_time, place.offset), place))
    keyed.sort()
    return keyed


def _partitions(usecase: UseCase, ids: Iterable[PartitionId]) -> dict[PartitionId, Partition]:
    topics = [topic.name for topic in usecase.topics]
    return {each: Partition.among(topics, each, StateSource("offline", *each)) for each in ids}
