"""Rebalance callbacks that may raise: librdkafka calls them inside `poll`, which cannot pass that on."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException, TopicPartition

__all__ = ["Callbacks"]

log = logging.getLogger(__name__)

#: A rebalance callback.
_Rebalance = Callable[[Consumer, list[TopicPartition]], None]


class Callbacks:
    """Keeps what callbacks raise until `poll` has returned.

    confluent-kafka makes a SystemError of what its own functions raise there (2.16, Python 3.11).
    """

    def __init__(self) -> None:
        self._kept: BaseException | None = None

    def raised_later(self, call: _Rebalance, *, assigns: bool = False) -> _Rebalance:
        """The callback, with what it raises kept; `assigns`: it is asked to take partitions."""

        def kept(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            try:
                call(consumer, partitions)
            except BaseException as error:  # noqa: BLE001 - raised by `raise_kept`
                self._kept = self._kept or error
                if assigns:
                    _take_nothing(consumer)

        return kept

    def raise_kept(self) -> None:
        """Raise what the first callback that failed has raised, once."""
        kept, self._kept = self._kept, None
        if kept is not None:
            raise kept

    def log_kept(self) -> None:
        """Log it instead: whatever ends the thread is told already."""
        if self._kept is not None:
            log.warning("leaving the group: %s", self._kept)
            self._kept = None


def _take_nothing(consumer: Consumer) -> None:
    """Answer a rebalance: left without an answer, confluent-kafka takes the partitions by itself."""
    try:
        consumer.incremental_assign([])
    except KafkaException:
        with contextlib.suppress(KafkaException):
            consumer.assign([])
