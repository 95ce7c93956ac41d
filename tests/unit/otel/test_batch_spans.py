"""Spans of batches and of sampled records, on the real pipeline, as the SDK's exporter gets them."""

import json
import time
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode

from stream_app.config.settings import Settings
from stream_app.models import Model, load_models
from stream_app.observer.events import BatchAbandoned, BatchBegan, BatchFinished, CommitAnswered
from stream_app.observer.observer import Observer
from stream_app.otel.batch_spans import BatchSpans
from stream_app.otel.exporting import make_spans
from stream_app.otel.trace_context import traceparent
from stream_app.records.headers import Headers
from stream_app.records.partition import Partition
from stream_app.testing import MemoryTopics, Message, Rehearsal
from tests.unit.builders import batch, item, partition
from tests.usecases.regression import events, topic_of, train, usecase

EVENTS = events(120, time.time() - 300.0, step=1.0)
TRACE = 0xABCDEF << 64
STAGES = ["align", "commit", "decode", "enrich", "publish", "score", "state"]


class Spans:
    """Spans as an exporter gets them."""

    def __init__(
        self, sampler: Sampler | None = None, *, most: int = 128, in_finish: bool = False
    ) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.spans = BatchSpans(
            provider.get_tracer("test"), "meters", most_records=most, commits_in_finish=in_finish
        )
        self.observer = Observer(self.spans.listeners)

    def named(self, name: str) -> list[ReadableSpan]:
        """Those of a name, or whose name begins with it and a space."""
        return [
            span
            for span in self.exporter.get_finished_spans()
            if span.name == name or span.name.startswith(f"{name} ")
        ]

    @property
    def batches(self) -> list[ReadableSpan]:
        """Those of batches."""
        return self.named("process batch")

    @property
    def records(self) -> list[ReadableSpan]:
        """Those of sampled records."""
        return [span for span in self.named("process") if span.name != "process batch"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Model]:
    """The regression's model."""
    folder = tmp_path_factory.mktemp("artifacts")
    train(folder)
    return load_models(usecase, folder)


def context(number: int, *, sampled: bool = True) -> Headers:
    """The headers of an event that was sent from the span `number` of a trace of its own."""
    return [
        ("traceparent", traceparent(TRACE + number, number, int(sampled))),
        ("tracestate", b"shop=1"),
        ("baggage", b"user=7"),
    ]


def rehearse(
    models: Sequence[Model], spans: Spans, headers: dict[int, Headers], *, bad: Sequence[int] = ()
) -> MemoryTopics:
    """Run the events through the worker; `bad` ones have a value that is no JSON."""
    topics = MemoryTopics(usecase)
    for number, event in enumerate(EVENTS):
        value = b"{" if number in bad else json.dumps(event).encode()
        topics.send(
            topic_of(event, usecase),
            value,
            event["meter"].encode(),
            headers=headers.get(number, ()),
            timestamp=time.time() - 300.0 + number,
        )
    Rehearsal(
        topics,
        models,
        settings=Settings(batch_max_records=20),
        poll_records=50,
        listeners=spans.spans.listeners,
    ).run()
    return topics


ASKING = [number for number, event in enumerate(EVENTS) if "minutes_ahead" in event]
READING = [number for number, event in enumerate(EVENTS) if "kilowatts" in event]


def given_of(message: Message) -> dict[str, Any]:
    """Headers by name."""
    assert len({name for name, _ in message.headers}) == len(message.headers)
    return dict(message.headers)


def test_a_prediction_carries_the_context_of_a_span_below_the_events(models: list[Model]) -> None:
    """Whoever reads it goes on in the event's trace, below what the worker did; the rest stays."""
    spans, number = Spans(), ASKING[3]
    topics = rehearse(models, spans, {number: context(7)})
    (record,) = spans.records
    assert record.parent is not None
    assert record.parent.span_id == 7
    assert record.context.trace_id == TRACE + 7
    assert record.kind is SpanKind.CONSUMER
    (traced,) = [each for each in topics.predictions if "traceparent" in dict(each.headers)]
    headers = given_of(traced)
    assert headers["traceparent"] == traceparent(TRACE + 7, record.context.span_id, 1)
    assert (headers["tracestate"], headers["baggage"]) == (b"shop=1", b"user=7")
    assert record.attributes is not None
    assert {
        "messaging.system": "kafka",
        "messaging.consumer.group.name": "meters",
        "messaging.destination.name": headers["source-topic"].decode(),
        "messaging.destination.partition.id": headers["source-partition"].decode(),
        "messaging.kafka.offset": int(headers["source-offset"]),
        "stream_app.outcome": "predicted",
        "stream_app.served_by": "champion",
    }.items() <= dict(record.attributes).items()


