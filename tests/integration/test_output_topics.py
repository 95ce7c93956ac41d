"""The topics out: looked at before the group is joined, and again when something is refused."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from stream_app.errors import ConfigurationError, RefusedError
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.output_topics import OutputTopics
from stream_app.wire.dead_letter import DeadLetters
from stream_app.wire.feature_row import FeatureLog
from stream_app.wire.outgoing import Emitter
from stream_app.wire.prediction import Predictions
from tests.integration.conftest import NO_REDIS
from tests.integration.test_refused_records import MODES, alter, ticket
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Sent
from tests.services import Kafka, TopicFactory
from tests.usecases import text

Topics = Callable[..., OutputTopics]


@pytest.fixture
def topics(kafka: Kafka) -> Topics:
    """A look at topics of these names."""

    def make(
        predictions: str, dead_letters: str, feature_log: str | None = None, **more: bool
    ) -> OutputTopics:
        emitters: list[Emitter] = [
            Predictions(predictions),
            DeadLetters(dead_letters, group="g", code_version="1", model_version="m/1"),
        ]
        if feature_log:
            emitters.append(FeatureLog(feature_log, 1.0, []))
        return OutputTopics(
            Brokers(AdminClient({"bootstrap.servers": kafka.bootstrap})),
            emitters,
            max_value_bytes=100_000,
            **more,
        )

    return make


@pytest.fixture
def testbed(cluster: Cluster, tmp_path: Path) -> Testbed:
    """The text classifier; what is refused is believed soon."""
    return Testbed(text, tmp_path, cluster, NO_REDIS, {"refusal_seconds": 2})


def test_topics_that_serve_are_told_nothing_of(
    topics: Topics, topic_factory: TopicFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """Kafka's own settings suit a worker; what a topic takes is kept for messages."""
    out, dead = topic_factory("out"), topic_factory("dead")
    looked = topics(out, dead, topic_factory("rows"))
    with caplog.at_level(logging.INFO):
        looked.check()
    assert caplog.text == ""
    assert looked.limit_bytes(dead) == 1_048_588


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_topic_that_does_not_exist_is_named(
    topics: Topics, topic_factory: TopicFactory, place: int
) -> None:
    """Be it that of predictions, of dead letters or of feature rows."""
    names = [topic_factory("out"), topic_factory("dead"), topic_factory("rows")]
    names[place] = "missing-topic"
    with pytest.raises(RefusedError, match=r"missing-topic.*create the topic"):
        topics(*names).check()


@pytest.mark.parametrize("policy", ["compact", "compact,delete"])
def test_a_compacted_topic_of_dead_letters_is_refused(
    topics: Topics, topic_factory: TopicFactory, policy: str
) -> None:
    """Letters of one key would replace each other, and those without key be refused."""
    dead = topic_factory("dead", config={"cleanup.policy": policy})
    with pytest.raises(ConfigurationError, match=r"dead-.*cleanup\.policy=delete"):
        topics(topic_factory("out"), dead).check()


def test_what_will_cost_something_is_warned_of(
    topics: Topics, topic_factory: TopicFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """Compacted predictions, small dead letters, and clocks that must agree closely."""
    out = topic_factory("out", config={"cleanup.policy": "compact"})
    dead = topic_factory("dead", config={"max.message.bytes": "20000"})
    rows = topic_factory(
        "rows", config={"cleanup.policy": "compact", "message.timestamp.after.max.ms": "1000"}
    )
    topics(out, dead, rows).check()
    for sentence in (
        f"topic {out} is compacted",
        "an event without key becomes a dead letter",
        f"topic {dead} takes 20000 bytes",
        "a row without key is dropped",
        "message.timestamp.after.max.ms=1000",
    ):
        assert sentence in caplog.text


@pytest.mark.parametrize("bound", ["before", "after"])
def test_a_topic_that_refuses_markers_is_refused_for_transactions(
    topics: Topics, topic_factory: TopicFactory, bound: str
) -> None:
    """At the start, and when it is set while the worker runs: a transaction there never ends."""
    out = topic_factory("out", config={f"message.timestamp.{bound}.max.ms": "0"})
    dead = topic_factory("dead")
    topics(out, dead).look()
    found = topics(out, dead, transactional=True)
    for look in (found.check, found.look):
        with pytest.raises(ConfigurationError, match=f"{out} has message.timestamp.{bound}.max.ms"):
            look()
    topics(dead, dead, transactional=True).look()


def test_a_missing_topic_ends_the_worker_before_it_joins(testbed: Testbed) -> None:
    """With status 2 and a sentence that names the topic."""
    topic = testbed.usecase.dead_letters_topic
    testbed.cluster._admin.delete_topics([topic])[topic].result()
    with testbed.worker() as worker:
        assert worker.wait() == 2, worker.tail()
        assert topic in worker.last_words
        assert "Traceback" not in worker.log
    assert not any(testbed.cluster.committed(testbed.usecase.name, *testbed.topics).values())


@pytest.mark.parametrize("delivery", MODES)
def test_a_topic_deleted_while_the_worker_runs_ends_it(testbed: Testbed, delivery: str) -> None:
    """With status 1 and a sentence. Made again, nothing is lost; keyless events of a compacted
    topic are dead letters, and a clock that the brokers refuse ends the worker as well."""
    cluster, topic = testbed.cluster, testbed.usecase.predictions_topic
    first, second, third = testbed.tickets(60), testbed.tickets(60), testbed.tickets(30)
    with testbed.worker(delivery=delivery) as worker:
        worker.ready()
        cluster.produce(first)
        worker.until("the backlog is drained", testbed.drained)
        cluster._admin.delete_topics([topic])[topic].result()
        cluster.produce(second)
        assert worker.wait(60.0) == 1, worker.tail()
        assert topic in worker.last_words
        assert "Traceback" not in worker.log

        cluster.create_topic(topic)
        alter(cluster, topic, cleanup_policy="compact,delete")
        (events,) = testbed.topics
        keyless = [Sent(events, ticket(n)) for n in range(10)]
        cluster.produce([*third, *keyless])
        worker.start()
        worker.until("the backlog is drained", testbed.drained)
        assert "an event without key becomes a dead letter" in worker.log

        # In a transaction the brokers' own markers would be refused as well, and it would never end.
        status, named = (
            (1, "clock") if delivery == "at_least_once" else (2, "message.timestamp.before.max.ms")
        )
        alter(cluster, topic, message_timestamp_before_max_ms="0")
        more = 0
        while worker.is_running:  # the brokers take the setting in a little later
            cluster.produce(testbed.tickets(5))
            more += 5
            worker.wait(1.0)
        assert worker.wait() == status, worker.tail()
        assert named in worker.last_words
        alter(cluster, topic, message_timestamp_before_max_ms="86400000")
        worker.start()
        worker.until("the backlog is drained", testbed.drained)
    predictions, letters = testbed.predictions(), testbed.dead_letters()
    assert len({out.source for out in predictions}) == 60 + 30 + more
    if delivery == "exactly_once":  # else what a refused batch had published is published again
        assert len(predictions) == 60 + 30 + more
    assert len(letters) == 10
    for letter in letters:
        assert letter.letter.reason == "prediction-refused"
        assert (letter.key, bool(letter.value)) == (None, True)
        assert "cleanup.policy" in letter.letter.message
