"""Training and serving read the same numbers: measured on real flights, Kafka and Redis."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from demo.observation import Observation
from demo.offline import decoded, in_order
from demo.topics import Offsets, Reader
from demo.worker import Worker
from features.flights import usecase
from features.flights.data.year import records
from stream_app import make_matrix, read_topics
from stream_app.features.engine.order import rank
from stream_app.features.engine.replay import LoggedEvent, Replay
from stream_app.features.events import Event
from stream_app.local import LocalServices
from stream_app.records.places import PartitionId, Place

_A_DAY = 2_700
_FEATURE_LOG = "flights.features"


@pytest.mark.timeout(240)
def test_every_float_served_from_a_backlog_is_the_offline_one(
    request: pytest.FixtureRequest,
) -> None:
    """A day of flights, drained by one worker, is served from float32s equal to the replay's.

    So are those of the matrix that training makes of the same topics, read from Kafka.
    """
    if request.config.getoption("--services") == "none":
        pytest.skip("--services=none was asked for")
    topics = {topic.name: topic.partitions for topic in usecase.topics}
    outputs = dict.fromkeys((usecase.predictions_topic, usecase.dead_letters_topic), 8)
    with LocalServices(topics=topics | outputs | {_FEATURE_LOG: 8}) as services:
        _produce(services.kafka)
        partitions = [PartitionId(name, n) for name, count in topics.items() for n in range(count)]
        offsets = Offsets(services.kafka, usecase.name)
        ends = offsets.ends(partitions)
        with Worker(
            "features.flights:usecase",
            application=usecase.name,
            bootstrap_servers=services.kafka,
            redis_url=services.redis,
            feature_log_topic=_FEATURE_LOG,
        ) as worker:
            worker.start()
            deadline = time.monotonic() + 120.0
            while any(offsets.committed(ends).get(p, 0) < end for p, end in ends.items()):
                worker.check()
                assert time.monotonic() < deadline, "the backlog was not drained in time"
                time.sleep(0.1)
            assert worker.stop() == 0
        served = _served(services.kafka, offsets)
        sources = _sources(services.kafka, ends)
        matrix = make_matrix(usecase, read_topics(usecase, bootstrap_servers=services.kafka))
    events = decoded(usecase, sources.sources, dict.fromkeys(sources.sources, None))
    ordered = [place for place, _ in in_order(usecase, sources.sources, events)]
    offline = _replayed(ordered, events)
    numeric = [n for n, kind in usecase.features.dtypes.items() if kind == "float32"]
    places = [usecase.features.columns.index(name) for name in numeric]
    assert len(served) == len(offline) > 500
    different = {
        name
        for place, row in offline.items()
        for name, position in zip(numeric, places, strict=True)
        if _bits(row[position]) != _bits(served[events[place].event_id][name])
    }
    assert different == set()
    trained = dict(
        zip(matrix.ids, zip(*(matrix.columns[n] for n in numeric), strict=True), strict=True)
    )
    assert len(trained) == len(offline)
    for place, row in offline.items():
        cells = trained[events[place].event_id]
        assert [_bits(cell) for cell in cells] == [_bits(row[position]) for position in places]


def _replayed(ordered: list[Place], events: Mapping[Place, Event]) -> dict[Place, list[Any]]:
    """The rows that training would see: the replay that makes its matrix, over the same events."""
    positions = {topic.name: position for position, topic in enumerate(usecase.topics)}
    asked = [place for place in ordered if isinstance(events[place], usecase.features.triggers)]
    rows = Replay(usecase.features)(
        LoggedEvent(events[place], rank(positions[place.topic], place.partition), place.offset)
        for place in ordered
    )
    return {place: row.values for place, row in zip(asked, rows, strict=True)}


def _bits(value: float | None) -> bytes:
    return np.float32(np.nan if value is None else value).tobytes()


def _produce(bootstrap: str) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
    for record in records(count=_A_DAY):
        producer.produce(record.topic, record.value, record.key)
    assert producer.flush(30.0) == 0


def _served(bootstrap: str, offsets: Offsets) -> dict[str, dict[str, float | None]]:
    partitions = [PartitionId(_FEATURE_LOG, n) for n in range(8)]
    with Reader(bootstrap, partitions) as reader:
        logged = [m for ms in reader.read_to(offsets.ends(partitions)) for m in ms]
    values = [json.loads(message.value() or b"{}") for message in logged]
    return {value["event_id"]: value["columns"] for value in values}


def _sources(bootstrap: str, ends: dict[PartitionId, int]) -> Observation:
    observation = Observation(usecase)
    with Reader(bootstrap, ends) as reader:
        for messages in reader.read_to(ends):
            observation.take(messages)
    return observation