def test_a_dead_letter_carries_it_too_and_its_span_says_why(models: list[Model]) -> None:
    """A replay of the letter then goes on below the span that failed."""
    spans, number = Spans(), ASKING[3]
    topics = rehearse(models, spans, {number: context(7)}, bad=[number])
    (record,) = spans.records
    (letter,) = topics.dead_letters
    assert given_of(letter)["traceparent"] == traceparent(TRACE + 7, record.context.span_id, 1)
    assert record.status.status_code is StatusCode.ERROR
    assert record.attributes is not None
    assert record.attributes["stream_app.reason"] == "invalid-json"
    assert record.attributes["stream_app.outcome"] == "dead_lettered"


def test_each_batch_is_a_span_with_its_stages_and_its_sampled_records(
    models: list[Model],
) -> None:
    """Who looks at a slow batch sees which stage took long, and finds the events in it."""
    spans = Spans()
    sampled = [ASKING[0], ASKING[1], READING[2]]
    rehearse(models, spans, {number: context(number + 1) for number in sampled})
    assert len(spans.batches) >= 6
    links = [link for span in spans.batches for link in span.links]
    assert {link.context.span_id for link in links} == {number + 1 for number in sampled}
    assert {link.context.trace_state.get("shop") for link in links} == {"1"}
    for span in spans.batches:
        assert span.parent is None
        assert span.attributes is not None
        below = [
            each
            for each in spans.exporter.get_finished_spans()
            if each.parent is not None and each.parent.span_id == span.context.span_id
        ]
        assert {each.name for each in below} <= set(STAGES)
        assert {"enrich", "score", "publish", "state"} <= {each.name for each in below}
        for each in below:
            assert span.start_time <= each.start_time <= each.end_time  # type: ignore[operator]
            assert each.end_time <= span.end_time  # type: ignore[operator]
    counts = [span.attributes["messaging.batch.message_count"] for span in spans.batches]
    assert sum(counts) == len(EVENTS)
    batches = {span.context.span_id for span in spans.batches}
    assert len(spans.records) == len(sampled)
    assert {link.context.span_id for each in spans.records for link in each.links} <= batches
    assert {s.name for s in spans.exporter.get_finished_spans()} >= {"align", "decode"}
    updates = [s for s in spans.records if s.attributes["stream_app.outcome"] == "state_only"]
    assert len(updates) == 1


def test_what_is_not_sampled_is_passed_on_as_it_came(models: list[Model]) -> None:
    """No span of ours exists that a prediction could name as its parent."""
    spans = Spans()
    given: dict[int, Headers] = {
        ASKING[0]: context(1, sampled=False),
        ASKING[1]: [("traceparent", b"no context")],
    }
    topics = rehearse(models, spans, given)
    assert spans.records == []
    carried = {dict(each.headers).get("traceparent") for each in topics.predictions}
    came = {value for headers in given.values() for name, value in headers if name == "traceparent"}
    assert carried == {None, *came}


def test_a_batch_has_a_bounded_number_of_links_and_says_how_many_were_sampled(
    models: list[Model],
) -> None:
    """A producer that samples everything must not cost a span a record; the others pass on."""
    spans = Spans(most=2)
    every = {number: context(number + 1) for number in range(len(EVENTS))}
    topics = rehearse(models, spans, every)
    assert max(len(span.links) for span in spans.batches) == 2
    assert sum(s.attributes["stream_app.batch.sampled_records"] for s in spans.batches) == len(
        EVENTS
    )
    assert len(spans.records) == 2 * len(spans.batches)
    ours = {span.context.span_id for span in spans.records}
    for message in topics.predictions:
        carried = int(dict(message.headers)["traceparent"].split(b"-")[2], 16)
        assert carried in ours or carried <= len(EVENTS)


def test_the_samplers_say_what_is_recorded(models: list[Model]) -> None:
    """By the standard variables: one batch in a hundred, and each event that is sampled."""
    spans = Spans(ParentBased(TraceIdRatioBased(0.0)))
    topics = rehearse(models, spans, {ASKING[0]: context(1)})
    assert spans.batches == []
    (record,) = spans.records
    assert record.links == ()
    assert {s.name for s in spans.exporter.get_finished_spans()} == {record.name}
    assert record.context.span_id in {
        int(value.split(b"-")[2], 16)
        for each in topics.predictions
        if (value := dict(each.headers).get("traceparent"))
    }


