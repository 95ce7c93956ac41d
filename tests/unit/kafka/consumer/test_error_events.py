"""What a consumer's error events make of the worker."""

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from stream_app.errors import FatalError, RefusedError
from stream_app.kafka.consumer.error_events import ConsumerErrors
from stream_app.observer.events import WaitingBegan
from stream_app.records.partition import Partition
from tests.unit.builders import partition
from tests.unit.observers import listening_to_waits


class Event:
    """A message that carries an error, as `poll` returns it."""

    def __init__(self, error: KafkaError, topic: str | None, number: int, offset: int | None):
        self._error, self._topic, self._number, self._offset = error, topic, number, offset

    def error(self) -> KafkaError:
        """What went wrong."""
        return self._error

    def topic(self) -> str | None:
        """Whose error it is; None for the group's and the brokers'."""
        return self._topic

    def partition(self) -> int:
        """0 where it is no partition's."""
        return self._number

    def offset(self) -> int | None:
        """None where it is no partition's."""
        return self._offset


class Broker:
    """A consumer that may ask for topics, and learns whether they are known."""

    def __init__(self) -> None:
        self.error: KafkaError | None = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)

    def list_topics(self, topic: str, timeout: float) -> Any:
        """As confluent-kafka's consumer answers."""
        return SimpleNamespace(topics={topic: SimpleNamespace(error=self.error)})


class Context:
    """Error events, a clock, and what was said of waiting."""

    def __init__(self) -> None:
        self.now = 0.0
        observer, self._waits = listening_to_waits()
        self.errors = ConsumerErrors(30.0, observer, lambda: self.now)
        self.broker = Broker()

    @property
    def waiting(self) -> list[bool]:
        """For each wait that was told, whether it began or ended."""
        return [isinstance(wait, WaitingBegan) for wait in self._waits]

    def tell(
        self,
        error: KafkaError,
        topic: str | None = None,
        number: int = 0,
        offset: int | None = None,
    ) -> None:
        """An error event comes."""
        self.errors.take(Event(error, topic, number, offset))  # type: ignore[arg-type]

    def look(self, *held: Partition, is_member: bool = True) -> None:
        """The client thread has a turn."""
        self.errors.look(self.broker, held, is_member=is_member)  # type: ignore[arg-type]


@pytest.fixture
def context() -> Context:
    """A consumer of which nothing was heard yet."""
    return Context()


def fatal(code: int) -> KafkaError:
    """A fatal error as librdkafka's consumer tells of it: its own code says nothing."""
    return KafkaError(KafkaError._FATAL, f"Fatal error: {KafkaError(code).str()}: heartbeat failed")


def test_what_passes_is_no_end(context: Context) -> None:
    """librdkafka tries again by itself."""
    context.tell(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    context.tell(KafkaError(KafkaError.NOT_COORDINATOR))
    context.tell(KafkaError(KafkaError._BAD_MSG))
    assert context.waiting == []


@pytest.mark.parametrize(
    "code",
    [
        KafkaError._BAD_COMPRESSION,
        KafkaError._BAD_MSG,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError._UNDERFLOW,
    ],
)
def test_a_partition_whose_fetch_fails_for_ever_is_named_with_its_offset(
    context: Context, code: int
) -> None:
    """One sentence: where it is, what it is, and what to do."""
    with pytest.raises(FatalError, match=r"orders\[3\] at offset 17: .*; .*offset"):
        context.tell(KafkaError(code), "orders", 3, 17)


def test_a_log_that_was_truncated_is_named(context: Context) -> None:
    """librdkafka tells no offset then."""
    with pytest.raises(FatalError, match=r"orders\[3\]: .*lost records they had acknowledged"):
        context.tell(KafkaError(KafkaError._LOG_TRUNCATION), "orders", 3)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (KafkaError.FENCED_INSTANCE_ID, "group_instance_id"),
        (KafkaError.UNSUPPORTED_ASSIGNOR, "group.remote.assignor"),
        (KafkaError.INVALID_REQUEST, "start the worker again"),
    ],
)
def test_a_fatal_error_ends_the_worker_though_its_code_is_negative(
    context: Context, code: int, remedy: str
) -> None:
    """`fatal()` is false on such events; the text names the error behind it, and so the remedy."""
    assert not fatal(code).fatal()
    with pytest.raises(FatalError, match=remedy):
        context.tell(fatal(code))


def test_a_member_whose_predecessor_has_not_left_yet_tries_again(context: Context) -> None:
    """The session of a static member that was killed ends by itself: until then, and no longer."""
    error = fatal(KafkaError.UNRELEASED_INSTANCE_ID)
    for context.now in (0.0, 10.0, 29.0):
        with pytest.raises(RefusedError, match="same group_instance_id"):
            context.tell(error)
        context.look(is_member=False)
    context.errors.joined()
    assert context.waiting == [True, True, True, False]
    context.now = 31.0
    with pytest.raises(RefusedError):
        context.tell(error)
    context.now = 61.0
    with pytest.raises(FatalError, match="same group_instance_id"):
        context.tell(error)


def test_a_topic_that_is_unknown_for_a_moment_does_not_end_the_worker(context: Context) -> None:
    """A broker that starts says so, too; one that goes on saying so means it."""
    error = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
    context.tell(error, "orders")
    context.now = 29.0
    context.look()
    context.broker.error = None
    context.now = 31.0
    context.look()
    assert context.waiting == [True, False]
    context.broker.error = error
    context.tell(error, "orders")
    context.now = 62.0
    with pytest.raises(FatalError, match=r"orders: .*create the topic"):
        context.look()


def test_a_partition_that_was_refused_works_when_it_delivers(context: Context) -> None:
    """Or when it is another worker's."""
    error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    for number, works in ((0, True), (1, False)):
        at = partition(number)
        context.tell(error, at.topic, number, 7)
        if works:
            context.errors.delivered([at])
        context.now += 31.0
        context.look()
    context.tell(error, at.topic, number, 7)
    context.now += 31.0
    with pytest.raises(FatalError, match="rights"):
        context.look(at)


def test_a_bug_is_no_sentence(context: Context) -> None:
    """It ends the worker as what it is."""
    with pytest.raises(KafkaException):
        context.tell(KafkaError(KafkaError._INVALID_ARG))


def test_an_error_that_no_row_knows_is_not_passing(context: Context) -> None:
    """To wait for what nobody knows would be to wait for ever."""
    with pytest.raises(FatalError):
        context.tell(KafkaError(12_345), "orders", 0, 1)
