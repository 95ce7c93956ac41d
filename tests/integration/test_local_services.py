"""Kafka and Redis as child processes: they come up, come back, and never outlive us."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from redis import Redis

from stream_app.local import (
    Acl,
    LocalKafka,
    LocalRedis,
    LocalServiceError,
    LocalServices,
    SaslSsl,
)
from stream_app.local.jars import class_path
from stream_app.local.topics import ClientConfig
from tests.services import choose


@pytest.fixture(autouse=True)
def local_only(request: pytest.FixtureRequest) -> None:
    """Skip where the run takes its services from elsewhere, or wants none."""
    option = request.config.getoption("--services")
    if choose(option) != "local":
        pytest.skip(f"tests local services, and this run has --services={option}")


@pytest.fixture(scope="module")
def broker() -> Iterator[LocalKafka]:
    """Run one broker for the tests that kill and freeze it."""
    with LocalKafka(topics={"events": 8}) as service:
        yield service


def eventually(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    """Return whether `condition` comes true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def lives(pid: int) -> bool:
    """Return whether a process of that number exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def started_elsewhere(
    code: str, environment: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """Run `code` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )


def kept_log(error: LocalServiceError) -> Path:
    """Return the path of the log that an error names."""
    found = re.search(r"kept in (\S+\.log)", str(error))
    assert found is not None
    return Path(found[1])


def partitions(config: ClientConfig) -> dict[str, int]:
    """Return the topics that a client sees, with their number of partitions."""
    topics = AdminClient(config).list_topics(timeout=10).topics
    return {name: len(topic.partitions) for name, topic in topics.items()}


def setting(bootstrap: str, topic: str, name: str) -> str | None:
    """Return a setting of a topic as the broker has it in effect."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    (described,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
    value = described.result(10)[name].value
    return None if value is None else str(value)


def produce(config: ClientConfig, topic: str, value: bytes) -> None:
    """Produce one record to partition 0 and wait for its acknowledgement."""
    errors: list[KafkaError | None] = []
    producer = Producer(config)
    producer.produce(topic, value, partition=0, on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(20) == 0
    (error,) = errors
    if error is not None:
        raise KafkaException(error)


def consume(config: ClientConfig, topic: str) -> bytes | None:
    """Return the value of the first record of partition 0."""
    consumer = Consumer({**config, "group.id": "reader", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        message = consumer.poll(20)
        assert message is not None
        if error := message.error():
            raise KafkaException(error)
        return message.value()
    finally:
        consumer.close()


def test_both_start_serve_and_leave_nothing() -> None:
    """On leaving the context both processes and both directories are gone."""
    with LocalServices(topics={"flights.boarding": 8, "flights.arrived": 2}) as services:
        assert services.local_kafka is not None
        assert services.local_redis is not None
        assert partitions({"bootstrap.servers": services.kafka}) == {
            "flights.boarding": 8,
            "flights.arrived": 2,
        }
        assert Redis.from_url(services.redis).ping()
        assert setting(services.kafka, "flights.arrived", "retention.ms") == "-1"
        both = (services.local_kafka, services.local_redis)
        pids = [one.pid for one in both]
        directories = [one.directory for one in both]
        assert all(directory.exists() for directory in directories)
    assert not any(pid is None or lives(pid) for pid in pids)
    assert not any(directory.exists() for directory in directories)


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_kafka_comes_back_on_its_port_with_its_records(broker: LocalKafka, end: str) -> None:
    """An acknowledged record is still there after kill -9, and after an end in good order."""
    value = f"before {end}".encode()
    topic = f"kept-{end}"
    broker.create_topics({topic: 1})
    produce(broker.client_config(), topic, value)
    port, pid = broker.port, broker.pid
    getattr(broker, end)()
    assert not broker.is_running
    broker.start()
    assert broker.port == port
    assert broker.pid != pid
    assert consume(broker.client_config(), topic) == value


def test_a_frozen_kafka_goes_on_after_resume(broker: LocalKafka) -> None:
    """While frozen it lives and does not answer; afterwards it serves as before."""
    broker.pause()
    try:
        with pytest.raises(KafkaException):
            AdminClient(broker.client_config()).list_topics(timeout=1)
        assert broker.is_running
    finally:
        broker.resume()
    assert partitions(broker.client_config())["events"] == 8


def test_topics_are_not_made_by_using_them(broker: LocalKafka) -> None:
    """Producing to a topic that nobody created fails instead of creating it."""
    with pytest.raises(KafkaException):
        produce({**broker.client_config(), "message.timeout.ms": "2000"}, "typo", b"")
    assert "typo" not in partitions(broker.client_config())


def test_creating_a_topic_twice_is_no_error(broker: LocalKafka) -> None:
    """The second time leaves the topic as it is."""
    broker.create_topics({"twice": 3})
    broker.create_topics({"twice": 3})
    assert partitions(broker.client_config())["twice"] == 3


def test_redis_comes_back_on_its_port_with_its_keys() -> None:
    """An acknowledged write survives kill -9."""
    with LocalRedis() as service:
        Redis.from_url(service.url).set("key", b"value")
        service.kill()
        service.start()
        assert Redis.from_url(service.url).get("key") == b"value"


def test_a_service_that_cannot_start_says_why_and_keeps_its_log() -> None:
    """The error ends with the log's last lines and names where all of it is."""
    service = LocalRedis(settings={"no-such-setting": "1"})
    with pytest.raises(LocalServiceError, match="no-such-setting") as caught:
        service.start()
    kept = kept_log(caught.value)
    assert "no-such-setting" in kept.read_text()
    kept.unlink()
    assert service.pid is None


