"""How long records are kept, asked of a real broker, and what follows for states in a real Redis."""

from dataclasses import replace

import pytest
from confluent_kafka.admin import AdminClient
from redis import Redis

from stream_app.config.settings import Settings
from stream_app.errors import ServiceAwayError
from stream_app.features.stores import StateWrite
from stream_app.features.usecase import InputTopic, TimeBounds, UseCase
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.retention import longest_retention_seconds, retention_seconds
from stream_app.local.ports import free_ports
from stream_app.state.open_store import open_store
from tests.services import Kafka, TopicFactory
from tests.usecases import regression

DAY_MS = 86_400_000
WEEK = {"retention.ms": str(7 * DAY_MS), "segment.ms": str(DAY_MS)}
TTL_SECONDS = 7 * 86_400


def test_a_record_stays_for_the_retention_and_a_segment() -> None:
    """A segment goes as a whole, when its newest record has become too old."""
    config = {**WEEK, "cleanup.policy": "delete"}
    assert retention_seconds(config) == 8 * 86_400.0
    assert retention_seconds({**config, "cleanup.policy": "compact,delete"}) == 8 * 86_400.0


@pytest.mark.parametrize("config", [{"retention.ms": "-1"}, {"cleanup.policy": "compact"}])
def test_a_record_may_stay_for_ever(config: dict[str, str]) -> None:
    """Without a retention, or in a topic that is only compacted."""
    assert retention_seconds({**WEEK, "cleanup.policy": "delete", **config}) is None


@pytest.mark.parametrize("left_out", ["segment.ms", "retention.ms", "cleanup.policy"])
def test_a_service_that_tells_few_settings_may_keep_a_record_for_ever(left_out: str) -> None:
    """What is not told is not known; so nothing is forgotten."""
    config = {**WEEK, "cleanup.policy": "delete"}
    del config[left_out]
    assert retention_seconds(config) is None


def test_of_several_topics_the_longest_counts(kafka: Kafka, topic_factory: TopicFactory) -> None:
    """One that keeps its records for ever keeps the states of all."""
    brokers = Brokers(AdminClient({"bootstrap.servers": kafka.bootstrap}))
    day = topic_factory(config={"retention.ms": str(DAY_MS), "segment.ms": str(DAY_MS)})
    week = topic_factory(config=WEEK)
    forever = topic_factory(config={"retention.ms": "-1"})
    assert longest_retention_seconds(brokers, [day]) == 2 * 86_400.0
    assert longest_retention_seconds(brokers, [day, week]) == 8 * 86_400.0
    assert longest_retention_seconds(brokers, [week, forever]) is None


def test_brokers_that_do_not_say() -> None:
    """They are away, or the worker may not ask."""
    (port,) = free_ports(1)
    silent = {"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0}
    brokers = Brokers(AdminClient(silent), seconds=2.0)
    with pytest.raises(ServiceAwayError):
        longest_retention_seconds(brokers, ["t"])


def written(redis: Redis, redis_url: str, usecase: UseCase, kafka: Kafka, **settings: bool) -> int:
    """For how many seconds a state of the view `recent` is kept; -1: for ever."""
    brokers = Brokers(AdminClient({"bootstrap.servers": kafka.bootstrap}))
    opened = Settings(redis_url=redis_url, **settings)  # type: ignore[arg-type]
    store = open_store(opened, usecase, "app", brokers)
    (place,) = [n for n, v in enumerate(usecase.features.views) if v.ttl_seconds is not None]
    assert usecase.features.views[place].ttl_seconds == TTL_SECONDS
    redis.flushall()
    store.write([StateWrite(place, "a", 0, b"12345678")], [])
    store.close()
    (key,) = redis.scan_iter(match="*:a")
    return redis.ttl(key)


def test_a_state_is_forgotten_after_ttl_and_retention(
    kafka: Kafka, topic_factory: TopicFactory, redis: Redis, redis_url: str
) -> None:
    """Unless it is switched off, or event time does not go as the clock does."""
    usecase = regression.make_usecase("x")
    topics = tuple(
        InputTopic(topic_factory(config=WEEK), topic.decoder) for topic in usecase.topics
    )
    usecase = replace(usecase, topics=topics)
    late_seconds = usecase.times.behind_seconds + usecase.times.ahead_seconds
    expected = TTL_SECONDS + 8 * 86_400 + late_seconds
    assert expected - 60 <= written(redis, redis_url, usecase, kafka) <= expected
    assert written(redis, redis_url, usecase, kafka, state_expiry=False) == -1
    replayed = replace(usecase, times=TimeBounds(earliest=0.0, latest=1e9))
    assert written(redis, redis_url, replayed, kafka) == -1
    (topic, *others) = topics
    kept = replace(topic, name=topic_factory(config={"retention.ms": "-1"}))
    assert written(redis, redis_url, replace(usecase, topics=(kept, *others)), kafka) == -1
