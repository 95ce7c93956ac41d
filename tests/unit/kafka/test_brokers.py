"""What is asked of the brokers, and what becomes of their answers."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AclOperation  # type: ignore[attr-defined]

from stream_app.errors import FatalError, RefusedError, ServiceAwayError
from stream_app.features.stores import Source
from stream_app.kafka import group_offsets
from stream_app.kafka.brokers import Brokers
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId

P = PartitionId("orders", 0)


def refused(code: int, *, retriable: bool = False) -> KafkaException:
    """What librdkafka raises."""
    return KafkaException(KafkaError(code, "told", False, retriable))


def future(answer: object) -> Future[Any]:
    """An answer that is there."""
    made: Future[Any] = Future()
    if isinstance(answer, Exception):
        made.set_exception(answer)
    else:
        made.set_result(answer)
    return made


class Admin:
    """An admin client with an answer for each topic."""

    def __init__(self, **answers: object) -> None:
        self._answers = answers

    def describe_configs(self, resources: Any, request_timeout: float) -> dict[Any, Future[Any]]:
        """As of librdkafka."""
        return {each: future(self._answers[each.name]) for each in resources}

    def describe_topics(
        self, _topics: Any, request_timeout: float, **_: Any
    ) -> dict[str, Future[Any]]:
        """As of librdkafka, of all its topics."""
        return {name: future(answer) for name, answer in self._answers.items()}

    def list_offsets(self, _: Any, **_options: Any) -> Any:
        """As of librdkafka."""
        raise self._answers["orders"]  # type: ignore[misc]


def brokers(**answers: object) -> Brokers:
    """The brokers that answer so."""
    return Brokers(Admin(**answers), {"group.id": "flights"})  # type: ignore[arg-type]


def test_settings_are_what_is_told_of_each_topic() -> None:
    """Of a topic whose settings may not be asked for nothing is; others are told all the same."""
    told = {"cleanup.policy": SimpleNamespace(value="delete"), "x": SimpleNamespace(value=None)}
    asked = brokers(orders=told, bills=refused(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    assert asked.settings(["orders", "bills"]) == {
        "orders": {"cleanup.policy": "delete"},
        "bills": None,
    }
    with pytest.raises(RefusedError, match="settings of topic orders"):
        brokers(orders=refused(KafkaError.UNKNOWN_TOPIC_OR_PART)).settings(["orders"])


@pytest.mark.parametrize(
    ("rights", "may"),
    [
        ([AclOperation.READ, AclOperation.WRITE], True),
        ([AclOperation.ALL], True),
        ([AclOperation.READ, AclOperation.DESCRIBE], False),
        ([], True),
        (None, True),
    ],
)
def test_a_right_to_write_is_believed_to_be_there_where_no_rights_are_told(
    rights: Any, may: bool
) -> None:
    """Not every Kafka service tells them."""
    described = SimpleNamespace(authorized_operations=rights)
    assert brokers(orders=described).not_writable(["orders"]) == ([] if may else ["orders"])


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError._TIMED_OUT, ServiceAwayError),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, RefusedError),
        (KafkaError.UNSUPPORTED_VERSION, FatalError),
    ],
)
def test_a_refusal_becomes_ours(code: int, kind: type[Exception]) -> None:
    """With what was asked for in the sentence."""
    with pytest.raises(kind, match="asking where the logs end") as caught:
        brokers(orders=refused(code)).ends([P])
    assert type(caught.value) is kind


def test_nothing_is_asked_of_no_partitions() -> None:
    """librdkafka calls that an error."""
    assert brokers().ends([]) == {}


class Member:
    """A consumer of the group that tells what it committed, after some refusals."""

    def __init__(self, *answers: Exception | list[TopicPartition]) -> None:
        self.answers = list(answers)

    def committed(self, _partitions: Any, timeout: float) -> list[TopicPartition]:
        """As of librdkafka."""
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def member(monkeypatch: pytest.MonkeyPatch) -> Member:
    """The consumer that is asked; there is no pause between two questions."""
    made = Member()
    monkeypatch.setattr(group_offsets, "Consumer", lambda _properties, logger: made)
    monkeypatch.setattr(group_offsets, "_AGAIN_SECONDS", 0.0)
    return made


COMMITTED = [
    TopicPartition("orders", 0, 7, "stream-app/1 an-id"),
    TopicPartition("orders", 1, -1001),
]


def test_a_coordinator_that_moves_is_waited_for_if_wanted(member: Member) -> None:
    """A command does; a worker tells that it waits, and tries again itself."""
    moving = refused(KafkaError.NOT_COORDINATOR, retriable=True)
    member.answers = [moving, moving, COMMITTED]
    found = brokers().committed([P, PartitionId("orders", 1)])
    assert {each: committed.offset for each, committed in found.items()} == {P: 7}
    member.answers = [moving, COMMITTED]
    with pytest.raises(ServiceAwayError, match="asking for the group's offsets"):
        brokers().committed([P], wait=False)


def test_a_refusal_is_not_waited_for(member: Member) -> None:
    """It will not pass by itself."""
    member.answers = [refused(KafkaError.GROUP_AUTHORIZATION_FAILED), COMMITTED]
    with pytest.raises(RefusedError, match="grant the worker Read on its group"):
        brokers().committed([P])


def test_an_offset_of_another_topic_of_the_name_is_none_of_an_assigned_partition(
    member: Member,
) -> None:
    """A transaction was not committed because another topic's offsets are."""
    ours, another = (
        Partition("orders", 0, 0, Source("c", each, 0)) for each in ("an-id", "another")
    )
    member.answers = [COMMITTED, COMMITTED]
    asked = brokers()
    assert asked.committed_of([ours]) == {ours: 7}
    assert asked.committed_of([another]) == {}