def test_a_sampler_that_records_nothing_changes_no_header(models: list[Model]) -> None:
    """The context that came is the last one that anybody recorded."""
    spans = Spans(ALWAYS_OFF)
    topics = rehearse(models, spans, {ASKING[0]: context(1)})
    assert spans.exporter.get_finished_spans() == ()
    carried = [dict(each.headers).get("traceparent") for each in topics.predictions]
    assert list(filter(None, carried)) == [traceparent(TRACE + 1, 1, 1)]


def finished(spans: Spans, number: int, at: Partition, *offsets: int) -> None:
    """A batch begins and is finished."""
    made = batch(number, [item(at, offset) for offset in offsets])
    spans.observer.tell(BatchBegan(made))
    spans.observer.tell(BatchFinished(made))


def test_a_commit_is_a_span_below_each_batch_that_it_covers() -> None:
    """Commits come every so often, and a batch may lie on both sides of one."""
    spans, at = Spans(), partition(3)
    for number in (1, 2):
        finished(spans, number, at, 10 * number, 10 * number + 9)
    spans.observer.tell(CommitAnswered(0.5, {at: 20}))
    first, second = (span.context.span_id for span in spans.batches)
    assert [s.parent.span_id for s in spans.named("commit") if s.parent] == [first]
    spans.observer.tell(CommitAnswered(0.5, {partition(3): 30}))  # an assignment of somebody else's
    spans.observer.tell(CommitAnswered(0.5, {at: 30}))
    assert [s.parent.span_id for s in spans.named("commit") if s.parent] == [first, second]
    (took, _) = (s.end_time - s.start_time for s in spans.named("commit"))  # type: ignore[operator]
    assert took == 500_000_000


def test_a_transaction_is_the_commit_of_the_batches_in_it() -> None:
    """Exactly once, offsets are committed where batches are finished."""
    spans, at = Spans(in_finish=True), partition(3)
    with spans.observer.stage("finish", ()):
        finished(spans, 1, at, 0)
        finished(spans, 2, at, 1)
    commits = [s.parent.span_id for s in spans.named("commit") if s.parent]
    assert commits == [span.context.span_id for span in spans.batches]


def test_a_batch_that_is_given_up_says_so_and_its_records_are_taken_again() -> None:
    """After the store lost states, the same records are answered in another batch."""
    spans, at = Spans(), partition(3)
    again = item(at, 5, headers=context(9))
    given_up, taken = batch(1, [again]), batch(2, [again])
    for event in (BatchBegan(given_up), BatchAbandoned(given_up), BatchBegan(taken)):
        spans.observer.tell(event)
    spans.observer.tell(BatchFinished(taken))
    assert [s.status.status_code for s in spans.batches] == [StatusCode.ERROR, StatusCode.UNSET]
    (record,) = spans.records
    assert again.traceparent == traceparent(TRACE + 9, record.context.span_id, 1)
    assert record.parent is not None
    assert record.parent.span_id == 9


def test_nothing_is_kept_of_batches_that_are_over() -> None:
    """A worker runs for months, also without a commit that covers its batches."""
    spans, at = Spans(), partition(3)
    for number in range(1_000):
        finished(spans, number, at, number)
    assert spans.spans._open == {}
    assert len(spans.spans._uncommitted) <= 256


def test_no_payload_is_in_any_span(models: list[Model]) -> None:
    """Neither keys nor values nor other headers of records; a reason is a code."""
    spans = Spans()
    every = {number: context(number + 1) for number in range(len(EVENTS))}
    rehearse(models, spans, every, bad=[ASKING[0]])
    told = "".join(span.to_json() for span in spans.exporter.get_finished_spans())
    assert "meters.requests" in told
    for event in EVENTS:
        for value in ("meter", "event_id"):
            assert json.dumps(event[value]) not in told
    assert "user=7" not in told


def test_the_standard_variable_bounds_the_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """One number for the SDK and for us: no link is made that would be dropped."""
    monkeypatch.setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "3")
    provider = TracerProvider(shutdown_on_exit=False)
    assert make_spans(provider, "meters", commits_in_finish=False).most_records == 3
    monkeypatch.delenv("OTEL_SPAN_LINK_COUNT_LIMIT")
    assert make_spans(provider, "meters", commits_in_finish=False).most_records == 128
