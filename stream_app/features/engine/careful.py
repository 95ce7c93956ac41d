"""Taking records in one by one, so that one which fails leaves nothing behind.

`FeatureEngine.advance` is not interrupted for the sake of records that raise while columns are read
or updates applied: it would cost every record. When one does, states may be half updated; they are
forgotten, and the same records are taken in here, where each state is copied before it is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from stream_app.features.engine.arrival import Arrival
from stream_app.features.engine.engine import EntityState, FeatureEngine, Tables
from stream_app.features.engine.plans import Plan
from stream_app.features.kinds import StateOverflowError
from stream_app.text.causes import FeatureError, unless_told_to_end

__all__ = ["Check", "advance_carefully", "reapply_carefully"]

#: Given a view's position and a state, raises `StateOverflowError` unless a store can keep it.
Check = Callable[[int, EntityState], object]


class _Before(NamedTuple):
    """A state as it was; `state` is None where there was none."""

    view: int
    entity: str
    state: EntityState | None
    updates: int = 0
    digest: int = 0
    newest: float = 0.0
    values: tuple[object, ...] = ()
    fences: tuple[tuple[int, int], ...] = ()
    batch: int = -1


def advance_carefully(
    engine: FeatureEngine, arrivals: Iterable[Arrival], tables: Tables, batch: int, check: Check
) -> None:
    """Do what `FeatureEngine.advance` does; one that fails gets an `error` and changes nothing."""
    _one_by_one(engine, arrivals, tables, lambda one: engine.advance([one], tables, batch), check)


def reapply_carefully(
    engine: FeatureEngine, arrivals: Iterable[Arrival], tables: Tables, check: Check
) -> None:
    """Do what `FeatureEngine.reapply` does; one that fails gets an `error` and changes nothing."""
    _one_by_one(engine, arrivals, tables, lambda one: engine.reapply([one], tables), check)


def _one_by_one(
    engine: FeatureEngine,
    arrivals: Iterable[Arrival],
    tables: Tables,
    take: Callable[[Arrival], None],
    check: Check,
) -> None:
    for arrival in arrivals:
        if arrival.error is not None:
            continue
        plan = engine.plan(type(arrival.event))
        before = _before(plan, arrival, tables)
        try:
            take(arrival)
        except BaseException as error:  # noqa: BLE001 - any function of the declaration may raise anything
            unless_told_to_end(error)
            arrival.error = plan.failure(error) or FeatureError("apply-error", "an update", error)
        else:
            arrival.error = arrival.error or _overflow(plan, arrival, tables, check)
        if arrival.error is not None:
            _restore(before, tables)
            arrival.ahead = False


def _overflow(plan: Plan, arrival: Arrival, tables: Tables, check: Check) -> FeatureError | None:
    """Why a state that the arrival updates cannot be kept, or None."""
    for number, (view, key) in enumerate(plan.updated):
        entity = arrival.keys[key]
        state = None if entity is None else tables[view].get(entity)
        if state is None:
            continue
        try:
            check(view, state)
        except StateOverflowError as error:
            return FeatureError("state-overflow", plan.update_of(number), error, str(error))
    return None


def _before(plan: Plan, arrival: Arrival, tables: Tables) -> list[_Before]:
    kept = []
    for view, key in plan.touches:
        entity = arrival.keys[key]
        if entity is None:
            continue
        state = tables[view].get(entity)
        kept.append(
            _Before(view, entity, None)
            if state is None
            else _Before(
                view, entity, state, state.count, state.digest, state.newest,
                tuple(state.values), tuple(state.fences.items()), state.batch,
            )
        )  # fmt: skip
    return kept


def _restore(before: Iterable[_Before], tables: Tables) -> None:
    for was in before:
        state = was.state
        if state is None:
            tables[was.view].pop(was.entity, None)
            continue
        state.count, state.digest, state.newest = was.updates, was.digest, was.newest
        state.values = list(was.values)
        state.fences.clear()
        state.fences.update(was.fences)
        state.batch = was.batch
