"""What a rebalance callback raises arrives where `poll` was called, and not inside librdkafka."""

from typing import Any

import pytest

from stream_app.errors import ConfigurationError
from stream_app.kafka.consumer.callbacks import Callbacks


class Consumer:
    """Notes what it is assigned."""

    def __init__(self) -> None:
        self.assigned: list[list[Any]] = []

    def incremental_assign(self, partitions: list[Any]) -> None:
        """Take partitions."""
        self.assigned.append(partitions)


def failing(consumer: Any, partitions: Any) -> None:
    """A callback that cannot go on."""
    raise ConfigurationError("no such topic")


def test_what_a_callback_raises_is_raised_once_when_poll_has_returned() -> None:
    """The first of several counts: what follows is often its consequence."""
    callbacks, consumer = Callbacks(), Consumer()
    callbacks.raised_later(failing)(consumer, [])  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="no such topic"):
        callbacks.raise_kept()
    callbacks.raise_kept()
    assert consumer.assigned == []


def test_an_assignment_that_fails_is_answered_with_no_partitions() -> None:
    """Left without an answer, confluent-kafka would take them all."""
    callbacks, consumer = Callbacks(), Consumer()
    callbacks.raised_later(failing, assigns=True)(consumer, ["events[0]"])  # type: ignore[arg-type, list-item]
    assert consumer.assigned == [[]]


def test_what_is_raised_while_the_group_is_left_goes_to_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever ends the thread is told already."""
    callbacks = Callbacks()
    callbacks.raised_later(failing)(Consumer(), [])  # type: ignore[arg-type]
    callbacks.log_kept()
    assert "leaving the group: no such topic" in caplog.text
    callbacks.raise_kept()
