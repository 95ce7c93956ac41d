"""A worker as a child process, and what a test sends it and reads of it."""

import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from confluent_kafka import (
    Consumer,
    KafkaError,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from prometheus_client.parser import text_string_to_metric_families

from stream_app.compiled import PYTHON_ONLY
from stream_app.errors import ServiceAwayError
from stream_app.features.usecase import UseCase
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.errors import error_of, is_of_client
from stream_app.kafka.log_reader import LogReader, read_ranges, reading_properties
from stream_app.local import create_topics
from stream_app.local.ports import free_ports
from stream_app.local.process import SupervisedProcess
from stream_app.records.headers import read_headers
from stream_app.records.places import PartitionId
from stream_app.wire.dead_letter import DeadLetter
from stream_app.wire.headers import by_name
from stream_app.wire.prediction import PredictionHeaders

__all__ = ["Cluster", "Out", "Sent", "Worker", "by_source", "eventually", "headers_of"]

ROOT = Path(__file__).parents[2]
_SECONDS = 60.0
_PROBE_SECONDS = 0.05

T = TypeVar("T")

ClientConfig = dict[str, Any]
Headers = list[tuple[str, bytes | None]]


def eventually(
    what: str,
    look: Callable[[], T],
    seconds: float = _SECONDS,
    *,
    check: Callable[[], None] = lambda: None,
) -> T:
    """Return what `look` gives as soon as that is true; `check` may raise meanwhile."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        check()
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(_PROBE_SECONDS)
    return found


class Worker:
    """`python -m stream_app run` in a directory of its own; it never outlives the test.

    Leaving the context kills it. `start` may be called again after it ended; the log goes on.
    """

    def __init__(
        self,
        usecase: str,
        settings: Mapping[str, object],
        *,
        command: Sequence[str] = ("-m", "stream_app", "run"),
    ) -> None:
        """`settings`: by name, as Settings has them; `usecase`: MODULE:OBJECT."""
        (self.port,) = free_ports(1)
        own = {
            "usecase": usecase,
            "http_host": "127.0.0.1",
            "http_port": self.port,
            # What a test waits for comes sooner.
            "session_timeout_seconds": 3,
            "backoff_max_seconds": 0.5,
            **settings,
        }
        clean = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith("STREAM_APP_") or k == PYTHON_ONLY
        }
        self._environment = {
            **clean,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            **{f"STREAM_APP_{name.upper()}": str(value) for name, value in own.items()},
        }
        self._command = [sys.executable, *command]
        self._process = SupervisedProcess("worker")
        self._started = False

    def start(self) -> Self:
        """Start it; it is not ready yet."""
        self._process.spawn(self._command, self._environment)
        self._started = True
        return self

    def environment(self, **more: str) -> Self:
        """Add environment variables."""
        self._environment.update(more)
        return self

    def __enter__(self) -> Self:
        if not self._started:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()

    @property
    def directory(self) -> Path:
        """Where it runs; there is nothing in it at first, and it goes with the worker."""
        return self._process.directory

    @property
    def log(self) -> str:
        """All it wrote so far."""
        return self._process.log_path.read_text(errors="replace")

    def tail(self, lines: int = 60) -> str:
        """The end of its log, without librdkafka's complaints about connections."""
        kept = [line for line in self.log.splitlines() if " librdkafka " not in line]
        return "\n".join(kept[-lines:])

    @property
    def last_words(self) -> str:
        """What it said when it ended by itself."""
        return "\n".join(line for line in self.log.splitlines() if "cannot go on" in line)

    @property
    def is_running(self) -> bool:
        """Whether it lives."""
        return self._process.is_running

    def check(self) -> None:
        """Raise with its log if it ended by itself."""
        code = self._process.poll()
        assert code is None, f"the worker ended with {code}:\n{self.tail()}"

    def until(self, what: str, look: Callable[[], T], seconds: float = _SECONDS) -> T:
        """Wait for something while the worker lives."""
        try:
            return eventually(what, look, seconds, check=self.check)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from None

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of one of its pages; (0, "") while it does not listen."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self, seconds: float = _SECONDS) -> Self:
        """Wait until it takes records."""
        self.until("the worker is ready", lambda: self.get("/readyz")[0] == 200, seconds)
        return self

    def metric(self, name: str, **labels: str) -> float:
        """Sum of the samples of a metric with these labels; 0 where there are none."""
        _, text = self.get("/metrics")
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def cpu_seconds(self) -> float:
        """CPU time it has used, in user and kernel mode."""
        # Fields after the name, which may hold anything: see proc_pid_stat(5).
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_memory_bytes(self) -> int:
        """The most memory it ever held at once; 0 where it does not run."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        kilobytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(kilobytes[0]) * 1024 if kilobytes else 0

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._process.kill()

    def pause(self) -> None:
        """Freeze it."""
        self._process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.signal(signal.SIGCONT)

    def stop(self, number: int = signal.SIGTERM, seconds: float = 40.0) -> int | None:
        """Tell it to stop; return its exit status, or None if it still runs afterwards."""
        self._process.signal(number)
        return self._process.wait(seconds)

    def wait(self, seconds: float = 40.0) -> int | None:
        """Return its exit status when it has ended by itself, or None if it still runs."""
        return self._process.wait(seconds)


@dataclass
class Out:
    """A record that was read."""

    topic: str
    partition: int
    offset: int
    timestamp: float
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def json(self) -> Any:
        """The value, decoded."""
        return json.loads(self.value or b"null")

    def header(self, name: str) -> str | None:
        """The one header of that name."""
        values = [value for given, value in self.headers if given == name]
        assert len(values) <= 1, self.headers
        return None if not values or values[0] is None else values[0].decode()

    @property
    def source(self) -> tuple[str, int, int]:
        """Where the record it was made of lies, by a prediction's headers."""
        said = PredictionHeaders.of(by_name(self.headers))
        return said.topic, said.partition, said.offset

    @property
    def letter(self) -> DeadLetter:
        """What it says of its record, if it is a dead letter."""
        return DeadLetter.of(by_name(self.headers))


@dataclass
class Sent:
    """A record to produce."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    timestamp: float | None = None
    headers: Headers = field(default_factory=list)


def headers_of(number: int) -> Headers:
    """Headers as a producer with tracing sends them, different for each record."""
    return [("traceparent", f"00-{number:032x}-{number + 1:016x}-01".encode()), ("shift", b"")]


class Cluster:
    """A broker, seen by the test: it makes topics, produces, reads to the end, and looks at groups."""

    def __init__(self, bootstrap: str, config: ClientConfig | None = None) -> None:
        self.bootstrap = bootstrap
        self._config: ClientConfig = {"bootstrap.servers": bootstrap, "log_level": 0} | (
            config or {}
        )
        self._admin = AdminClient(self._config)
        self.brokers = Brokers(self._admin, seconds=20.0)
        self._groups: dict[str, Brokers] = {}

    def close(self) -> None:
        """Let go of the broker."""
        for brokers in self._groups.values():
            brokers.close()

    def create(self, usecase: UseCase) -> None:
        """Make the topics of a use case."""
        topics = {topic.name: topic.partitions for topic in usecase.topics}
        out = (usecase.predictions_topic, usecase.dead_letters_topic)
        topics |= dict.fromkeys(out, usecase.output_partitions)
        create_topics(self.bootstrap, topics, client=self._config)

    def create_events(self, usecase: UseCase) -> None:
        """Make the topics of its events alone, as soon as their names are free."""
        topics = {topic.name: topic.partitions for topic in usecase.topics}
        eventually(
            "the old topics are gone",
            lambda: not topics.keys() & self._admin.list_topics(timeout=20).topics.keys(),
        )
        create_topics(self.bootstrap, topics, client=self._config)

    def create_topic(self, name: str) -> None:
        """Make one topic."""
        create_topics(self.bootstrap, {name: 1}, client=self._config)

    def delete_topic(self, name: str) -> None:
        """Delete one topic, and return when it is gone."""
        self._admin.delete_topics([name], operation_timeout=20)[name].result()
        eventually("it is gone", lambda: name not in self._admin.list_topics(timeout=20).topics)

    def produce_large(self, records: Iterable[Sent]) -> list[tuple[int, int]]:
        """Produce in order, up to what the brokers take."""
        return self.produce(records, **{"message.max.bytes": 16 * 2**20})

    def produce(self, records: Iterable[Sent], **properties: str | int) -> list[tuple[int, int]]:
        """Produce in order; return the partition and offset of each."""
        config = {**self._config, "linger.ms": 5, "enable.idempotence": True, **properties}
        producer = Producer(config)
        places: dict[int, tuple[int, int]] = {}
        errors: list[KafkaError] = []
        count = 0
        for number, sent in enumerate(records):

            def report(error: KafkaError | None, message: Any, number: int = number) -> None:
                if error is not None:
                    errors.append(error)
                else:
                    places[number] = message.partition(), message.offset()

            where: dict[str, Any] = {}
            if sent.partition is not None:
                where["partition"] = sent.partition
            if sent.timestamp is not None:
                where["timestamp"] = round(sent.timestamp * 1000)
            producer.produce(
                sent.topic, sent.value, sent.key, headers=sent.headers, on_delivery=report, **where
            )
            producer.poll(0)
            count += 1
        assert producer.flush(30) == 0
        assert not errors, errors[0]
        return [places[number] for number in range(count)]

    def read(self, *topics: str, uncommitted: bool = False) -> list[Out]:
        """All records of topics, to their present ends, in offset order by partition.

        `uncommitted`: those of open and aborted transactions, too.
        """
        isolation = "read_uncommitted" if uncommitted else "read_committed"
        properties = {**self._config, "group.id": "reader", "fetch.wait.max.ms": 50,
                      "isolation.level": isolation}  # fmt: skip
        reader = LogReader(Consumer(reading_properties(properties)))
        try:
            ranges = {partition: (0, end) for partition, end in self.ends(*topics).items()}
            found = [_out(message) for taken in read_ranges(reader, ranges) for message in taken]
        finally:
            reader.close()
        return sorted(found, key=lambda out: (out.topic, out.partition, out.offset))

    def ends(self, *topics: str) -> dict[PartitionId, int]:
        """End offset of each partition."""
        deadline = time.monotonic() + _SECONDS
        while True:
            try:
                return self.brokers.ends(self.partitions(*topics))
            except ServiceAwayError as error:
                # Of a topic just made or a broker just back, the leader may not know yet.
                away = error_of(error.__cause__) if error.__cause__ else None
                if away is None or is_of_client(away) or time.monotonic() > deadline:
                    raise
                time.sleep(_PROBE_SECONDS)

    def partitions(self, *topics: str) -> list[PartitionId]:
        """The partitions of topics, from any broker: the controller may be away."""
        counts = {topic: self.brokers.partitions(topic, "a test asks") for topic in topics}
        return [PartitionId(topic, number) for topic in topics for number in range(counts[topic])]

    def count(self, topic: str) -> int:
        """Records in a topic."""
        return sum(self.ends(topic).values())

    def committed(self, group: str, *topics: str) -> dict[PartitionId, int]:
        """The group's committed offset of each partition, 0 where it has none."""
        partitions = list(self.ends(*topics))
        found = self._of_group(group).committed(partitions, wait=True)
        return {p: found[p].offset if p in found else 0 for p in partitions}

    def beside(self, group: str, partition: PartitionId) -> str:
        """What stands beside the group's committed offset of a partition; empty where nothing does."""
        found = self._of_group(group).committed([partition], wait=True)
        return (found[partition].metadata or "") if partition in found else ""

    def _of_group(self, group: str) -> Brokers:
        known = self._groups.get(group)
        if known is None:
            properties = {**self._config, "group.id": group}
            known = self._groups[group] = Brokers(self._admin, properties, seconds=20.0)
        return known

    def set_committed(
        self, group: str, offsets: Mapping[tuple[str, int], int], metadata: str = ""
    ) -> None:
        """Set a group's offsets as a person does who has stopped its members."""
        by_hand = Consumer({**self._config, "group.id": group, "enable.auto.commit": False})
        places = [TopicPartition(*place, offset, metadata) for place, offset in offsets.items()]
        by_hand.commit(offsets=places, asynchronous=False)
        by_hand.close()

    def drained(self, usecase: UseCase) -> bool:
        """Whether the group of a use case has committed all there is."""
        topics = [topic.name for topic in usecase.topics]
        try:
            return self.committed(usecase.name, *topics) == self.ends(*topics)
        except ServiceAwayError:
            return False  # the coordinator is away or moving

    def topic_ids(self, *topics: str) -> tuple[str, dict[str, str]]:
        """The cluster's id, and each topic's."""
        found = self.brokers.topics(topics)
        cluster = self.brokers.cluster_id(topics[0])
        return cluster, {topic: found[topic].topic_id for topic in topics}


def by_source(predictions: Iterable[Out]) -> dict[tuple[str, int, int], list[Out]]:
    """Predictions by the record they were made of."""
    grouped: dict[tuple[str, int, int], list[Out]] = defaultdict(list)
    for prediction in predictions:
        grouped[prediction.source].append(prediction)
    return grouped


def _out(message: Any) -> Out:
    _, millis = message.timestamp()
    try:
        headers = read_headers(message) or []
    except SystemError:  # a name is not UTF-8: the library shows none of them
        headers = []
    return Out(
        message.topic(),
        message.partition(),
        message.offset(),
        millis / 1000.0,
        message.key(),
        message.value(),
        headers,
    )