def test_a_service_that_died_is_seen_and_can_be_started_again() -> None:
    """A kill from outside shows in is_running, and start brings the service back."""
    with LocalRedis() as service:
        assert service.pid is not None
        os.kill(service.pid, signal.SIGKILL)
        assert eventually(lambda: not service.is_running)
        with pytest.raises(LocalServiceError, match="redis has ended") as caught:
            service.check()
        kept_log(caught.value).unlink()
        service.start()
        service.check()


def test_kill_9_of_the_parent_leaves_no_process_and_no_directory() -> None:
    """The supervisors notice, kill Kafka and Redis and remove their directories."""
    parent = started_elsewhere(
        """
        import signal
        from stream_app.local import LocalServices
        with LocalServices(topics={"events": 1}) as services:
            for one in (services.local_kafka, services.local_redis):
                print(one.pid, one.directory, flush=True)
            signal.pause()
        """
    )
    assert parent.stdout is not None
    found = [parent.stdout.readline().split() for _ in range(2)]
    pids, directories = [int(pid) for pid, _ in found], [Path(name) for _, name in found]
    assert all(map(lives, pids))
    parent.kill()
    parent.communicate()
    assert eventually(lambda: not any(map(lives, pids)))
    assert eventually(lambda: not any(one.exists() for one in directories))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_whatever_ends_the_parent_ends_the_service(number: signal.Signals) -> None:
    """Also while a process that the parent forked lives on and holds its pipes open."""
    parent = started_elsewhere(
        """
        import os, signal
        from stream_app.local import LocalRedis
        service = LocalRedis()
        service.start()
        child = os.fork()
        if child == 0:
            os.setsid()
            signal.alarm(30)
            signal.pause()
        print(service.pid, service.directory, child, flush=True)
        signal.pause()
        """
    )
    assert parent.stdout is not None
    pid, directory, child = parent.stdout.readline().split()
    try:
        parent.send_signal(number)
        assert parent.wait(10) != 0
        assert eventually(lambda: not lives(int(pid)))
        assert eventually(lambda: not Path(directory).exists())
    finally:
        os.kill(int(child), signal.SIGKILL)
        parent.communicate()


