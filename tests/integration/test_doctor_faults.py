"""Each thing that `stream-app doctor` looks for, made wrong on a real Kafka or a real Redis, and named by it."""

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka.admin import AclBindingFilter, AdminClient
from redis import Redis

from stream_app.doctor.finding import Level
from stream_app.local import Acl, LocalKafka, LocalRedis, SaslSsl
from tests.chaos import clock
from tests.integration.test_doctor import errors, found
from tests.integration.test_rebalance import flowing
from tests.integration.test_refused_records import alter
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Sent
from tests.services import choose
from tests.usecases import regression

PASSWORD = "hunter2-do-not-show"
RIGHTS = {
    "events": Acl("worker", "READ", "TOPIC", "meters.", prefixed=True),
    "group": Acl("worker", "READ", "GROUP", "meters", prefixed=True),
    "predictions": Acl("worker", "WRITE", "TOPIC", "meters.", prefixed=True),
    "settings": Acl("worker", "DESCRIBE_CONFIGS", "TOPIC", "meters.", prefixed=True),
    "transactions": Acl("worker", "WRITE", "TRANSACTIONAL_ID", "meters", prefixed=True),
}


def warnings(testbed: Testbed, **settings: object) -> str:
    """What somebody should look at."""
    told = [each for each in found(testbed, **settings) if each.level is Level.WARNING]
    return "\n".join(f"{each.about}: {each.text}" for each in told)


# Brokers that ask who is there, and what they may do.


@pytest.fixture(scope="module")
def broker(request: pytest.FixtureRequest) -> Iterator[LocalKafka]:
    """Runs a broker with TLS, passwords and rights."""
    if choose(request.config.getoption("--services")) != "local":
        pytest.skip("a broker with TLS runs as a local child process only")
    security = SaslSsl(users={"worker": PASSWORD}, acls=list(RIGHTS.values()))
    with LocalKafka(security=security) as service:
        yield service


@pytest.fixture
def secured(broker: LocalKafka, redis_url: str, tmp_path: Path) -> Iterator[Testbed]:
    """The regression with state on it, with every right that it needs."""
    properties = broker.client_config("worker")
    kafka = {
        name: properties[name]
        for name in ("security.protocol", "sasl.mechanisms", "ssl.ca.location")
    }
    settings = {"kafka": kafka, "sasl_username": "worker", "sasl_password": PASSWORD}
    with closing(Cluster(broker.bootstrap, broker.client_config())) as cluster:
        yield Testbed(regression, tmp_path, cluster, redis_url, settings)


def test_who_has_every_right_has_no_error_and_a_newest_broker(secured: Testbed) -> None:
    """Exactly once included; and the brokers' release is told, though they do not tell it themselves."""
    findings = found(secured, delivery="exactly_once")
    assert errors(findings) == []
    said = {each.about: each.text for each in findings}
    assert said["brokers"].startswith("they speak what Kafka 4.")
    assert "are ours to use" in said["transactions"]


@pytest.mark.parametrize(
    ("right", "said"),
    [
        ("events", "grant it Read on it"),
        ("group", "grant the worker Read on its group"),
        ("predictions", "grant it Write on it"),
        ("transactions", "grant the worker Write and Describe on transactional ids"),
    ],
)
def test_a_right_that_is_missing_is_an_error_that_names_it(
    broker: LocalKafka, secured: Testbed, right: str, said: str
) -> None:
    """With Describe left, as a new deployment has it: the topic is seen, and may not be used."""
    admin = AdminClient(broker.client_config())
    binding = RIGHTS[right].binding()
    describe = Acl("worker", "DESCRIBE", "TOPIC", "meters.", prefixed=True).binding()
    for done in admin.create_acls([describe]).values():
        done.result()
    try:
        one = AclBindingFilter(
            binding.restype, binding.name, binding.resource_pattern_type, binding.principal,
            binding.host, binding.operation, binding.permission_type,
        )  # fmt: skip
        for done in admin.delete_acls([one]).values():
            assert done.result()
        texts = errors(found(secured, delivery="exactly_once"))
        assert any(said in text for text in texts), texts
    finally:
        for done in admin.create_acls([binding]).values():
            done.result()


def test_tls_and_passwords_are_told_apart(secured: Testbed) -> None:
    """A wrong password, no TLS, and a certificate of an authority that is not known."""
    settings = secured.settings
    (text,) = errors(found(secured, sasl_password="hunter3-wrong"))
    assert "check user name, password" in text
    assert "hunter3" not in text
    (text,) = errors(found(secured, kafka={"security.protocol": "PLAINTEXT"}, sasl_username=None, sasl_password=None))  # fmt: skip
    assert "security.protocol" in text
    kafka = settings["kafka"]
    assert isinstance(kafka, dict)
    without = {name: value for name, value in kafka.items() if name != "ssl.ca.location"}
    (text,) = errors(found(secured, kafka=without))
    assert "certificate" in text


# Brokers and topics.


