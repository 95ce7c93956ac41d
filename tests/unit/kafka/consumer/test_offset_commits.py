"""Commits that the brokers refuse: tried again while that may help, and no longer."""

import pytest
from confluent_kafka import KafkaError, TopicPartition

from stream_app.errors import FatalError
from stream_app.kafka.consumer.offset_commits import OffsetCommits
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.observer.observer import Observer
from tests.unit.builders import begins, partition


class Context:
    """A partition whose offset 5 is to be committed, and brokers that answer what they are told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.at = partition()
        self.stage = OffsetTracker()
        self.stage.begin(begins(self.at, 5))
        self.commits = OffsetCommits(
            self.stage,
            Observer(),
            lambda *_: self.at,
            beside_transactions=False,
            refusal_seconds=30.0,
            clock=lambda: self.now,
        )

    def answer(self, code: int | None) -> None:
        """The brokers answer a commit."""
        error = None if code is None else KafkaError(code)
        self.commits.answered(error, [TopicPartition(self.at.topic, self.at.number, 5)])

    def go_on(self) -> None:
        """The client thread has a turn, and nothing to commit."""
        self.stage.take_due()
        self.commits.send(None)  # type: ignore[arg-type]


def test_a_commit_that_is_refused_for_good_ends_the_worker() -> None:
    """The sentence names the partition and the offset."""
    context = Context()
    context.answer(KafkaError.FENCED_INSTANCE_ID)
    with pytest.raises(FatalError, match=r"orders\[0\] at 5.*group_instance_id"):
        context.go_on()


def test_a_commit_that_is_refused_for_a_moment_is_tried_again() -> None:
    """Refused for `refusal_seconds` without one that succeeds, it is refused for good."""
    context = Context()
    for context.now in (0.0, 29.0):
        context.answer(KafkaError.GROUP_AUTHORIZATION_FAILED)
        context.go_on()
    context.answer(None)
    context.now = 40.0
    context.answer(KafkaError.GROUP_AUTHORIZATION_FAILED)
    context.go_on()
    context.now = 71.0
    context.answer(KafkaError.GROUP_AUTHORIZATION_FAILED)
    with pytest.raises(FatalError, match="grant the worker Read on its group"):
        context.go_on()


def test_a_commit_that_fails_while_the_group_moves_is_tried_again_for_ever() -> None:
    """Its coordinator is away, or a rebalance is under way."""
    context = Context()
    for context.now in (0.0, 100.0, 1_000.0):
        context.answer(KafkaError.REBALANCE_IN_PROGRESS)
        assert context.stage.has_due
        context.go_on()
