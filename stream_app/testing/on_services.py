"""The same as in memory, on a real Kafka and a real Redis, by a worker in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaException, Producer

from stream_app.config.settings import Settings
from stream_app.errors import ServiceAwayError, StreamAppError
from stream_app.features.usecase import UseCase
from stream_app.kafka.brokers import Brokers, open_brokers
from stream_app.kafka.log_reader import read_ranges
from stream_app.local import LocalServices, create_topics
from stream_app.local.process import SupervisedProcess
from stream_app.records.headers import read_headers
from stream_app.records.places import PartitionId, Place
from stream_app.state.open_store import open_store
from stream_app.testing.seen import Seen, cells, read_states, seen_of
from stream_app.testing.sent import Sent, completed
from stream_app.testing.topics import Message
from stream_app.wire.feature_row import FeatureRow

__all__ = ["WorkerEndedError", "rehearse_on_services"]

_ROWS: Final = "rehearsal.rows"
_SECONDS: Final = 120.0
_PROBE_SECONDS: Final = 0.1
_FOREVER: Final = {"retention.ms": "-1"}
"""A test's events may be of any year."""


class WorkerEndedError(StreamAppError):
    """The worker ended, or did not come to the end of the records; the message shows its log."""


def rehearse_on_services(
    usecase: UseCase,
    records: Sequence[Sent],
    *,
    spec: str,
    artifacts: str | Path = "artifacts",
) -> Seen:
    """Send records to a worker on a Kafka and a Redis that are started for them; see `rehearse`.

    `spec`: the use case as MODULE:OBJECT, for the process of the worker. Needs the extra `local`.
    Raises `LocalServiceError` and `WorkerEndedError`.
    """
    with LocalServices() as services:
        settings = Settings(
            usecase=spec,
            bootstrap_servers=services.kafka,
            redis_url=services.redis,
            artifacts=Path(artifacts).resolve(),
            feature_log_topic=_ROWS,
            feature_log_share=1.0,
        )
        topics = {topic.name: topic.partitions for topic in usecase.topics}
        written = (usecase.predictions_topic, usecase.dead_letters_topic, _ROWS)
        create_topics(services.kafka, topics | dict.fromkeys(written, 1), _FOREVER)
        with closing(open_brokers(settings, usecase.name)) as brokers:
            given = _produce(services.kafka, completed(usecase, records))
            with _worker(settings) as worker:
                _wait_until_committed(brokers, topics, worker)
            found = {topic: _read(brokers, topic) for topic in written}
            rows = [FeatureRow.of(row.value or b"") for row in found[_ROWS]]
            with closing(open_store(settings, usecase, usecase.name)) as store:
                return seen_of(
                    given,
                    found[usecase.predictions_topic],
                    found[usecase.dead_letters_topic],
                    {row.prediction_id: cells(usecase.features, row.columns) for row in rows},
                    read_states(usecase, [sent for _, sent in given.values()], store),
                )


def _produce(bootstrap: str, records: Sequence[Sent]) -> dict[Place, tuple[int, Sent]]:
    """Send the records in their order; return the place that each was given."""
    given: dict[Place, tuple[int, Sent]] = {}
    errors: list[Exception] = []
    producer = Producer(
        {"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 0}
    )
    for number, sent in enumerate(records):

        def acknowledged(error: Any, message: Any, number: int = number, sent: Sent = sent) -> None:
            if error is not None:
                errors.append(KafkaException(error))
            else:
                place = Place(message.topic(), message.partition(), message.offset())
                given[place] = (number, sent)

        assert sent.partition is not None
        assert sent.timestamp is not None
        producer.produce(
            sent.topic,
            sent.value_bytes,
            sent.key_bytes,
            partition=sent.partition,
            timestamp=round(sent.timestamp * 1_000),
            headers=[*sent.header_list],
            on_delivery=acknowledged,
        )
        producer.poll(0)
    producer.flush(_SECONDS)
    if errors:
        raise errors[0]
    return given


@contextmanager
def _worker(settings: Settings) -> Iterator[SupervisedProcess]:
    """A worker with these settings, which is told to stop in the end."""
    process = SupervisedProcess("worker")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("STREAM_APP_")}
    own = {
        "USECASE": settings.usecase,
        "BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "ARTIFACTS": settings.artifacts,
        "FEATURE_LOG_TOPIC": settings.feature_log_topic,
        "FEATURE_LOG_SHARE": settings.feature_log_share,
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": 0,
    }
    environment = {
        **clean,
        # It runs in a folder of its own, and finds the use case where this process does.
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *filter(None, sys.path)]),
        **{f"STREAM_APP_{name}": str(value) for name, value in own.items()},
    }
    try:
        process.spawn([sys.executable, "-m", "stream_app", "run"], environment)
        yield process
        process.signal(signal.SIGTERM)
        if process.wait(_SECONDS) != 0:
            raise WorkerEndedError(f"the worker did not stop as told:\n{process.log_tail()}")
    finally:
        process.close()


def _wait_until_committed(
    brokers: Brokers, topics: Mapping[str, int], worker: SupervisedProcess
) -> None:
    """Wait until the group has committed the end of every partition that holds a record."""
    partitions = [PartitionId(name, n) for name, count in topics.items() for n in range(count)]
    ends = {each: end for each, end in brokers.ends(partitions).items() if end}
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            committed = brokers.committed(ends, wait=False)
        except ServiceAwayError:  # the group's coordinator is not there yet
            committed = {}
        if all(each in committed and committed[each].offset >= end for each, end in ends.items()):
            return
        if not worker.is_running:
            raise WorkerEndedError(f"the worker ended:\n{worker.log_tail()}")
        if time.monotonic() > deadline:
            raise WorkerEndedError(
                f"the worker did not take all records within {_SECONDS:g} s:\n{worker.log_tail()}"
            )
        time.sleep(_PROBE_SECONDS)


def _read(brokers: Brokers, topic: str) -> list[Message]:
    """Every record of a topic with one partition."""
    partition = PartitionId(topic, 0)
    (end,) = brokers.ends([partition]).values()
    with closing(brokers.log_reader()) as reader:
        return [
            Message(
                topic,
                0,
                message.offset(),
                message.key(),
                message.value(),
                tuple(read_headers(message) or ()),
                message.timestamp()[1] / 1_000.0,
            )
            for taken in read_ranges(reader, {partition: (0, end)})
            for message in taken
        ]