def test_what_is_wrong_with_topics_is_told(meters: Testbed) -> None:
    """Fewer replicas than must have a record, letters that are too small, a log that is too short."""
    out, letters = meters.usecase.predictions_topic, meters.usecase.dead_letters_topic
    alter(meters.cluster, out, min_insync_replicas="2")
    assert any("so nothing can be written" in text for text in errors(found(meters)))
    alter(meters.cluster, out, min_insync_replicas="1")
    alter(meters.cluster, letters, max_message_bytes="1000")
    alter(meters.cluster, meters.topics[0], retention_ms="3600000", segment_ms="3600000")
    said = warnings(meters)
    assert f"topic {letters} takes 1000 bytes (max.message.bytes)" in said
    assert f"topic {meters.topics[0]} keeps records for 0.1 days" in said
    assert "kept by one broker" in said


def test_brokers_that_are_away_or_no_brokers_are_told_with_the_cause(meters: Testbed) -> None:
    """Nobody listens, and a listener of another kind."""
    (text,) = errors(found(meters, bootstrap_servers="localhost:1"))
    assert "Connection refused" in text
    port = meters.redis_url.rpartition(":")[2].partition("/")[0]
    assert errors(found(meters, bootstrap_servers=f"localhost:{port}"))


@pytest.mark.skipif(bool(clock.lacks()), reason=clock.lacks())
def test_a_clock_that_is_off_is_told_against_brokers_producers_and_redis(meters: Testbed) -> None:
    """Five minutes behind: records stamped by brokers or producers, and Redis itself, are ahead."""
    alter(meters.cluster, meters.topics[0], message_timestamp_type="LogAppendTime")
    meters.cluster.produce([Sent(topic, b"{}", b"k", 0, time.time()) for topic in meters.topics])
    command = ("-m", "stream_app", "doctor", "--json")
    with meters.worker(command=command).environment(**clock.shifted(-300)) as doctor:
        assert doctor.wait() == 0, doctor.log
        lines = [json.loads(line) for line in doctor.log.splitlines() if line.startswith("{")]
    said = [each["text"] for each in lines if each["level"] == "warning"]
    assert any("its clock is 300 s ahead of the one here" in text for text in said)
    for topic, whose in zip(meters.topics, ("the brokers stamp them", "a producer's clock"), strict=False):  # fmt: skip
        assert any(f"topic {topic} is stamped" in text and whose in text for text in said)
    assert "no event is stamped ahead" in "".join(each.text for each in found(meters))


@pytest.mark.skipif(bool(clock.lacks()), reason=clock.lacks())
def test_a_clock_that_is_behind_is_told_while_workers_commit(meters: Testbed) -> None:
    """Five minutes, against the one here: the group's coordinator stamps the offsets that it keeps."""
    name = meters.usecase.name
    with meters.worker() as worker, flowing(meters):
        worker.until("it works", meters.predictions)
        told = "\n".join(each.text for each in found(meters))
        assert f"the broker that coordinates group {name} has the time of the clock here" in told
        command = ("-m", "stream_app", "doctor", "--json")
        with meters.worker(command=command).environment(**clock.shifted(300)) as doctor:
            doctor.wait()
            assert re.search(r"stamps offsets (299|30\d) s behind the clock here", doctor.log)


# Redis.


def test_each_fault_of_redis_is_told(meters: Testbed, tmp_path: Path) -> None:
    """A policy that drops states, no disk, a memory that is full, a right that is missing, a password."""
    settings = {"appendonly": "no", "maxmemory": "8mb", "maxmemory-policy": "allkeys-lru"}
    with LocalRedis(settings=settings) as service, Redis.from_url(service.url) as admin:
        assert any(
            "set noeviction" in text for text in errors(found(meters, redis_url=service.url))
        )
        admin.config_set("maxmemory-policy", "noeviction")
        ballast = [f"ballast-{number}" for number in range(62)]
        for name in ballast:
            admin.set(name, os.urandom(100_000))
        said = warnings(meters, redis_url=service.url)
        assert "it writes nothing to a disk" in said
        assert "% of maxmemory is taken" in said
        admin.delete(*ballast)
        admin.execute_command(
            "ACL", "SETUSER", "worker", "on", ">secret", "~*", "+@all", "-evalsha"
        )
        url = service.url.replace("redis://", "redis://worker:secret@")
        assert any("Refused: EVALSHA" in text for text in errors(found(meters, redis_url=url)))
        url = service.url.replace("redis://", "redis://worker:wrong-and-secret@")
        (text,) = errors(found(meters, redis_url=url))
        assert "password" in text
        assert "wrong-and-secret" not in text


def test_a_version_of_the_model_that_is_damaged_is_told(meters: Testbed) -> None:
    """By the very checks of a start."""
    (graph,) = Path(str(meters.settings["artifacts"])).glob(f"{meters.usecase.champion}/model.onnx")
    graph.write_bytes(graph.read_bytes()[:-100])
    assert any(meters.usecase.champion.rpartition("/")[2] in text for text in errors(found(meters)))