def test_a_ctrl_c_while_kafka_starts_leaves_nothing() -> None:
    """The interrupt goes through, and the half-started broker and its directory are gone."""
    parent = started_elsewhere(
        """
        from stream_app.local import LocalKafka
        from stream_app.local.process import SupervisedProcess
        spawn = SupervisedProcess.spawn
        def announced(self, *arguments):
            pid = spawn(self, *arguments)
            print(pid, self.directory, flush=True)
            return pid
        SupervisedProcess.spawn = announced
        LocalKafka().start()
        """
    )
    assert parent.stdout is not None
    pid, directory = parent.stdout.readline().split()
    parent.send_signal(signal.SIGINT)
    _, errors = parent.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
    assert not lives(int(pid))
    assert not Path(directory).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_the_service_does_not_outlive_a_killed_supervisor() -> None:
    """Where the kernel can tie them together, it does."""
    with LocalRedis() as service:
        pid = service.pid
        assert pid is not None
        stat = Path(f"/proc/{pid}/stat").read_text()
        supervisor = int(stat.rpartition(")")[2].split()[1])
        directory = service.directory
        os.kill(supervisor, signal.SIGKILL)
        assert eventually(lambda: not lives(pid))
        assert not service.is_running
    assert not directory.exists()


NO_NETWORK = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


def test_a_second_start_needs_no_network() -> None:
    """With the jars in the cache, Kafka starts where no connection can be made."""
    class_path()
    process = started_elsewhere(
        """
        from stream_app.local import LocalKafka
        with LocalKafka() as kafka:
            print("serves", kafka.is_running)
        """,
        NO_NETWORK,
    )
    output, errors = process.communicate(timeout=120)
    assert output == "serves True\n", errors


def test_a_first_start_without_a_network_says_what_it_needs(tmp_path: Path) -> None:
    """With an empty cache and no connection there is a sentence, and no traceback of a library."""
    process = started_elsewhere(
        """
        from stream_app.local import LocalKafka, LocalServiceError
        try:
            LocalKafka().start()
        except LocalServiceError as error:
            print(error)
        """,
        {**NO_NETWORK, "STREAM_APP_CACHE": str(tmp_path)},
    )
    output, errors = process.communicate(timeout=120)
    assert "Cannot download" in output, errors
    assert "needs Maven Central" in output


@pytest.fixture(scope="module")
def secure_broker() -> Iterator[LocalKafka]:
    """Run a broker with SASL_SSL where `reader` may read and `writer` may write."""
    security = SaslSsl(
        users={"reader": "r-secret", "writer": "w-secret"},
        acls=[
            Acl("reader", "READ", "TOPIC", "secure", prefixed=True),
            Acl("reader", "READ", "GROUP", "reader"),
            Acl("writer", "WRITE", "TOPIC", "secure-events"),
        ],
    )
    with LocalKafka(topics={"secure-events": 1}, security=security) as service:
        yield service


def test_users_may_do_what_the_acls_say(secure_broker: LocalKafka) -> None:
    """The writer writes, the reader reads, and the reader may not write."""
    produce(secure_broker.client_config("writer"), "secure-events", b"value")
    assert consume(secure_broker.client_config("reader"), "secure-events") == b"value"
    with pytest.raises(KafkaException) as caught:
        produce(secure_broker.client_config("reader"), "secure-events", b"not allowed")
    assert caught.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"sasl.password": "guessed"}, id="password"),
        pytest.param({"security.protocol": "PLAINTEXT"}, id="no TLS"),
    ],
)
def test_nobody_else_gets_in(secure_broker: LocalKafka, wrong: ClientConfig) -> None:
    """A wrong password and a client without TLS see nothing."""
    config: ClientConfig = {**secure_broker.client_config("reader"), "log_level": "0", **wrong}
    with pytest.raises(KafkaException):
        AdminClient(config).list_topics(timeout=3)
