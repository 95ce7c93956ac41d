"""Which stage a stack belongs to, and what its thread does there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

__all__ = ["RUNNING", "Stack", "stacks", "what"]

RUNNING: Final = "running"
_GIL: Final = "waiting for the GIL"
_WAITING: Final = "waiting"

#: Native functions in which a thread waits, by the beginning of their names.
_WAITS: Final = (
    "pthread_cond_", "__pthread_cond", "pthread_clockjoin", "sem_", "do_futex_wait", "futex", "epoll_", "poll",
    "__poll", "ppoll", "select", "clock_nanosleep", "recv", "__libc_recv", "accept", "PyThread_acquire_lock",
)  # fmt: skip

#: CPython waits for the GIL on a condition variable, and for everything else on a semaphore; `take_gil`
#: itself is often inlined, or has no symbol. Libraries have condition variables of their own.
_CONDITIONS: Final = ("pthread_cond_", "__pthread_cond", "take_gil")
_NOT_PYTHONS: Final = ("confluent_kafka", "rdkafka", "onnxruntime", "PyThread_acquire_lock")

#: A part of a frame, as `function (file:line)`, to the stage it is of. The innermost frame that has one
#: decides, but for the collector, which runs in the middle of anything.
_STAGES: Final = (
    ("(stream_app/alignment/", "align"),
    ("(stream_app/predictor/decode.py", "decode"),
    ("(stream_app/features/events/", "decode"),
    ("FeatureEngine.gather ", "keys and updates"),
    ("(stream_app/features/engine/evaluation.py", "keys and updates"),
    ("StateStage.read ", "state: read"),
    ("StateStage.stage ", "state: pack"),
    ("StateStage.write ", "state: write"),
    ("FeatureEngine.advance ", "columns and updates applied"),
    ("(stream_app/predictor/enrich.py", "enrich, the rest"),
    ("(stream_app/predictor/lateness.py", "enrich, the rest"),
    ("(stream_app/models/tensors.py", "tensors"),
    ("(stream_app/models/columns.py", "tensors"),
    ("(stream_app/models/session.py", "ONNX"),
    ("(onnxruntime/", "ONNX"),
    ("(stream_app/models/", "answers"),
    ("(stream_app/predictor/score.py", "answers"),
    ("(stream_app/wire/", "outgoing"),
    ("(stream_app/delivery/", "produce"),
    ("(stream_app/kafka/producers.py", "produce"),
    ("(stream_app/kafka/offset", "commit"),
    ("(stream_app/kafka/consumer/offset", "commit"),
    ("(stream_app/kafka/consumer/", "poll"),
    ("(stream_app/flood/", "flood breaker"),
    ("(stream_app/observer/", "metrics and log"),
    ("(stream_app/telemetry/", "metrics and log"),
    ("(stream_app/status_page/", "metrics and log"),
    ("(uvicorn/", "metrics and log"),
    ("(prometheus_client/", "metrics and log"),
    # The hand-written loop's own.
    ("HandWrittenLoop._consume ", "poll"),
    ("HandWrittenLoop._commit ", "commit"),
    ("HandWrittenLoop._compute ", "between the stages"),
    ("HandWrittenLoop._deliver", "produce"),
    ("FeatureWork._read ", "state: read"),
    ("FeatureWork._stage ", "state: pack"),
    ("FeatureWork.write ", "state: write"),
    ("FeatureWork._forget_written ", "state: read"),
    ("FeatureWork._predictions ", "outgoing"),
    ("FeatureWork._check_time ", "decode"),
    ("FeatureWork.compute ", "decode"),
    ("(stream_app/features/engine/arrival.py", "decode"),
    ("(stream_app/worker/", "between the stages"),
    ("(faust/", "between the stages"),
    ("(mode/", "between the stages"),
    ("(asyncio/", "between the stages"),
    ("(concurrent/futures/", "between the stages"),
)
_COLLECTOR: Final = "garbage collection"
_THREAD: Final = re.compile(r'thread \((?P<id>\w+)\)(?:: "?(?P<name>[^"]*)"?)?$')


class Stack(NamedTuple):
    """A stack, and how often it was seen."""

    thread_id: int
    """Of the operating system."""
    thread: str
    frames: Sequence[str]
    """Outermost first; `function (file:line)`."""
    seen: int

    @property
    def does(self) -> str:
        """`RUNNING`, or what it waits for."""
        inner = self.frames[-6:]
        if any(frame.startswith(_CONDITIONS) for frame in inner[-3:]) and not any(
            library in frame for frame in inner for library in _NOT_PYTHONS
        ):
            return _GIL
        return _WAITING if any(frame.startswith(_WAITS) for frame in inner[-3:]) else RUNNING

    @property
    def stage(self) -> str:
        """What it is part of."""
        if any(frame.startswith(("gc_collect", "_PyGC")) for frame in self.frames):
            return _COLLECTOR
        for frame in reversed(self.frames):
            for part, stage in _STAGES:
                if part in frame:
                    return stage
        return "other"


def stacks(text: str) -> Iterator[Stack]:
    """The stacks of a recording: `py-spy record --format raw --threads --idle --native`."""
    for line in text.splitlines():
        frames, _, count = line.rpartition(" ")
        thread, *inner = frames.split(";")
        found = _THREAD.match(thread)
        if found and inner:
            name = (found["name"] or "").strip()
            yield Stack(int(found["id"], 0), name, inner, int(count))


def what(recorded: Iterable[Stack]) -> dict[int, Counter[tuple[str, str]]]:
    """How often each thread was seen doing what, by stage: keys are `does` and `stage`."""
    seen: dict[int, Counter[tuple[str, str]]] = {}
    for stack in recorded:
        seen.setdefault(stack.thread_id, Counter())[stack.does, stack.stage] += stack.seen
    return seen
