"""What tracing costs an event, by its parts, without Kafka and Redis: ``python -m benchmarks.tracing``.

Batches go through what makes the spans, as the worker tells of them; the spans are thrown away, encoded,
or encoded and sent to a collector in another process. CPU time of this process, all of its threads, so
each line less the one before it is the price of one part. The first is what a worker pays whose producers
send trace contexts and which has tracing switched off.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Final

from benchmarks.collector import collecting
from stream_app.features.events import Event
from stream_app.features.stores import Source
from stream_app.observer.events import BatchBegan, BatchFinished, CommitAnswered, StageEnded
from stream_app.observer.observer import Observer
from stream_app.records.batch import Batch, BatchRecords
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.records.record import Record
from stream_app.wire.headers import traced

_PARTITIONS: Final = 8
_STAGES: Final = ("enrich", "score", "publish", "state")


def main() -> None:
    """Print microseconds of CPU an event for each part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=2_300, help="records of a batch")
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--sampled", type=float, default=0.01, help="share of sampled events")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with collector() as address:
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = address
        found: dict[str, list[float]] = {}
        for _ in range(options.rounds):
            for name, observer, close in contenders():
                found.setdefault(name, []).append(_measure(observer, close, options))
    for name, each in found.items():
        print(f"{name:<34} {min(each):6.2f} us an event (most {max(each):.2f})")


def contenders() -> Iterator[tuple[str, Observer, Callable[[], object]]]:
    """Nobody who listens, and listeners whose spans go further and further."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    from stream_app.otel.exporting import make_spans

    class Dropped(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:  # noqa: ARG002
            return SpanExportResult.SUCCESS

    class Encoded(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            encode_spans(spans).SerializeToString()
            return SpanExportResult.SUCCESS

    def told(provider: TracerProvider) -> Observer:
        return Observer(make_spans(provider, "bench", commits_in_finish=False).listeners)

    yield "off", Observer(()), lambda: None
    nothing = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    yield "on, no span recorded", told(nothing), nothing.shutdown
    for name, exporter in (
        ("spans made and thrown away", Dropped()),
        ("spans made and encoded", Encoded()),
        ("spans made, encoded and sent", OTLPSpanExporter()),
    ):
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        yield name, told(provider), provider.shutdown


def _measure(observer: Observer, close: Callable[[], object], options: argparse.Namespace) -> float:
    partitions = [
        Partition("flights", number, number, Source("cluster", "flights-id", number))
        for number in range(_PARTITIONS)
    ]
    batches = [
        _batch(number, partitions, options.batch, options.sampled)
        for number in range(min(10, options.batches))
    ]
    begin = time.process_time()
    for number in range(options.batches):
        _pass(observer, batches[number % len(batches)])
    close()
    events = float(options.batches * options.batch)
    return (time.process_time() - begin) / events * 1e6


def _pass(observer: Observer, batch: Batch) -> None:
    """Tell of a batch as the worker does, and hand on the headers of what comes of it."""
    for stage in ("align", "decode"):
        observer.tell(StageEnded(stage, (), 0.001))
    observer.tell(BatchBegan(batch))
    for stage in _STAGES:
        observer.tell(StageEnded(stage, BatchRecords(batch), 0.001))
    for item in batch.items[::3]:  # one in three is predicted
        if item.record.headers:
            traced(list(item.record.headers), item.traceparent)
    observer.tell(BatchFinished(batch))
    ended = {partition: offset + 1 for partition, offset in batch.ends.items()}
    observer.tell(CommitAnswered(0.002, ended))


def _batch(number: int, partitions: Sequence[Partition], size: int, share: float) -> Batch:
    every = round(1 / share) if share else 0
    served: Any = SimpleNamespace(
        model="flights-late", version="champion-1", served_by="champion", degraded=None
    )
    items = []
    for at in range(size):
        flags = 1 if every and at % every == 0 else 0
        header = b"00-%032x-%016x-%02x" % (number * size + at + 1, at + 1, flags)
        event = Event.model_construct(event_id=str(at), event_time=0.0)
        record = Record(
            partitions[at % _PARTITIONS], number * size + at, 0.0, b"k", b"{}", [("traceparent", header)]
        )  # fmt: skip
        item = Item(record, event)
        if at % 3 == 0:
            item.served = served
        items.append(item)
    ends = {item.record.partition: item.record.offset for item in items}
    return Batch(number, items, ends=ends)


@contextmanager
def collector() -> Iterator[str]:
    """One that takes what comes, in another process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_collect, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _collect(told: Any) -> None:
    with collecting() as address:
        told.send(address)
        while True:
            time.sleep(60)


if __name__ == "__main__":
    main()
