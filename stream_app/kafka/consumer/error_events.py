"""What a consumer's error events mean: one place that reads them by the table of `kafka.errors`.

librdkafka tells of an error once, and of its end not at all. So an error that brokers also say for
a moment (a topic that is unknown, a right that is missing) is remembered as a doubt, until what it
was about works again; after `refusal_seconds` it is believed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException

from stream_app.errors import FatalError, RefusedError
from stream_app.kafka.errors import (
    Kind,
    Verdict,
    failure,
    is_fatal,
    is_truncation,
    is_unreadable_answer,
    remedy_of_fetch,
    verdict,
)
from stream_app.records.partition import Partition

__all__ = ["ConsumerErrors"]

log = logging.getLogger(__name__)

_LOG_SECONDS: Final = 10.0
"""An error that is repeated and passes is logged again after so long."""
_LOOK_SECONDS: Final = 1.0
"""How often, and how long, is looked whether a topic that was refused is known again."""
_START_AGAIN: Final = "start the worker again"
#: A partition, a topic, or (None) the group and the brokers.
Where = tuple[str, int] | str | None


class ConsumerErrors:
    """Judges the error events of a consumer; every call is made on the client thread."""

    def __init__(
        self,
        refusal_seconds: float,
        on_waiting: Callable[[str, bool, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_waiting` is told that something is refused, why, and that it works again."""
        self._refusal = refusal_seconds
        self._on_waiting = on_waiting
        self._clock = clock
        self._doubts: dict[Where, tuple[float, str]] = {}
        self._logged: dict[int, float] = {}
        self._next_look = 0.0

    def take(self, message: Any) -> None:
        """Take note of an error event.

        Raises `FatalError` for what is permanent; `RefusedError` where librdkafka gave up and a new
        consumer may have more luck, as one does whose predecessor's session has to end first; and a
        `KafkaException` for a bug.
        """
        error: KafkaError = message.error()
        where: Where = None
        topic, partition = message.topic(), message.partition()
        if topic is not None and partition is not None:
            where = topic, partition
            if message.offset() is None and not is_truncation(error):
                where = topic  # an error of a whole topic has no offset
        self._judge(error, where, message.offset())

    def _judge(self, error: KafkaError, where: Where, offset: int | None) -> None:
        gave_up = is_fatal(error)
        row = _of_fatal(error) if gave_up else verdict(error)
        # Of a connection it says that an answer was refused: see `consumer_log`.
        if row.kind is Kind.PASSING or (where is None and is_unreadable_answer(error)):
            self._log(error)
            return
        if row.kind is Kind.BUG:
            raise failure(error, _doing(where, offset))
        remedy = remedy_of_fetch(error, row)
        sentence = f"kafka refuses {_doing(where, offset)}: {error.str()}; {remedy}"
        if not row.is_doubtful:
            raise FatalError(sentence)
        self._doubt(where, sentence)
        if gave_up:
            raise RefusedError("kafka", sentence)

    def joined(self) -> None:
        """The group took the consumer for a member."""
        self._works(None)

    def delivered(self, partitions: Iterable[Partition]) -> None:
        """Records of these came, or they are at their ends."""
        if self._doubts:
            for partition in partitions:
                self._works((partition.topic, partition.number))

    def look(self, consumer: Consumer, partitions: Sequence[Partition], *, is_member: bool) -> None:
        """Look now and then at what was refused: whether it works, or has not for too long.

        `partitions`: those held; what became of others is no doubt of ours. Raises `FatalError`.
        """
        now = self._clock()
        if not self._doubts or now < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        held = {(partition.topic, partition.number) for partition in partitions}
        for where in list(self._doubts):
            if where is None:
                works = is_member
            elif isinstance(where, str):
                works = _is_known(consumer, where)
            else:  # as soon as it delivers something
                works = where not in held
            if works:
                self._works(where)
        for since, sentence in self._doubts.values():
            if now - since >= self._refusal:
                raise FatalError(sentence)

    def _works(self, where: Where) -> None:
        """What was doubtful was said for a moment only."""
        if where in self._doubts:
            del self._doubts[where]
            if not self._doubts:
                self._on_waiting("kafka", False, "")

    def _doubt(self, where: Where, sentence: str) -> None:
        since, _ = self._doubts.get(where, (self._clock(), ""))
        self._doubts[where] = since, sentence
        self._on_waiting("kafka", True, sentence)
        if self._clock() - since >= self._refusal:
            raise FatalError(sentence)

    def _log(self, error: KafkaError) -> None:
        now = self._clock()
        if now - self._logged.get(error.code(), -_LOG_SECONDS) >= _LOG_SECONDS:
            self._logged[error.code()] = now
            log.warning("kafka: %s", error.str())


def _is_known(consumer: Consumer, topic: str) -> bool:
    try:
        known: Any = consumer.list_topics(topic, timeout=_LOOK_SECONDS).topics[topic]
    except KafkaException:
        return False
    return known.error is None


def _doing(where: Where, offset: int | None) -> str:
    if where is None:
        return "the consumer"
    if isinstance(where, str):
        return f"to deliver {where}"
    at = "" if offset is None or offset < 0 else f" at offset {offset}"
    return f"to deliver {where[0]}[{where[1]}]{at}"


def _of_fatal(error: KafkaError) -> Verdict:
    """The row of the error behind a fatal one, whose own code says nothing: its text names it.

    Whatever it is, this consumer has come to its end: it is permanent where it is not doubtful.
    """
    text = error.str()
    named = [code for code, name in _NAMES.items() if name in text]
    if not named:
        return Verdict(Kind.PERMANENT, _START_AGAIN)
    code = max(named, key=lambda code: len(_NAMES[code]))
    row = verdict(KafkaError(code))
    return row if row.kind is Kind.PERMANENT else Verdict(Kind.PERMANENT, _START_AGAIN)


_NAMES: Final[dict[int, str]] = {
    code: KafkaError(code).str()
    for code in vars(KafkaError).values()
    if isinstance(code, int) and code > 0
}
"""What librdkafka calls each error of the brokers."""
