"""Spans: one of each batch with its stages below it, and one of each record that is sampled.

A batch is a trace of its own: its records come from many traces. A record whose `traceparent` says that
its trace is recorded gets a span in that trace, a child of the span that sent the event, and the two
spans name each other by links. The record's span is the parent of what comes of it: its context goes out
with the prediction or the dead letter. So who follows an event finds what the worker did with it, and
who looks at a slow batch finds the events in it.

A record that is not sampled keeps the context that it came with: no span of ours exists that could be
named as the parent. A record without a context gets none: whether its prediction begins a trace is for
who reads it to say, and not for a batch of thousands of records, all of which would be sampled or none.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)

from stream_app.observer.events import (
    BatchAbandoned,
    BatchBegan,
    BatchFinished,
    CommitAnswered,
    StageEnded,
)
from stream_app.observer.observer import Listener, on
from stream_app.otel.trace_context import (
    TraceContext,
    may_be_sampled,
    sampled_context,
    traceparent,
)
from stream_app.records.batch import Batch, BatchRecords
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.text.foreign import bounded

__all__ = ["BatchSpans"]

_BEFORE: Final = frozenset({"align", "decode"})
"""Stages in which there is no batch yet; they are of the batch that begins next on their thread."""
_WITHIN: Final = frozenset({"enrich", "score", "publish", "state"})
_FINISH: Final = "finish"
_MOST_BEFORE: Final = 8
_MOST_UNCOMMITTED: Final = 256
"""So many batches are remembered until a commit covers them."""
_MOST_PARTITIONS: Final = 32
"""So many are named in a batch's span."""
_NANOSECONDS: Final = 1_000_000_000


@dataclass(slots=True)
class _Open:
    """A batch under way."""

    span: Span
    sampled: list[tuple[Item, Span]]


@dataclass(slots=True)
class _Uncommitted:
    """A finished batch whose offsets are not committed yet."""

    span: Span
    left: dict[Partition, int]
    """The offset of the last record in each partition that no commit has covered."""


@dataclass(slots=True, frozen=True)
class _Stage:
    """When a stage was at work, in nanoseconds since the epoch."""

    stage: str
    start: int
    end: int


class _Thread(threading.local):
    """What a thread has done that is of no batch yet, or of no stage."""

    def __init__(self) -> None:
        self.before: deque[_Stage] = deque(maxlen=_MOST_BEFORE)
        self.finished: list[Span] = []


