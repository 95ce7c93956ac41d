"""The feature engine: reads columns and applies updates, the same online and offline.

It works on a batch of arrivals in two steps, so that a store can be asked once in between:

1. `gather` evaluates the pure functions of the declaration (entity keys, updates, row features)
   for all arrivals and says which states they touch;
2. `advance` goes through the arrivals in order: a trigger reads its columns and derives others of
   them, then the arrival's updates are applied, so that a record reads the state before its own
   update.

`reapply` repeats the updates of some keys on other states, after a lost compare-and-set.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from struct import Struct

import numpy as np

from stream_app.features.engine.arrival import NEVER, Arrival
from stream_app.features.engine.compiled_plans import compiled_kind
from stream_app.features.engine.evaluation import evaluate, evaluate_alone
from stream_app.features.engine.plans import Plan
from stream_app.features.events import Event
from stream_app.features.kinds import Values
from stream_app.features.views import FeatureSet
from stream_app.text.causes import FeatureError, unless_told_to_end

__all__ = ["FENCE", "EntityState", "FeatureEngine", "Tables", "account_hashes"]

#: A fence as stores keep it: source id, last offset applied.
FENCE = Struct("<Iq")


class EntityState:
    """The state of one entity in one view, with what proves how it came about.

    `stream_app.compiled.states` has its counterpart, with the same attributes.
    """

    __slots__ = (
        "_fences", "_packed_fences", "batch", "count", "digest", "newest", "values", "version",
    )  # fmt: skip

    def __init__(
        self,
        version: int,
        count: int,
        digest: int,
        newest: float,
        values: Values,
        packed_fences: bytes = b"",
    ) -> None:
        self.version = version
        """What compare-and-set compares; 0 before the first write."""
        self.count = count
        """Updates applied: together with `digest` the exact account of what is in here."""
        self.digest = digest
        """Sum of `account_hashes` of the updates applied; packed modulo 2**64."""
        self.newest = newest
        """Newest event time applied, in seconds; minus infinity before the first."""
        self.values = values
        self._fences: dict[int, int] | None = None
        self._packed_fences = packed_fences
        self.batch = -1
        """Number of the last batch that updated it in memory."""

    @property
    def fences(self) -> dict[int, int]:
        """Last offset applied, by source id; unpacked when a state is to be updated, not before."""
        fences = self._fences
        if fences is None:
            fences = self._fences = dict(FENCE.iter_unpack(self._packed_fences))
        return fences

    def applied(self, source: int) -> int:
        """Last offset of a source that is applied; -1 for none."""
        return self.fences.get(source, -1)


#: States in memory: for each view (by position), entity key to state.
Tables = list[dict[str, EntityState]]


def account_hashes(sources: Sequence[int], offsets: Sequence[int]) -> list[int]:
    """64-bit hashes of (source, offset) pairs.

    The finalizer of splitmix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number
    Generators", OOPSLA 2014) over an injective mix of both numbers.
    """
    with np.errstate(over="ignore"):
        x = np.asarray(sources, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x ^= np.asarray(offsets, dtype=np.int64).astype(np.uint64) + np.uint64(0xD1B54A32D192ED03)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return x.tolist()  # type: ignore[no-any-return]


class FeatureEngine:
    """Executes a feature set over states held in `Tables`."""

    def __init__(self, features: FeatureSet, *, in_python: bool = False) -> None:
        """`in_python`: nothing of it is compiled; what comes of events is the same."""
        self.features = features
        self._kinds = [None if in_python else compiled_kind(view.state) for view in features.views]
        self._plans: dict[type[Event], Plan] = {}

    def tables(self) -> Tables:
        """Empty tables, one a view."""
        return [{} for _ in self.features.views]

    def absent(self, view: int) -> EntityState:
        """The state of an entity of which nothing is known."""
        kind = self._kinds[view]
        if kind is not None:
            return kind.absent()  # type: ignore[no-any-return]
        return EntityState(0, 0, 0, NEVER, self.features.views[view].state.empty())

    def plan(self, event: type[Event]) -> Plan:
        """What an event type reads and updates."""
        plan = self._plans.get(event)
        if plan is None:
            plan = self._plans[event] = Plan(self.features, event, self.absent, self._kinds)
        return plan

    def gather(self, arrivals: Collection[Arrival]) -> list[set[str]]:
        """Evaluate the declaration's functions for all arrivals; return the keys each view needs.

        A function that raises marks its own arrival's `error` and no other.
        """
        groups: dict[type[Event], list[Arrival]] = {}
        for arrival in arrivals:
            groups.setdefault(type(arrival.event), []).append(arrival)
        wanted: list[set[str]] = [set() for _ in self.features.views]
        for kind, group in groups.items():
            plan = self.plan(kind)
            try:
                distinct = evaluate(plan, group)
            except BaseException as error:  # noqa: BLE001 - any function of the declaration may raise anything
                unless_told_to_end(error)
                distinct = evaluate_alone(plan, group)
            for view, key in plan.touches:
                wanted[view] |= distinct[key]  # type: ignore[arg-type]
        for keys in wanted:
            keys.discard(None)
        ordered = [a for a in arrivals if a.error is None]
        hashes = account_hashes([a.source for a in ordered], [a.offset for a in ordered])
        for arrival, digest in zip(ordered, hashes, strict=True):
            arrival.digest = digest
        return wanted

    def advance(self, arrivals: Iterable[Arrival], tables: Tables, batch: int = 0) -> None:
        """Read the rows of triggers and apply the updates, in the order of `arrivals`.

        `tables` holds the states that `gather` asked for (absent ones are left out) and keeps the
        updated ones, stamped with the number `batch`. A derived column that raises marks its own
        arrival's `error` and applies nothing of it. Raises what another function of the declaration
        raises; then states may be half updated, see `stream_app.features.engine.careful`.
        """
        plans = self._plans
        for arrival in arrivals:
            if arrival.error is not None:
                continue
            plan = plans[type(arrival.event)]
            if plan.trigger:
                row, arrival.newest = plan.read(tables, arrival.keys, arrival.event_time)
                row += arrival.row  # type: ignore[arg-type]
                arrival.row = row
                if plan.derive is not None:
                    try:
                        plan.derive(arrival.event, row)
                    except BaseException as error:  # noqa: BLE001 - it is the use case's own code
                        unless_told_to_end(error)
                        arrival.error, arrival.row = plan.failure(error), None
                        continue
                if arrival.redelivered and _is_ahead(plan, arrival, tables):
                    arrival.ahead = True
            plan.update(arrival, tables, batch, True)

    def failure(self, error: BaseException) -> FeatureError | None:
        """Which function of the declaration raised in `advance`; None where none of them did."""
        found = (plan.failure(error) for plan in self._plans.values())
        return next((failure for failure in found if failure is not None), None)

    def reapply(self, arrivals: Iterable[Arrival], tables: Tables) -> None:
        """Apply to `tables`, and only to the keys present there, the updates above their fences.

        For a batch whose compare-and-set was lost: `tables` holds the present states, to which
        only what they do not contain yet is added.
        """
        for arrival in arrivals:
            if arrival.error is None:
                self._plans[type(arrival.event)].update(arrival, tables, -1, False)


def _is_ahead(plan: Plan, arrival: Arrival, tables: Tables) -> bool:
    """Whether a state that a trigger reads already holds its own or a later record's update."""
    states = (tables[view].get(arrival.keys[key]) for view, key in plan.reads)  # type: ignore[arg-type]
    return any(s is not None and s.applied(arrival.source) >= arrival.offset for s in states)
