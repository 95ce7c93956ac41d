"""`stream-app doctor` on real services: what is fine, what is wrong, and nothing is changed by it."""

import json

from confluent_kafka import Consumer, TopicPartition
from redis import Redis

from stream_app.config.settings import Settings
from stream_app.doctor.examine import examine
from stream_app.doctor.finding import Finding, Level
from tests.integration.conftest import NO_REDIS
from tests.integration.test_refused_records import alter
from tests.integration.testbed import Testbed


def found(testbed: Testbed, **settings: object) -> list[Finding]:
    """What is said of the deployment."""
    return list(examine(Settings(**{**testbed.settings, **settings}), testbed.usecase))


def errors(findings: list[Finding]) -> list[str]:
    """What must be done."""
    return [each.text for each in findings if each.level is Level.ERROR]


def test_a_deployment_that_serves_has_no_error(meters: Testbed) -> None:
    """Each part is told, and the worker's group has no member by it."""
    findings = found(meters)
    assert errors(findings) == []
    assert {each.about for each in findings} >= {
        "settings", "models", "kafka", "events", "topics out", "group", "redis",
    }  # fmt: skip
    assert any("members: 0" in each.text for each in findings)
    with Redis.from_url(meters.redis_url) as redis:
        assert not [key for key in redis.scan_iter() if meters.usecase.name.encode() in key]


def test_every_part_that_is_wrong_is_told_at_once(meters: Testbed) -> None:
    """A topic that is gone, letters that replace each other, and a Redis that is away."""
    meters.cluster.delete_topic(meters.usecase.predictions_topic)
    findings = errors(found(meters, redis_url=NO_REDIS, artifacts="nowhere"))
    assert any(meters.usecase.predictions_topic in text for text in findings)
    assert any("Redis is away" in text for text in findings)
    assert any("nowhere" in text for text in findings)
    meters.cluster.create_topic(meters.usecase.predictions_topic)
    alter(meters.cluster, meters.usecase.dead_letters_topic, cleanup_policy="compact")
    assert any("cleanup.policy" in text for text in errors(found(meters)))


def test_a_group_that_stands_outside_its_logs_is_an_error(meters: Testbed) -> None:
    """Behind the end: the records it had done are not those of this log."""
    own = {"bootstrap.servers": meters.cluster.bootstrap, "group.id": meters.usecase.name}
    consumer = Consumer(own)
    consumer.commit(offsets=[TopicPartition(meters.topics[0], 0, 1_000)], asynchronous=False)
    consumer.close()
    (text,) = errors(found(meters))
    assert "stands behind the end of" in text


def test_the_command_has_a_status_for_scripts(meters: Testbed) -> None:
    """0 where it serves, 1 where it does not; --strict minds warnings, --json is for programs."""

    def run(*arguments: str, **settings: object) -> tuple[int | None, str]:
        command = ("-m", "stream_app", "doctor", *arguments)
        with meters.worker(command=command, **settings) as doctor:
            return doctor.wait(), doctor.log

    status, text = run("--json")
    assert status == 0, text
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert {line["level"] for line in lines} == {"ok", "warning"}
    assert run("--strict")[0] == 1
    status, text = run(redis_url=NO_REDIS)
    assert status == 1
    assert "error    redis: Redis is away" in text


def test_a_worker_looks_first_where_it_is_set(meters: Testbed) -> None:
    """It starts where no error is found, and tells the findings; else it ends with a status of its own."""
    with meters.worker(doctor="true") as worker:
        worker.ready()
        assert "redis: reached, with every right that states need" in worker.log
    with meters.worker(doctor="true", redis_url=NO_REDIS) as worker:
        assert worker.wait() == 1
        assert "redis: Redis is away" in worker.log
        assert "the worker does not start: 1 of these findings must be mended first" in worker.log
