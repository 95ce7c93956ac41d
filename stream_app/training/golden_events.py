"""Golden events of a version: records of the training log, and what of the declaration they reach."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass

from stream_app.features.engine.arrival import Arrival
from stream_app.features.engine.engine import FeatureEngine
from stream_app.features.events import Event
from stream_app.features.model_version.golden import GoldenEvent, expect_columns
from stream_app.features.usecase import UseCase
from stream_app.features.views import FeatureSet
from stream_app.training.candidates import GoldenLog
from stream_app.training.reach import Branch, Watch, branches

__all__ = ["GoldenEvents", "golden_events", "unreached"]


@dataclass(frozen=True)
class GoldenEvents:
    """Golden events, and what of the declaration they leave untested."""

    events: list[GoldenEvent]
    unreached: tuple[str, ...]
    """Event types, views and branches, each in words."""


def golden_events(usecase: UseCase, log: GoldenLog) -> GoldenEvents:
    """Golden events of the records, with what a replay of them does not reach."""
    drafts = [GoldenEvent.of(record) for record in log.records]
    events = _decoded(usecase, drafts)
    made = expect_columns(usecase.features, drafts, events)
    return GoldenEvents(made, _unreached(usecase.features, events, log.reached))


def unreached(usecase: UseCase, golden: Iterable[GoldenEvent]) -> tuple[str, ...]:
    """What of the declaration a version's golden events do not reach, in words."""
    return _unreached(usecase.features, _decoded(usecase, golden), frozenset())


def _decoded(usecase: UseCase, golden: Iterable[GoldenEvent]) -> list[Event | None]:
    decoders = {topic.name: topic.decoder for topic in usecase.topics}
    return [decoders[event.topic](event.record()) for event in golden]


def _unreached(
    features: FeatureSet, decoded: Iterable[Event | None], by_log: Set[Branch]
) -> tuple[str, ...]:
    events = [event for event in decoded if event is not None]
    wanted = branches(features)
    watch = Watch(wanted)
    with watch:
        untouched = list(_untouched(features, events))
    missed = sorted(wanted - watch.reached, key=lambda b: (b.code.co_filename, str(b)))
    told = (f"{b}{', though the log reaches it' if b in by_log else ''}" for b in missed)
    return (*untouched, *told)


def _untouched(features: FeatureSet, events: Iterable[Event]) -> Iterator[str]:
    """Event types without an event, and views that none of the events updates or reads."""
    seen, updated, read = _touched(features, events)
    kinds = {*features.triggers, *(kind for view in features.views for kind in view.on)}
    for kind in sorted(kinds, key=lambda kind: kind.__name__):
        if not any(issubclass(each, kind) for each in seen):
            yield f"event type {kind.__name__}: no event of it"
    for at, view in enumerate(features.views):
        if at not in updated:
            yield f"view {view.name}: no event updates it"
        elif at not in read:
            yield f"view {view.name}: no prediction finds a state in it"


def _touched(
    features: FeatureSet, events: Iterable[Event]
) -> tuple[set[type[Event]], set[int], set[int]]:
    """Event types that occur, views that are updated, and views in which a state is found."""
    engine = FeatureEngine(features)
    tables = engine.tables()
    seen: set[type[Event]] = set()
    updated: set[int] = set()
    read: set[int] = set()
    for offset, event in enumerate(events):
        arrival = Arrival(event, 0, 0, offset)
        engine.gather([arrival])
        plan = engine.plan(type(event))
        seen.add(type(event))
        read |= {view for view, key in plan.reads if arrival.keys[key] in tables[view]}
        updated |= {
            view
            for (view, key), update in zip(plan.updated, arrival.updates, strict=True)
            if update is not None and arrival.keys[key] is not None
        }
        engine.advance([arrival], tables)
    return seen, updated, read
