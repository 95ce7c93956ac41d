"""Brokers refuse what is published: batches, single records, topics. Nothing is lost, or it is said."""

import hashlib
import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from stream_app.wire.dead_letter import omitted
from stream_app.wire.headers import by_name
from tests.integration.conftest import NO_REDIS
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Sent
from tests.usecases import text

LIMIT = 20_000
MODES = ("at_least_once", "exactly_once")


def alter(cluster: Cluster, topic: str, **config: str) -> None:
    """Set settings of a topic; underscores stand for dots."""
    resource = ConfigResource(
        ConfigResource.Type.TOPIC,
        topic,
        incremental_configs=[
            ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
            for name, value in config.items()
        ],
    )
    for done in cluster._admin.incremental_alter_configs([resource]).values():
        done.result()


def ticket(number: int, words: str = "where is my parcel", **more: Any) -> bytes:
    """A valid event."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return json.dumps(
        {"event_id": f"t{number}", "event_time": stamp, "text": words, **more}
    ).encode()


def random(size: int) -> bytes:
    """Bytes that no codec makes smaller."""
    return os.urandom(size)


@pytest.fixture
def testbed(cluster: Cluster, tmp_path: Path) -> Testbed:
    """The text classifier, which needs no Redis."""
    return Testbed(text, tmp_path, cluster, NO_REDIS, {"refusal_seconds": 3})


@pytest.mark.parametrize("delivery", MODES)
def test_no_size_makes_a_prediction_lose_its_value_or_key(testbed: Testbed, delivery: str) -> None:
    """Refused as a batch it goes out; alone, without headers; then it is a dead letter, perhaps
    without what does not fit, and that is told by length and SHA-256."""
    cluster, usecase = testbed.cluster, testbed.usecase
    (topic,) = testbed.topics
    for output in (usecase.predictions_topic, usecase.dead_letters_topic):
        alter(cluster, output, max_message_bytes=str(LIMIT))
    trace = ("traceparent", b"00-ab-cd-01")
    plain = [Sent(topic, ticket(n), b"key-%d" % n, headers=[trace]) for n in range(3_000)]
    big, bigger, huge = random(30_000), random(200_000), random(1_000_000)
    hard: dict[str, Sent] = {
        "headers": Sent(topic, ticket(3_000), b"k", headers=[trace, ("blob", big)]),
        "a 1 MB header": Sent(topic, ticket(3_001), b"k", headers=[("blob", huge)]),
        "a key": Sent(topic, ticket(3_002), bigger, headers=[trace]),
        "a 1 MB key": Sent(topic, ticket(3_003), huge),
        "an invalid value": Sent(topic, big, b"k", headers=[trace]),
        "an invalid value and headers": Sent(topic, bigger, b"k", headers=[("blob", big)]),
        "an invalid value, large key": Sent(topic, b"not JSON", big, headers=[trace]),
        "all": Sent(topic, big, bigger, headers=[("blob", big)]),
        "a tombstone, large headers": Sent(topic, None, b"k", headers=[("blob", big)]),
    }
    sent = [*plain[:1_500], *hard.values(), *plain[1_500:]]
    places = cluster.produce_large(sent)
    by_place = {(topic, *place): record for record, place in zip(sent, places, strict=True)}

    with testbed.worker(delivery=delivery, commit_interval_seconds=0.3) as worker:
        worker.until("all offsets are committed", testbed.drained)
        assert worker.metric("stream_app_records_total", outcome="predicted") == 3_002
        assert worker.metric("stream_app_records_total", outcome="dead_lettered") == 7
        assert worker.metric("stream_app_dead_letters_total", reason="prediction-refused") == 2

    predictions = testbed.predictions()
    assert Counter(out.source for out in predictions).most_common(1)[0][1] == 1
    assert len(predictions) == 3_002
    for out in predictions:
        record = by_place[out.source]
        assert out.key == record.key
        assert out.json["event_id"] == json.loads(record.value or b"")["event_id"]
        passed_on = [h for h in out.headers if h in record.headers]
        assert passed_on == (record.headers if record.headers == [trace] else [])

    letters = testbed.dead_letters()
    assert len(letters) == 7
    seen = set()
    for letter in letters:
        said, headers = letter.letter, by_name(letter.headers)
        record = by_place[said.topic, said.partition, said.offset]
        (name,) = [name for name, each in hard.items() if each is record]
        seen.add(name)
        for part, came, arrived in (
            ("key", record.key, letter.key),
            ("value", record.value, letter.value),
        ):
            if left_out := omitted(headers, part):
                assert arrived is None, name
                digest = hashlib.sha256(came or b"").digest()
                assert left_out == (len(came or b""), digest), name
            else:
                assert arrived == came, name
        assert {part for part in ("headers", "key", "value") if omitted(headers, part)} == {
            "a key": {"headers", "key"},
            "a 1 MB key": {"key"},
            "an invalid value": {"headers", "value"},
            "an invalid value and headers": {"headers", "value"},
            "an invalid value, large key": {"headers", "key"},
            "all": {"headers", "key", "value"},
            "a tombstone, large headers": {"headers"},
        }[name]
        if name in {"a key", "a 1 MB key"}:
            assert (said.stage, said.reason) == ("publish", "prediction-refused")
            assert said.state == "applied"
            assert str(LIMIT) in said.message
            assert "max.message.bytes" in said.message
    assert len(seen) == 7
