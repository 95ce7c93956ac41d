"""A real schema registry: what its serializers wrote is decoded, and its absence is waited for."""

import json
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stream_app import ProtobufDecoder
from stream_app.features.events import InvalidEventError, LogRecord
from tests.integration.conftest import NO_REDIS
from tests.integration.registry import LocalRegistry
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Sent, Worker
from tests.unit.decoders.formats import (
    FIELDS,
    NOON,
    PROTOBUF,
    Payment,
    decoders,
    protobuf_class,
    serializers,
)

pytestmark = pytest.mark.usefixtures("local_only")


@pytest.fixture(scope="module")
def registry() -> Iterator[LocalRegistry]:
    """A registry that the tests may freeze."""
    for package in ("fastavro", "jsonschema", "httpx2", "google.protobuf"):
        pytest.importorskip(package)
    with LocalRegistry() as service:
        yield service


@pytest.mark.parametrize("form", ["avro", "json"])
def test_what_a_serializer_wrote_is_an_event(registry: LocalRegistry, form: str) -> None:
    """In each format; a schema that the registry does not know is the record's fault."""
    properties = {"url": registry.url}
    decode = decoders(properties)[form]
    message = LogRecord(serializers(properties)[form](FIELDS), topic=f"payments.{form}")
    event = decode(message)
    assert isinstance(event, Payment)
    assert (event.event_id, event.event_time) == ("p1", NOON.timestamp())
    assert (event.amount, event.country, event.limits) == (5.0, "DE", {"day": 3})
    value = message.value or b""
    with pytest.raises(InvalidEventError) as refused:
        decode(message._replace(value=value[:1] + b"\x00\x0f\x42\x40" + value[5:]))
    assert refused.value.reason == "unknown-schema"


def test_protobuf_is_decoded_without_asking_this_registry(registry: LocalRegistry) -> None:
    """It takes the schemas of Protobuf as text, and cannot give them in the compiled form."""
    request = urllib.request.Request(
        f"{registry.url}/subjects/payments.protobuf-value/versions",
        json.dumps({"schemaType": "PROTOBUF", "schema": PROTOBUF}).encode(),
        {"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        number = int(json.load(answer)["id"])
    # After the schema's id comes the path of the message in its file; one zero stands for the first.
    value = b"\x00" + number.to_bytes(4) + b"\x00" + protobuf_class()(**FIELDS).SerializeToString()
    event = ProtobufDecoder(Payment, protobuf_class())(LogRecord(value))
    assert isinstance(event, Payment)
    assert (event.event_id, event.country, event.limits) == ("p1", "DE", {"day": 3})


def says(worker: Worker, what: str) -> bool:
    """Whether the worker tells a probe what it waits for."""
    status, why = worker.get("/readyz")
    return status == 503 and what in why


def test_a_registry_that_is_away_is_waited_for(
    cluster: Cluster, registry: LocalRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Probes and log name it; a stop ends the wait; what waited is predicted, and nothing is lost."""
    monkeypatch.setenv("TEST_REGISTRY_URL", registry.url)
    from tests.usecases import framed_text

    testbed = Testbed(framed_text, tmp_path, cluster, NO_REDIS)
    (topic,) = testbed.topics
    # Of a schema that the start of a worker does not ask for: what is known is not asked for again.
    sent = [
        Sent(topic, framed_text.framed(ticket, schema="LaterTicket"), timestamp=time.time())
        for number in range(20)
        for ticket in [
            {
                "event_id": f"t{number}",
                "event_time": datetime.now(UTC).isoformat(),
                "text": "my parcel is late",
            }
        ]
    ]
    with testbed.worker() as first:
        first.ready()
        registry.pause()
        try:
            testbed.cluster.produce([*sent, Sent(topic, b'{"plain": "JSON"}')])
            first.until("it waits", lambda: says(first, "waits for schema registry"))
            assert first.metric("stream_app_waiting", service="schema registry") == 1
            assert first.get("/livez")[0] == 200
            assert first.stop() == 0, first.log
            second = testbed.worker().start()
            second.until("it waits to begin", lambda: "waiting for schema registry" in second.log)
        finally:
            registry.resume()
    with second:
        second.until(
            "all is predicted",
            lambda: testbed.cluster.count(testbed.usecase.predictions_topic) == len(sent),
        )
        second.until("it is ready", lambda: second.get("/readyz")[0] == 200)
        (letter,) = testbed.cluster.read(testbed.usecase.dead_letters_topic)
        assert letter.letter.reason == "not-framed"
        assert "schema registry is back after " in second.log
        assert second.stop() == 0, second.log
