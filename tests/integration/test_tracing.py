"""Traces and metrics of a real worker, sent to a real receiver of OTLP over HTTP."""

import re

import pytest

from stream_app.wire.headers import by_name
from tests.integration.testbed import Testbed
from tests.integration.worker import Sent, headers_of
from tests.otlp_receiver import receiving

EVENTS = 60
STAGES = {"align", "decode", "enrich", "score", "publish", "state", "commit"}


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_an_event_is_followed_through_the_worker_to_its_prediction(
    meters: Testbed, delivery: str
) -> None:
    """From the producer's span to ours, from ours to the prediction; and batches with their commit."""
    cluster, sent = meters.cluster, meters.meters(EVENTS)
    for number, each in enumerate(sent, 1):  # no trace has the number 0
        each.headers = headers_of(number)
    bad = Sent(meters.topics[0], b"no reading", b"m1", headers=sent[0].headers)
    with receiving() as collector:
        worker = meters.worker(opentelemetry=True, delivery=delivery, linger_seconds=0.05)
        worker.environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.address,
            OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
            OTEL_METRIC_EXPORT_INTERVAL="500",
        )
        with worker:
            worker.ready()
            cluster.produce([*sent, bad])
            worker.until("all of it is committed", lambda: cluster.drained(meters.usecase))
            worker.until("a commit is told", lambda: "commit" in {s.name for s in collector.spans})
            assert worker.stop() == 0, worker.log
            counted = collector.newest_metrics["stream_app_records"].sum.data_points
    assert sum(point.as_double for point in counted) == EVENTS + 1
    assert collector.resource()["service.name"] == meters.usecase.name
    assert collector.resource()["deployment.environment.name"] == "test"

    spans = {span.span_id.hex(): span for span in collector.spans}
    batches = {key: span for key, span in spans.items() if span.name == "process batch"}
    assert {s.name for s in spans.values() if s.parent_span_id.hex() in batches} >= STAGES
    parents = {s.parent_span_id.hex() for s in spans.values() if s.name == "commit"}
    assert parents == batches.keys()
    written = cluster.read(meters.usecase.predictions_topic, meters.usecase.dead_letters_topic)
    assert len(written) == sum("minutes_ahead" in str(each.value) for each in sent) + 1
    came = {dict(each.headers)["traceparent"] for each in sent}
    for out in written:
        traceparent = by_name(out.headers)["traceparent"]
        assert isinstance(traceparent, bytes)
        trace, span, flags = re.fullmatch(  # type: ignore[union-attr]
            rb"00-(.{32})-(.{16})-(..)", traceparent
        ).groups()
        assert flags == b"01"
        ours = spans[span.decode()]
        assert ours.trace_id.hex() == trace.decode()
        assert b"00-%s-%s-01" % (trace, ours.parent_span_id.hex().encode()) in came
        assert {link.span_id.hex() for link in ours.links} <= batches.keys()
