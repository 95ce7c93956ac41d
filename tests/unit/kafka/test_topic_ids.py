"""Who a partition is, as the brokers tell it."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Uuid

from stream_app.errors import FatalError, RefusedError
from stream_app.features.stores import Source
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.topic_ids import TopicIds
from tests.unit.builders import partition


class Admin:
    """An admin client whose brokers know one topic id, or none; no broker that old can be had."""

    def __init__(self, answer: Uuid | KafkaException) -> None:
        self.answer = answer

    def describe_topics(self, topics: Any, request_timeout: float) -> dict[str, Future[Any]]:
        """As `AdminClient.describe_topics`."""
        future: Future[Any] = Future()
        if isinstance(self.answer, KafkaException):
            future.set_exception(self.answer)
        else:
            future.set_result(SimpleNamespace(topic_id=self.answer, partitions=[0, 1]))
        return {"orders": future}

    def list_topics(self, topic: str, timeout: float) -> Any:
        """As `AdminClient.list_topics`."""
        return SimpleNamespace(cluster_id="cluster")


def sources(answer: Uuid | KafkaException) -> TopicIds:
    """The topic orders, of which the brokers say this."""
    return TopicIds(Brokers(Admin(answer)), ["orders"])  # type: ignore[arg-type]


def test_brokers_that_give_no_topic_ids_are_refused() -> None:
    """Two topics of one name could not be told apart; the sentence names the oldest that serves."""
    with pytest.raises(FatalError, match=r"orders no id.*Kafka 3\.1 is the oldest"):
        sources(Uuid(0, 0)).identify([("orders", 0)])


def test_a_partition_is_checked_against_what_it_was_when_it_was_assigned() -> None:
    """As long as the topic is the same, nothing happens."""
    asked = sources(Uuid(1, 2))
    (at,) = asked.identify([("orders", 3)])
    assert (at.topic, at.number, at.source) == ("orders", 3, Source("cluster", at.topic_id, 3))
    asked.check([at])
    with pytest.raises(FatalError, match="orders was deleted and made anew"):
        sources(Uuid(1, 3)).check([at])


def test_a_topic_that_is_another_than_at_an_earlier_assignment_is_refused() -> None:
    """A consumer that read the one before may never fetch from its successor."""
    admin = Admin(Uuid(1, 2))
    asked = TopicIds(Brokers(admin), ["orders"])  # type: ignore[arg-type]
    asked.identify([("orders", 0)])
    asked.identify([("orders", 1)])
    admin.answer = Uuid(1, 3)
    with pytest.raises(FatalError, match="orders was deleted and made anew while it was in use"):
        asked.identify([("orders", 1)])


def test_a_topic_that_is_gone_is_waited_for() -> None:
    """For `refusal_seconds`: brokers that start do not know it for a moment, either."""
    gone = KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
    with pytest.raises(RefusedError, match=r"orders.*create the topic"):
        sources(gone).check([partition()])
    sources(gone).check([])  # nothing is held: whoever joins looks at the topics first
