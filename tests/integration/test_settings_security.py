"""Settings against a broker with TLS, SCRAM passwords and permissions."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from stream_app.config.settings import Settings
from stream_app.kafka.brokers import Brokers
from stream_app.local import Acl, LocalKafka, SaslSsl
from stream_app.records.places import PartitionId
from tests.services import choose

PASSWORD = "hunter2-do-not-show"
SECONDS = 20.0


@pytest.fixture(scope="module")
def broker(request: pytest.FixtureRequest) -> Iterator[LocalKafka]:
    """Run a broker where `worker` may do what a worker does, and nothing else."""
    if choose(request.config.getoption("--services")) != "local":
        pytest.skip("a broker with TLS runs as a local child process only")
    security = SaslSsl(
        users={"worker": PASSWORD},
        acls=[
            Acl("worker", "READ", "TOPIC", "events"),
            Acl("worker", "DESCRIBE", "TOPIC", "events"),
            Acl("worker", "READ", "GROUP", "flights"),
            Acl("worker", "WRITE", "TOPIC", "predictions"),
            Acl("worker", "DESCRIBE", "TOPIC", "predictions"),
        ],
    )
    with LocalKafka(topics={"events": 1, "predictions": 1}, security=security) as service:
        yield service


@pytest.fixture
def settings(
    broker: LocalKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """What an operator writes: properties in the file, the password in a variable."""
    for name in [name for name in os.environ if name.startswith("STREAM_APP_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    properties = broker.client_config("worker")
    kafka = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanisms": "SCRAM-SHA-512",
        "ssl.ca.location": properties["ssl.ca.location"],
    }
    lines = [f"{json.dumps(name)} = {json.dumps(value)}" for name, value in kafka.items()]
    (tmp_path / "stream_app.toml").write_text("\n".join(["[kafka]", *lines]))
    monkeypatch.setenv("STREAM_APP_BOOTSTRAP_SERVERS", broker.bootstrap)
    monkeypatch.setenv("STREAM_APP_SASL_USERNAME", "worker")
    monkeypatch.setenv("STREAM_APP_SASL_PASSWORD", PASSWORD)
    loaded = Settings.load()
    loaded.check_kafka_properties()
    yield loaded
    assert PASSWORD not in str(loaded.explain())


def test_every_client_gets_in_with_the_properties_of_the_settings(
    broker: LocalKafka, settings: Settings
) -> None:
    """The consumer reads, the producer writes, the admin client describes."""
    administrator = Producer({**broker.client_config()})
    administrator.produce("events", b"event")
    assert administrator.flush(SECONDS) == 0
    # The worker decides itself where to begin; here the brokers may.
    consumer = Consumer(
        {**settings.consumer_properties("flights"), "auto.offset.reset": "earliest"}
    )
    try:
        consumer.subscribe(["events"])
        values = []
        deadline = time.monotonic() + SECONDS
        while not values and time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is not None and message.error() is None:
                values.append(message.value())
        assert values == [b"event"]
    finally:
        consumer.close()
    failures: list[object] = []
    producer = Producer(settings.producer_properties())
    producer.produce("predictions", b"prediction", on_delivery=lambda e, _: failures.append(e))
    assert producer.flush(SECONDS) == 0
    assert failures == []
    admin = AdminClient(settings.admin_properties())
    assert set(admin.list_topics(timeout=SECONDS).topics) == {"events", "predictions"}
    ends = Brokers(admin, seconds=SECONDS).ends([PartitionId("predictions", 0)])
    assert ends == {("predictions", 0): 1}


def test_without_the_password_nobody_gets_in(settings: Settings) -> None:
    """The broker's answer is an error of Kafka, not of the settings."""
    stranger = Settings(
        bootstrap_servers=settings.bootstrap_servers,
        kafka={**settings.kafka, "log_level": "0"},
        sasl_username="worker",
        sasl_password="guessed",  # type: ignore[arg-type]  # pydantic makes it a secret
    )
    with pytest.raises(KafkaException):
        AdminClient(stranger.admin_properties()).list_topics(timeout=3)
