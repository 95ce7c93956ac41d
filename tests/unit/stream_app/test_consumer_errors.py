"""What a consumer's error events make of the worker."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from stream_app.errors import FatalError, RefusedError
from stream_app.transport.consumer_errors import ConsumerErrors


class Scene:
    """Error events, a clock, and what was said of waiting."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waiting: list[bool] = []
        self.errors = ConsumerErrors(
            30.0, lambda _service, waiting, _why: self.waiting.append(waiting), lambda: self.now
        )


@pytest.fixture
def scene() -> Scene:
    """A consumer of which nothing was heard yet."""
    return Scene()


def fatal(code: int) -> KafkaError:
    """A fatal error as librdkafka's consumer tells of it: its own code says nothing."""
    return KafkaError(KafkaError._FATAL, f"Fatal error: {KafkaError(code).str()}: heartbeat failed")


def test_what_passes_is_logged_and_no_more(scene: Scene) -> None:
    """librdkafka tries again by itself."""
    scene.errors.judge(KafkaError(KafkaError._ALL_BROKERS_DOWN), None)
    scene.errors.judge(KafkaError(KafkaError.NOT_COORDINATOR), None)
    assert scene.errors.doubts == []


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
    scene: Scene, code: int
) -> None:
    """One sentence: where it is, what it is, and what to do."""
    with pytest.raises(FatalError, match=r"orders\[3\] at offset 17: .*; .*offset"):
        scene.errors.judge(KafkaError(code), ("orders", 3), 17)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (KafkaError.FENCED_INSTANCE_ID, "group_instance_id"),
        (KafkaError.UNSUPPORTED_ASSIGNOR, "group.remote.assignor"),
        (KafkaError.INVALID_REQUEST, "start the worker again"),
    ],
)
def test_a_fatal_error_ends_the_worker_though_its_code_is_negative(
    scene: Scene, code: int, remedy: str
) -> None:
    """`fatal()` is false on such events; the text names the error behind it, and so the remedy."""
    assert not fatal(code).fatal()
    with pytest.raises(FatalError, match=remedy):
        scene.errors.judge(fatal(code), None)


def test_a_member_whose_predecessor_has_not_left_yet_tries_again(scene: Scene) -> None:
    """The session of a static member that was killed ends by itself: until then, and no longer."""
    error = fatal(KafkaError.UNRELEASED_INSTANCE_ID)
    for scene.now in (0.0, 10.0, 29.0):
        with pytest.raises(RefusedError, match="same group_instance_id"):
            scene.errors.judge(error, None)
    scene.errors.works(None)
    assert scene.waiting == [True, True, True, False]
    scene.now = 31.0
    with pytest.raises(RefusedError):
        scene.errors.judge(error, None)
    scene.now = 61.0
    with pytest.raises(FatalError, match="same group_instance_id"):
        scene.errors.judge(error, None)


def test_a_topic_that_is_unknown_for_a_moment_does_not_end_the_worker(scene: Scene) -> None:
    """A broker that starts says so, too; one that goes on saying so means it."""
    error = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
    scene.errors.judge(error, "orders")
    assert scene.errors.doubts == ["orders"]
    scene.now = 29.0
    scene.errors.look()
    scene.errors.works("orders")
    scene.now = 31.0
    scene.errors.look()
    scene.errors.judge(error, "orders")
    scene.now = 62.0
    with pytest.raises(FatalError, match=r"orders.*create the topic"):
        scene.errors.look()


def test_a_bug_is_no_sentence(scene: Scene) -> None:
    """It ends the worker as what it is."""
    with pytest.raises(KafkaException):
        scene.errors.judge(KafkaError(KafkaError._INVALID_ARG), None)


def test_an_error_that_no_row_knows_is_not_passing(scene: Scene) -> None:
    """To wait for what nobody knows would be to wait for ever."""
    with pytest.raises(FatalError):
        scene.errors.judge(KafkaError(12_345), ("orders", 0), 1)
