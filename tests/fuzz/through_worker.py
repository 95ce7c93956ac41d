"""Records of a seed through a real worker: Kafka, its process and Redis; and what each ended as."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

from confluent_kafka import Consumer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from stream_app.features.events import InvalidEventError, LogRecord
from stream_app.kafka.log_reader import LogReader, read_ranges, reading_properties
from stream_app.records.headers import read_headers
from stream_app.wire.dead_letter import DeadLetter
from stream_app.wire.headers import by_name
from stream_app.wire.prediction import PredictionHeaders
from stream_app.wire.reasons import REASONS
from tests.fuzz.records import record
from tests.integration.hand import run
from tests.integration.testbed import Testbed
from tests.integration.worker import Sent

__all__ = ["through_worker"]

_AT_ONCE = 2_000
_LARGEST = 4 * 2**20
_SETTINGS = {"retention.ms": "-1", "max.message.bytes": str(_LARGEST)}
_SECONDS_A_RECORD = 0.02
"""A machine that is shared may be slow; a worker that stands still is slower."""

#: Topic, partition and offset of a record.
_Place = tuple[str, int, int]


def through_worker(testbed: Testbed, count: int, seed: int) -> Counter[str]:
    """Send so many records of `tests.usecases.regression`, and count how they ended.

    Raises `AssertionError` where one has no end or more than one, where the store does not hold exactly
    the updates that were taken, where the audit finds fault, and where the worker ended.
    """
    testbed.settings["replay_secret"] = "fuzz-the-headers-of-replays"
    # Most records are refused here, so a breaker would rightly stop the partitions.
    testbed.settings["flood_breaker"] = False
    _configure(testbed)
    rng, left = Random(seed), count
    with testbed.worker() as worker:
        worker.ready()
        while left > 0:
            some = min(left, _AT_ONCE)
            testbed.cluster.produce_large(_sent(testbed, record(rng)) for _ in range(some))
            worker.check()
            left -= some
        worker.until("all is taken", testbed.drained, 120.0 + count * _SECONDS_A_RECORD)
        assert worker.stop() == 0, worker.tail()
        assert "Traceback" not in worker.log, worker.tail()
    outcomes = _account(testbed, count)
    report = run(testbed, recompute_state=True, doubles_fail=True)
    assert report.exit_status == 0, report.as_json()
    return outcomes


def _configure(testbed: Testbed) -> None:
    """Let topics keep records of any age, and take the largest."""
    admin = AdminClient({"bootstrap.servers": testbed.cluster.bootstrap})
    usecase = testbed.usecase
    names = [*testbed.topics, usecase.predictions_topic, usecase.dead_letters_topic]
    resources = [
        ConfigResource(
            ResourceType.TOPIC,
            name,
            incremental_configs=[
                ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
                for key, value in _SETTINGS.items()
            ],
        )
        for name in names
    ]
    for done in admin.incremental_alter_configs(resources).values():
        done.result()


def _sent(testbed: Testbed, given: LogRecord) -> Sent:
    """The record for the testbed's topics; a timestamp that brokers refuse is the time of sending."""
    at = given.timestamp
    refused = at is None or not math.isfinite(at) or not 0.0 <= at <= time.time()
    topic = next(name for name in testbed.topics if name.startswith(given.topic))
    return Sent(
        topic,
        given.value,
        given.key,
        timestamp=None if refused else at,
        headers=[(name, _raw(value)) for name, value in given.headers],
    )


def _raw(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def _account(testbed: Testbed, count: int) -> Counter[str]:
    usecase = testbed.usecase
    ends: dict[_Place, list[str]] = {}
    applied = Counter[str]()
    for message in _read(testbed, usecase.predictions_topic):
        said = PredictionHeaders.of(by_name(read_headers(message)))
        ends.setdefault((said.topic, said.partition, said.offset), []).append("prediction")
        applied[said.topic] += 1
    for message in _read(testbed, usecase.dead_letters_topic):
        letter = DeadLetter.of(by_name(read_headers(message)))
        assert letter.disposition == REASONS[letter.reason].disposition == "poison", letter
        ends.setdefault((letter.topic, letter.partition, letter.offset), []).append(letter.reason)
        applied[letter.topic] += letter.state == "applied"
    readings, requests = testbed.topics
    outcomes, meters = Counter[str](), set[str]()
    for topic, decode in zip(testbed.topics, (t.decoder for t in usecase.topics), strict=True):
        for message in _read(testbed, topic):
            place = topic, message.partition(), message.offset()
            found = ends.pop(place, [])
            assert len(found) <= 1, (place, found)
            try:
                meters.add(getattr(decode(LogRecord(message.value())), "meter", ""))
            except InvalidEventError:
                assert found, place
            if not found:
                # Readings alone ask for no prediction; the store is looked at below.
                assert topic == readings, place
                applied[topic] += 1
            outcomes[found[0] if found else "update"] += 1
    assert not ends, list(ends)[:3]
    assert outcomes.total() == count
    for view, topic in (("meter_load", readings), ("meter_asked", requests)):
        states = testbed.states((view, meter) for meter in meters)
        assert sum(state.count for state in states.values()) == applied[topic], view
    return outcomes


def _read(testbed: Testbed, topic: str) -> Iterator[Any]:
    """The records of a topic, one at a time."""
    reader = LogReader(
        Consumer(
            reading_properties(
                {
                    "bootstrap.servers": testbed.cluster.bootstrap,
                    "group.id": "fuzz",
                    "isolation.level": "read_committed",
                    "queued.max.messages.kbytes": 16_384,
                }
            )
        )
    )
    try:
        ranges = {each: (0, end) for each, end in testbed.cluster.ends(topic).items() if end}
        if ranges:
            for messages in read_ranges(reader, ranges):
                yield from messages
    finally:
        reader.close()
