"""What each kind of state costs: an event, an update, each read, and a trip to the store and back.

    python -m benchmarks.kinds

An event is what the engine does for it: a state is unpacked, all reads of the row read, the update
applied, the state packed; once compiled and once in Python, in turn. Updates and reads are timed as the
engine does them in Python where they are text: as statements of one function, without a call. Numbers
are the best of five rounds, in nanoseconds of one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from stream_app.features.engine.arrival import Arrival
from stream_app.features.engine.engine import EntityState, FeatureEngine
from stream_app.features.events import Event
from stream_app.features.kinds import (
    EXPRESSION_NAMES,
    DecayedMoments,
    DecayedShare,
    DecayedSums,
    Distinct,
    DistinctEver,
    Extremes,
    Formula,
    LastN,
    LastText,
    LastValue,
    OpenItems,
    Read,
    State,
    Statements,
    Update,
    Values,
    Windows,
)
from stream_app.features.stores.codec import StateCodec
from stream_app.features.views import Column, Entity, FeatureSet, View

_UPDATES = 20_000
_ENTITIES = 1_000
_ROUNDS = 5
_HOUR = 3_600.0
_MERCHANTS = 300


def main() -> None:
    """Print the table."""
    title = f"{'kind':<34}{'bytes':>6}{'event':>8}{'in Python':>11}"
    print(f"{title}{'update':>8}{'pack':>7}{'unpack':>8}  reads")
    for kind, make, reads in _kinds():
        random = Random(1)
        times = sorted(random.uniform(0.0, 48 * _HOUR) for _ in range(_UPDATES))
        updates = [make(time_, random) for time_ in times]
        state = kind.empty()
        update = _best(partial(_update, kind, updates, state)) / _UPDATES
        pack, unpack, size = _trip(kind, state)
        costs = [
            f"{name} {_best(partial(_read, read, state, times)) / _UPDATES:.0f}"
            for name, read in reads.items()
        ]
        label = f"{type(kind).__name__} {_short(kind)}"
        compiled, in_python = _events(kind, updates, reads)
        title = f"{label:<34}{size:>6}{compiled:>8.0f}{in_python:>11.0f}"
        print(f"{title}{update:>8.0f}{pack:>7.0f}{unpack:>8.0f}  {', '.join(costs)}")


class _Happened(Event):
    update: Any
    entity: Any


def _events(kind: State, updates: list[Update], reads: dict[str, Read]) -> tuple[float, float]:
    """CPU time of an event in nanoseconds, compiled and in Python.

    All updates but the last of each of many entities are taken in before.
    """
    columns = tuple(Column(f"c{at}", read, "", "") for at, read in enumerate(reads.values()))
    view = View(
        name="v",
        entity=Entity("e", lambda event: event.entity),
        state=kind,
        on={_Happened: lambda event: event.update},
        columns=columns,
    )
    features = FeatureSet(views=(view,), triggers=(_Happened,))
    before, last = updates[:-_ENTITIES], updates[-_ENTITIES:]
    sides = []
    for in_python in (False, True):
        engine = FeatureEngine(features, in_python=in_python)
        tables = engine.tables()
        engine.advance(_arrivals(engine, before, 0), tables)
        codec = StateCodec(view, in_python=in_python)
        sides.append((engine, codec, {e: codec.pack(s) for e, s in tables[0].items()}))
    best = [float("inf")] * 2
    for _ in range(_ROUNDS):
        for side, (engine, codec, packed) in enumerate(sides):
            arrivals = _arrivals(engine, last, len(before))
            started = time.thread_time_ns()
            states = codec.unpack(list(packed.values()))
            engine.advance(arrivals, [dict(zip(packed, states, strict=True))], 1)
            for state in states:
                codec.pack(state)
            best[side] = min(best[side], (time.thread_time_ns() - started) / len(last))
    return best[0], best[1]


def _arrivals(engine: FeatureEngine, updates: list[Update], first: int) -> list[Arrival]:
    arrivals = [
        Arrival(
            _Happened.model_construct(
                event_id="", event_time=update[0], update=update, entity=str(at % _ENTITIES)
            ),
            1, 0, first + at,
        )
        for at, update in enumerate(updates)
    ]  # fmt: skip
    engine.gather(arrivals)
    return arrivals


def _kinds() -> list[tuple[State, Callable[[float, Random], Update], dict[str, Read]]]:
    """Each kind, what makes an update of it, and its reads."""
    sums = DecayedSums(_HOUR, ("amount",))
    moments = DecayedMoments(_HOUR, ("amount",))
    share = DecayedShare(_HOUR)
    windows = Windows(_HOUR, 60, sums=("amount",))
    extremes = Windows(_HOUR, 60, extremes=("amount",))
    ever = Extremes(("amount",))
    value = LastValue(("amount",))
    text = LastText(("country",), max_bytes=16)
    last = LastN(5, ("amount",))
    due = OpenItems(_HOUR)
    distinct = Distinct(_HOUR)
    registers = DistinctEver()

    def amount(at: float, random: Random) -> Update:
        return at, random.uniform(1.0, 100.0)

    def merchant(at: float, random: Random) -> Update:
        return at, f"merchant-{random.randrange(_MERCHANTS)}"

    return [
        (sums, amount, {"count": sums.count(), "mean": sums.mean("amount")}),
        (
            moments,
            amount,
            {"mean": moments.mean("amount"), "deviation": moments.deviation("amount")},
        ),
        (share, lambda at, random: (at, random.random() < 0.1, 1), {"share": share.share()}),
        (
            windows,
            amount,
            {
                "count": windows.count(),
                "sum": windows.sum("amount"),
                "mean": windows.mean("amount"),
                "5 minutes": windows.sum("amount", 300.0),
            },
        ),
        (
            extremes,
            amount,
            {"minimum": extremes.minimum("amount"), "maximum": extremes.maximum("amount")},
        ),
        (ever, amount, {"maximum": ever.maximum("amount")}),
        (value, amount, {"value": value.value("amount"), "age": value.age()}),
        (
            text,
            lambda at, random: (at, random.choice(("Chile", "Norway", "Ghana"))),
            {"value": text.value("country")},
        ),
        (
            last,
            amount,
            {
                "previous": last.previous("amount"),
                "mean": last.mean("amount"),
                "maximum": last.maximum("amount"),
                "age": last.age(4),
            },
        ),
        (due, lambda at, random: (at, random.choice((1, -1))), {"overdue": due.overdue(1_800.0)}),
        (distinct, merchant, {"count": distinct.count()}),
        (registers, merchant, {"count": registers.count()}),
    ]


def _short(kind: State) -> str:
    skipped = ("kind", "half_life_seconds", "window_seconds", "fields")
    return " ".join(
        f"{name}={value}"
        for name, value in kind.describe().items()
        if name not in skipped and value
    ).replace("'", "")


def _best(work: Callable[[], object]) -> float:
    """CPU time of the fastest round, in nanoseconds: the machine may have others to serve."""
    found = []
    for _ in range(_ROUNDS):
        started = time.thread_time_ns()
        work()
        found.append(time.thread_time_ns() - started)
    return float(min(found))


def _update(kind: State, updates: list[Update], state: Values) -> None:
    state[:] = kind.empty()
    if isinstance(kind.apply, Statements):
        body = "\n        ".join(kind.apply.lines)
        _loop(f"    for offset, update in enumerate(updates):\n        {body}")(state, updates)
    else:
        apply = kind.apply
        for offset, update in enumerate(updates):
            apply(state, update, 0, offset)


def _read(read: Read, state: Values, times: list[float]) -> None:
    if isinstance(read, Formula):
        _loop(f"    for at in updates:\n        found = {read.expression}")(state, times)
    else:
        for at in times:
            read(state, at)


def _loop(body: str) -> Callable[[Values, Any], None]:
    names: dict[str, Any] = dict(EXPRESSION_NAMES)
    exec(f"def loop(v, updates, rank=0):\n{body}", names)
    loop: Callable[[Values, Any], None] = names["loop"]
    return loop


def _trip(kind: State, state: Values) -> tuple[float, float, int]:
    """Nanoseconds of packing and unpacking one of many states, and its own bytes packed."""
    view = View(
        name="v", entity=Entity("e", str), state=kind, on={Event: lambda _: None}, columns=()
    )
    codec = StateCodec(view)
    many = [EntityState(1, 1, 1, 0.0, state)] * 1_000
    packed = list(map(codec.pack, many))
    pack = _best(lambda: list(map(codec.pack, many))) / len(packed)
    unpack = _best(lambda: codec.unpack(packed)) / len(packed)
    return pack, unpack, len(packed[0]) - 32


if __name__ == "__main__":
    main()
