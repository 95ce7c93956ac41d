"""Two further use cases run on a real Kafka, and nothing under stream_app/ knows them."""

import re
from pathlib import Path

from stream_app.text.moments import rfc3339
from tests.integration.testbed import Testbed
from tests.integration.worker import by_source

ROOT = Path(__file__).parents[2]


def check_passed_on(testbed: Testbed) -> None:
    """Keys and headers of the events are those of their predictions."""
    events = {
        (out.topic, out.partition, out.offset): out for out in testbed.cluster.read(*testbed.topics)
    }
    for source, (prediction,) in by_source(testbed.predictions()).items():
        event = events[source]
        assert prediction.key == event.key
        assert prediction.header("traceparent") == event.header("traceparent")
        assert [h for h in prediction.headers if h in event.headers] == event.headers
        assert prediction.header("content-type") == "application/json"


def test_a_regression_predicts_what_the_offline_replay_does_to_the_bit(meters: Testbed) -> None:
    """Drained from a backlog over five partitions, each request is answered once, bits equal."""
    meters.cluster.produce(meters.meters(4_500))
    with meters.worker(batch_max_records=100) as worker:
        worker.until("the backlog is drained", meters.drained)
    predictions = meters.check_nothing_lost(once=True)
    expected = meters.expected()
    assert len(expected) == 1_500
    for prediction in predictions:
        found, wanted = prediction.json, expected[prediction.source]
        meters.usecase.prediction.model_validate_json(prediction.value or b"", strict=True)
        assert found["event_id"] == wanted.event.event_id
        assert found["event_time"] == rfc3339(wanted.event.event_time)
        assert found["kilowatts"] == wanted.fields["kilowatts"], prediction.source
        assert found["peak"] is wanted.fields["peak"]
        assert found["state_freshness_seconds"] == wanted.freshness
        assert (found["served_by"], found["degraded"]) == ("champion", None)
        assert found["model"] == {"name": "meters", "version": "1"}
        assert found["prediction_id"] == prediction.header("prediction-id")
    assert len({prediction.header("prediction-id") for prediction in predictions}) == 1_500
    assert any(wanted.fields["peak"] for wanted in expected.values())
    assert any(wanted.freshness is None for wanted in expected.values())
    meters.check_each_counted_once()
    check_passed_on(meters)


def test_a_text_classifier_needs_no_redis(tickets: Testbed) -> None:
    """Three classes from a string, with probabilities, and nothing listens where Redis would be."""
    tickets.cluster.produce(tickets.tickets(900))
    with tickets.worker() as worker:
        worker.ready()
        worker.until("the backlog is drained", tickets.drained)
    predictions = tickets.check_nothing_lost(once=True)
    expected = tickets.expected()
    for prediction in predictions:
        found, wanted = prediction.json, expected[prediction.source]
        tickets.usecase.prediction.model_validate_json(prediction.value or b"", strict=True)
        assert found["label"] == wanted.fields["label"]
        assert found["probabilities"] == wanted.fields["probabilities"]
        assert abs(sum(found["probabilities"].values()) - 1.0) < 1e-6
        assert max(found["probabilities"], key=found["probabilities"].get) == found["label"]
        assert found["state_freshness_seconds"] is None
    assert {prediction.json["label"] for prediction in predictions} == {
        "billing",
        "delivery",
        "praise",
    }
    check_passed_on(tickets)


def test_the_engine_names_neither(meters: Testbed, tickets: Testbed) -> None:
    """No word of either use case occurs under stream_app/."""
    words = {"tickets", "kilowatts", "meters", "regression"}
    for path in (ROOT / "stream_app").rglob("*.py"):
        assert not words & set(re.findall(r"\w+", path.read_text().lower())), path
