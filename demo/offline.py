"""The same events through the offline execution of the features: what serving is compared with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from demo.observation import Source
from demo.worker import ROOT
from stream_app.features.engine.order import OrderKey, PartitionOrder, rank
from stream_app.features.engine.replay import LoggedEvent, Replay
from stream_app.features.events import Event
from stream_app.features.usecase import UseCase
from stream_app.models import Model, load_model
from stream_app.records.places import PartitionId, Place

__all__ = ["Scorer", "decoded", "outcomes", "rows_of_replay"]

_BATCH: Final = 512


class Scorer:
    """Scores rows with a version of a model, offline."""

    def __init__(self, usecase: UseCase, folder: str) -> None:
        """`folder` is below artifacts/. Raises what `load_model` raises."""
        self._usecase = usecase
        self._model: Model = load_model(
            ROOT / "artifacts" / folder, usecase.features, usecase.topics
        )
        self._unknown = [math.nan] * (
            len(usecase.features.columns) - len(usecase.features.row_features)
        )

    def __str__(self) -> str:
        return str(self._model)

    def __call__(self, rows: Sequence[Sequence[Any]]) -> list[float]:
        """Return the score of each row of the feature set's columns."""
        decision = self._model.manifest.decision
        scores: list[float] = []
        for start in range(0, len(rows), _BATCH):
            outputs = self._model.score(rows[start : start + _BATCH])
            scores += [float(row["score"]) for row in self._usecase.fields(outputs, decision)]
        return scores

    def without_state(self, events: Sequence[Event]) -> list[float]:
        """Return the score of each event by what it says itself, for a model that asks no more."""
        computed = [feature.compute for feature in self._usecase.features.row_features]
        return self([[*self._unknown, *(c(event) for c in computed)] for event in events])


def decoded(
    usecase: UseCase, sources: Mapping[Place, Source], expected: Mapping[Place, str | None]
) -> dict[Place, Event]:
    """Return the events of the records that the producer knows to be valid.

    Raises `stream_app.features.events.InvalidEventError` if one is not.
    """
    decoders = {topic.name: topic.decoder for topic in usecase.topics}
    return {
        place: decoders[place.topic](source.value or b"")
        for place, source in sources.items()
        if expected.get(place, "") is None
    }


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


def rows_of_replay(
    usecase: UseCase, sources: Mapping[Place, Source], events: Mapping[Place, Event]
) -> dict[Place, list[Any]]:
    """Replay the events from an empty state, in the order in which they became known.

    Returns the row of features of each that asks for a prediction. The order is that of the worker:
    by the timestamps of the records, partitions merged by `stream_app.features.engine.order`.
    """
    log = [(key, place) for key, place in _ordered(usecase, sources, events) if place in events]
    triggers = usecase.features.triggers
    asked = [place for _, place in log if isinstance(events[place], triggers)]
    replayed = Replay(usecase.features)(
        LoggedEvent(events[place], key[2], place.offset) for key, place in log
    )
    return {place: row.values for place, row in zip(asked, replayed, strict=True)}


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
