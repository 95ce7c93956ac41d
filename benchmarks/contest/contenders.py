"""Who takes part."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from benchmarks.contest.contender import ROOT, Contender, Program, Worker

__all__ = ["ALONE", "LOOP", "WARMING_UP", "WORKER", "chosen", "contenders", "peers"]

#: What a worker does but for Kafka and Redis.
ALONE: Final = "work alone"
WORKER: Final = "worker"
#: What the others are measured against.
LOOP: Final = "loop, compiled"

_HAND: Final = "benchmarks.contest.loops.hand_written"
_AT_LEAST_ONCE: Final = "at least once; states exactly once"
_IN_PYTHON: Final = {"STREAM_APP_PYTHON_ONLY": "1"}
_NOT_ALIGNED: Final = {"alignment": "false"}
_EXACTLY_ONCE: Final = {"delivery": "exactly_once"}

#: Works for nobody, before others are measured: it asks for all that a broker can do.
WARMING_UP: Final = Worker("worker that warms up the brokers", "exactly once", _EXACTLY_ONCE)


def contenders(against: Path | None = None) -> list[Contender]:
    """All that need no environment of their own; `against`: the worker of another checkout as well."""
    found: list[Contender] = [
        Program(ALONE, "benchmarks.contest.loops.alone", "publishes nothing"),
        Program("loop, in Python", _HAND, _AT_LEAST_ONCE, ("default",), _IN_PYTHON),
        Program("loop, in Python, tuned", _HAND, _AT_LEAST_ONCE, ("tuned",), _IN_PYTHON),
        Program(LOOP, _HAND, _AT_LEAST_ONCE, ("default",)),
        Program("loop, compiled, tuned", _HAND, _AT_LEAST_ONCE, ("tuned",)),
        Worker(WORKER, _AT_LEAST_ONCE),
        Worker("worker, exactly once", "exactly once", _EXACTLY_ONCE),
        Worker("worker, not aligned", _AT_LEAST_ONCE, _NOT_ALIGNED),
        Worker("worker, not aligned, exactly once", "exactly once", _NOT_ALIGNED | _EXACTLY_ONCE),
    ]
    if against is not None:
        found.append(Worker("worker there", _AT_LEAST_ONCE, root=against.resolve()))
    return [*found, *_PEOPLES]


_PEOPLES: Final[list[Contender]] = [
    Program(
        "usual loop", "benchmarks.contest.loops.usual", "none: commits by the clock", is_slow=True
    ),
    Program(
        "Faust, per event",
        "benchmarks.contest.loops.faust_agents",
        "acknowledges whatever became of it",
        ("event",),
        is_slow=True,
    ),
    Program(
        "Faust, take",
        "benchmarks.contest.loops.faust_agents",
        "acknowledges whatever became of it",
        ("take",),
    ),
]


def chosen(only: Collection[str] | None, against: Path | None = None) -> list[Contender]:
    """All, or those that are asked for: by their whole name, or by a part that is nobody's whole name."""
    everybody = [*contenders(against), *peers()]
    names = {contender.name for contender in everybody}
    return [
        contender
        for contender in everybody
        if not only
        or any(p == contender.name or (p not in names and p in contender.name) for p in only)
    ]


def peers() -> list[Contender]:
    """The other projects: as documented, an event at a time, and in their best way for batches."""
    return [
        Program(
            f"{title}, {'per event' if way == 'event' else 'batches'}",
            f"benchmarks.peers.{module}",
            guarantee,
            (way,),
            is_slow=way == "event",
            venv=ROOT / ".cache" / "peers" / module,
        )
        for title, module, guarantee in (
            ("Quix Streams", "quix", "at least once"),
            ("FastStream", "fast_stream", "at least once"),
            ("arroyo", "arroyo_strategies", "at least once"),
            ("bytewax", "bytewax_flow", "none without its recovery store"),
            ("pathway", "pathway_tables", "none without its persistence"),
        )
        for way in ("event", "batch")
    ]
