"""The laws of a kind of state, for kinds of an author's own as for those of the library.

It needs Hypothesis, which draws the updates (the `laws` extra)::

    from hypothesis import strategies as st
    from stream_app.testing.laws import check_state

    def test_the_laws_hold():
        updates = st.tuples(st.floats(0, 1e6), st.floats(0, 100))
        kind = MyKind()
        check_state(kind, updates, reads=[kind.mean("amount")])
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.features.engine.arrival import Arrival
from stream_app.features.engine.engine import EntityState, FeatureEngine, Tables
from stream_app.features.events import Event
from stream_app.features.kinds import Read, State, Update, Values, plain_updates
from stream_app.features.kinds.agreement import agree
from stream_app.features.stores.codec import StateCodec
from stream_app.features.views import Column, Entity, FeatureSet, View

__all__ = ["check_state"]

_PARTITIONS = 3
_MOMENTS = (0.0, 60.0, 86_400.0, 1e9)
"""Seconds after the newest update, and before it, at which states are read."""


def check_state(
    kind: State,
    updates: st.SearchStrategy[Update],
    *,
    reads: Sequence[Read] = (),
    examples: int = 100,
) -> None:
    """Hold a kind of state to its laws, with sequences of `updates`; `AssertionError` names the law
    that is broken, and Hypothesis the shortest sequence that breaks it.

    - `describe` is plain data, and an update that is too short, or has a time that is no finite
      number, is refused by `check`; those of `updates` are not.
    - The state has as many values as `width` says, and `format` packs them, always in as many bytes;
      what is packed and unpacked between any two updates is the same.
    - Any interleaving of partitions leaves the same state, as `agrees` compares, and without it
      numbers within 1e-9 of their size.
    - A record that is read again changes nothing, and the engine does what `apply` does.
    - A copy of the list of values is a copy of the state: `apply` changes nothing that it shares.
    - Each of `reads` gives a number or a text, at any moment, where nothing is known as well, and
      changes nothing; it gives the same of a state that was packed.
    """
    laws = _Laws(kind, reads)
    laws.description_is_plain()

    @settings(report_multiple_bugs=False, max_examples=examples, deadline=None)
    @given(_logs(updates))
    def hold(log: Sequence[_Placed]) -> None:
        laws.checks(log)
        laws.packing(log)
        laws.interleaving(log)
        laws.copies(log)
        laws.reading(log)
        laws.twice(log)

    hold()


@dataclass(frozen=True)
class _Placed:
    """An update, with the place of its record."""

    update: Update
    partition: int
    offset: int
    turn: float
    """Sorts the other interleaving of the partitions."""


def _logs(updates: st.SearchStrategy[Update]) -> st.SearchStrategy[list[_Placed]]:
    """Sequences of updates, from several partitions."""
    drawn = st.lists(
        st.tuples(updates, st.integers(0, _PARTITIONS - 1), st.integers(0, 1_000)), max_size=20
    )
    return drawn.map(_place)


def _place(drawn: Sequence[tuple[Update, int, int]]) -> list[_Placed]:
    offsets: dict[int, int] = defaultdict(int)
    turns: dict[int, int] = defaultdict(int)
    log = []
    for update, partition, turn in drawn:
        turns[partition] = max(turns[partition], turn)  # offset order stays within a partition
        log.append(_Placed(update, partition, offsets[partition], turns[partition]))
        offsets[partition] += 1
    return log


class _Laws:
    def __init__(self, kind: State, reads: Sequence[Read]) -> None:
        self._kind = kind
        self._reads = reads
        columns = tuple(Column(f"read_{n}", read, "", "") for n, read in enumerate(reads))
        self._view = View(
            name="state",
            entity=Entity("one", lambda _: "one"),
            state=kind,
            on={_Update: lambda event: event.update},
            columns=columns,
        )
        self._features = FeatureSet(views=(self._view,), triggers=(_Update,))

    def description_is_plain(self) -> None:
        """Of the same kind and parameters, a fingerprint has to be the same everywhere."""
        described = self._kind.describe()
        assert json.loads(json.dumps(described)) == described, "describe() is not plain data"

    def checks(self, log: Sequence[_Placed]) -> None:
        """What comes of `check` is what `apply` takes."""
        self._kind.check([placed.update for placed in log] + [None])
        for placed in log[:3]:
            _, *rest = placed.update
            for mistaken in ((), *((time, *rest) for time in (math.nan, math.inf, None, "text"))):
                assert self._refuses(mistaken), f"check() takes the update {mistaken!r}"

    def _refuses(self, update: Update) -> bool:
        try:
            self._kind.check([update])
        except Exception:  # noqa: BLE001 - the engine takes any exception for a refusal
            return True
        return False

    def packing(self, log: Sequence[_Placed]) -> None:
        """A store may give the state back between any two updates."""
        codec = StateCodec(self._view)
        packer = Struct("<" + self._kind.format)
        whole, stored = self._kind.empty(), self._kind.empty()
        for placed in log:
            for state in (whole, stored):
                self._kind.apply(state, placed.update, placed.partition, placed.offset)
            assert len(stored) == self._kind.width, "the state is not as wide as `width` says"
            packed = codec.pack(EntityState(1, 1, 1, 0.0, stored))
            (unpacked,) = codec.unpack([packed])
            assert len(unpacked.values) == self._kind.width, "`format` has not `width` values"
            assert packer.pack(*unpacked.values) == packer.pack(*stored), (
                "packing what was unpacked gives other bytes"
            )
            stored = unpacked.values
        assert agree(stored, whole), (
            "a state that was packed between its updates is another one: keep in memory what "
            "`format` keeps"
        )

    def interleaving(self, log: Sequence[_Placed]) -> None:
        """Workers read partitions in any order."""
        other = sorted(log, key=lambda placed: placed.turn)
        left, right = self._after(log), self._after(other)
        agrees: Callable[[Values, Values], bool] = getattr(
            self._kind, "agrees", lambda a, b: agree(a, b, rounded=range(len(a)))
        )
        assert agrees(left, right), (
            f"another interleaving leaves another state: {left} after {_order(log)}, {right} after "
            f"{_order(other)}"
        )

    def twice(self, log: Sequence[_Placed]) -> None:
        """Through the engine, with every record read again from each place on."""
        # With and without what is compiled of the engine: an author's tests run where a worker may not.
        for engine in (
            FeatureEngine(self._features),
            FeatureEngine(self._features, in_python=True),
        ):
            tables = engine.tables()
            for number in range(len(log)):
                _advance(engine, tables, log[max(0, number - 5) : number + 1])
            if log:
                (state,) = tables[0].values()
                assert state.count == len(log), "a record that was read again was counted again"
                assert agree(state.values, self._after(log)), (
                    "the engine, or a record that is read again, leaves another state than `apply`"
                )

    def copies(self, log: Sequence[_Placed]) -> None:
        """Where an update fails, the engine puts the values back that it has copied."""
        state = self._kind.empty()
        for placed in log:
            copy, before = list(state), repr(state)
            self._kind.apply(state, placed.update, placed.partition, placed.offset)
            assert repr(copy) == before, "apply() changes a value in place: put a new one there"

    def reading(self, log: Sequence[_Placed]) -> None:
        """At moments before, at and after those of the updates."""
        times = [placed.update[0] for placed in log] or [0.0]
        moments = [max(times) + sign * after for after in _MOMENTS for sign in (1, -1)]
        state = self._after(log)
        # A store holds no state without an update.
        packed = self._packed_once(state) if log else state
        before = repr(state)
        for read in self._reads:
            for at in moments:
                found = [read(None, at), read(state, at), read(packed, at)]
                for value in found:
                    assert isinstance(value, float | int | str), (
                        f"a read gives {type(value).__name__}, no number and no text"
                    )
                assert agree(found[1:2], found[2:]), "a state that was packed reads differently"
        assert repr(state) == before, "a read changes the state"

    def _packed_once(self, state: Values) -> Values:
        codec = StateCodec(self._view)
        (stored,) = codec.unpack([codec.pack(EntityState(1, 1, 1, 0.0, state))])
        return stored.values

    def _after(self, log: Sequence[_Placed]) -> Values:
        state = self._kind.empty()
        for placed in log:
            # As the engine hands updates over.
            (update,) = plain_updates([placed.update])
            assert update is not None
            self._kind.apply(state, update, placed.partition, placed.offset)
        return state


class _Update(Event):
    """An event that carries its update as it is."""

    update: Any


def _advance(engine: FeatureEngine, tables: Tables, log: Sequence[_Placed]) -> None:
    arrivals = list(_arrivals(log))
    engine.gather(arrivals)
    for arrival in arrivals:
        assert arrival.error is None, str(arrival.error)
    engine.advance(arrivals, tables)


def _arrivals(log: Sequence[_Placed]) -> Iterator[Arrival]:
    for placed in log:
        event = _Update.model_construct(event_id="e", event_time=0.0, update=placed.update)
        yield Arrival(event, placed.partition + 1, placed.partition, placed.offset)


def _order(log: Sequence[_Placed]) -> list[tuple[Update, int, int]]:
    return [(placed.update, placed.partition, placed.offset) for placed in log]