@dataclass
class BatchSpans:
    """Makes the spans; any thread may tell it what happened. Listens by `listeners`."""

    tracer: Tracer
    application: str
    most_records: int
    """So many sampled records of a batch have a span and a link."""
    commits_in_finish: bool
    """Whether offsets are committed in the stage `finish`, as a transaction does."""
    _open: dict[int, _Open] = field(default_factory=dict)
    _uncommitted: deque[_Uncommitted] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: _Thread = field(default_factory=_Thread)

    @property
    def listeners(self) -> Sequence[Listener]:
        """What it has to be told of."""
        return (
            on(BatchBegan, lambda it: self._began(it.batch)),
            on(StageEnded, self._stage_ended),
            on(BatchAbandoned, lambda it: self._abandoned(it.batch)),
            on(BatchFinished, self._finished),
            on(CommitAnswered, self._committed),
        )

    def _began(self, batch: Batch) -> None:
        before, self._thread.before = self._thread.before, deque(maxlen=_MOST_BEFORE)
        now = time.time_ns()
        start = min([now, *(each.start for each in before)])
        sampled = [
            item
            for item in batch.items
            if item.record.headers and may_be_sampled(item.record.headers)
        ]
        # Of a producer that samples all it sends, no more are read than are gone into.
        chosen = [
            (item, _span_context(context))
            for item in sampled[: self.most_records]
            if (context := sampled_context(item.record.headers)) is not None
        ]
        span = self.tracer.start_span(
            "process batch",
            kind=SpanKind.CONSUMER,
            links=[Link(context, _place(item)) for item, context in chosen],
            attributes={
                **self._common(),
                "messaging.batch.message_count": len(batch.items),
                "stream_app.batch.number": batch.number,
                "stream_app.batch.records": _ranges(batch),
                "stream_app.batch.sampled_records": len(sampled),
            },
            start_time=start,
        )
        for each in before:
            self._stage(span, each)
        records = [(item, self._record(item, context, span, start)) for item, context in chosen]
        if span.is_recording() or records:
            self._open[batch.number] = _Open(span, records)

    def _record(self, item: Item, parent: SpanContext, batch: Span, start: int) -> Span:
        """Begin the span of a sampled record, and let what comes of the record carry its context."""
        span = self.tracer.start_span(
            f"process {item.record.topic}",
            context=set_span_in_context(NonRecordingSpan(parent)),
            kind=SpanKind.CONSUMER,
            links=[Link(batch.get_span_context())] if batch.is_recording() else (),
            attributes={**self._common(), **_place(item)},
            start_time=start,
        )
        if span.is_recording():
            context = span.get_span_context()
            item.traceparent = traceparent(context.trace_id, context.span_id, context.trace_flags)
        return span

    def _stage_ended(self, it: StageEnded) -> None:
        end = time.time_ns()
        took = _Stage(it.stage, end - round(it.seconds * _NANOSECONDS), end)
        if it.stage in _BEFORE:
            self._thread.before.append(took)
        elif it.stage in _WITHIN and isinstance(it.records, BatchRecords):
            opened = self._open.get(it.records.batch.number)
            if opened is not None:
                self._stage(opened.span, took)
        elif it.stage == _FINISH:
            finished, self._thread.finished = self._thread.finished, []
            for span in finished:
                self._stage(span, _Stage("commit", took.start, took.end))

    def _stage(self, batch: Span, took: _Stage) -> None:
        if batch.get_span_context().trace_flags.sampled:  # also where it has ended
            self.tracer.start_span(
                took.stage, context=set_span_in_context(batch), start_time=took.start
            ).end(took.end)

    def _abandoned(self, batch: Batch) -> None:
        opened = self._open.pop(batch.number, None)
        if opened is not None:
            # The spans of its records never end, so they are not sent: the records come again.
            opened.span.set_status(
                Status(StatusCode.ERROR, "given up; its records are taken again")
            )
            opened.span.end()

    def _finished(self, it: BatchFinished) -> None:
        opened = self._open.pop(it.batch.number, None)
        if opened is None:
            return
        end = time.time_ns()
        for item, span in opened.sampled:
            _end_record(span, item, end)
        span = opened.span
        if not span.is_recording():
            return
        span.set_attribute("stream_app.batch.predictions", len(it.served))
        span.set_attribute("stream_app.batch.dead_letters", len(it.failed))
        span.end(end)
        if self.commits_in_finish:
            self._thread.finished.append(span)
            return
        with self._lock:
            self._uncommitted.append(_Uncommitted(span, dict(it.batch.ends)))
            while len(self._uncommitted) > _MOST_UNCOMMITTED:
                self._uncommitted.popleft()

    def _committed(self, it: CommitAnswered) -> None:
        if not it.committed or not self._uncommitted:
            return
        end = time.time_ns()
        took = _Stage("commit", end - round(it.seconds * _NANOSECONDS), end)
        covered = []
        with self._lock:
            for each in self._uncommitted:
                for partition, offset in it.committed.items():
                    if each.left.get(partition, offset) < offset:
                        del each.left[partition]
            covered = [each for each in self._uncommitted if not each.left]
            self._uncommitted = deque(each for each in self._uncommitted if each.left)
        for each in covered:
            self._stage(each.span, took)

    def _common(self) -> dict[str, Any]:
        return {
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
            "messaging.consumer.group.name": self.application,
        }


def _span_context(context: TraceContext) -> SpanContext:
    return SpanContext(
        context.trace_id,
        context.span_id,
        is_remote=True,
        trace_flags=TraceFlags(context.flags),
        trace_state=TraceState.from_header([context.state]) if context.state else None,
    )


def _place(item: Item) -> dict[str, Any]:
    """Where a record lies, by the names that OpenTelemetry has for it."""
    return {
        "messaging.destination.name": item.record.topic,
        "messaging.destination.partition.id": str(item.record.partition.number),
        "messaging.kafka.offset": item.offset,
    }


def _end_record(span: Span, item: Item, end: int) -> None:
    failure, served = item.failure, item.served
    if failure is not None:
        span.set_attribute("stream_app.outcome", "dead_lettered")
        span.set_attribute("stream_app.stage", failure.stage)
        span.set_attribute("stream_app.reason", bounded(str(failure.reason)))
        span.set_status(Status(StatusCode.ERROR, bounded(str(failure.reason))))
    elif served is not None:
        span.set_attribute("stream_app.outcome", "predicted")
        span.set_attribute("stream_app.model", f"{served.model}/{served.version}")
        span.set_attribute("stream_app.served_by", served.served_by)
        if served.degraded is not None:
            span.set_attribute("stream_app.degraded", served.degraded)
    else:
        span.set_attribute("stream_app.outcome", "skipped" if item.is_skipped else "state_only")
    span.end(end)


def _ranges(batch: Batch) -> list[str]:
    """The records of a batch: ``TOPIC[PARTITION] FIRST-LAST`` of each partition."""
    first: dict[Partition, int] = {}
    for item in batch.items:
        first.setdefault(item.record.partition, item.offset)
    named = [
        f"{partition} {first[partition]}-{last}"
        for partition, last in batch.ends.items()
        if partition in first
    ]
    more = len(named) - _MOST_PARTITIONS
    return named if more <= 0 else [*named[:_MOST_PARTITIONS], f"and {more} more partitions"]
