"""Sends replays and their marks: both or neither, under an id that one person at a time can hold.

The transactional id is that of the dead-letter topic. Who begins with it ends what a predecessor left
open, and shuts it out: so the marks that are read afterwards are all there will ever be but one's own.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from stream_app.config.settings import Settings
from stream_app.dead_letters.letter import Letter
from stream_app.dead_letters.outgoing_replay import OutgoingReplay
from stream_app.dead_letters.resolutions import Resolution
from stream_app.errors import FatalError, StreamAppError
from stream_app.kafka.errors import (
    Kind,
    failure,
    is_fatal,
    is_fenced,
    stands_for_another,
    verdict,
)
from stream_app.kafka.producers import PRODUCER_FAILURES, cause_of

__all__ = ["Marked", "MarkedTransactions", "ShutOutError"]

#: A letter, what became of it, and the record that is sent, where one is.
Marked = tuple[Letter, Resolution, OutgoingReplay | None]

_DOING: Final = "sending replays and their marks"
_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1
_ABORT_SECONDS: Final = 2.0
_TRIES: Final = 5

_librdkafka = logging.getLogger("librdkafka")


class ShutOutError(StreamAppError):
    """Somebody else has begun to replay or resolve letters of the same topic."""


class MarkedTransactions:
    """Transactions of one dead-letter topic."""

    def __init__(
        self,
        settings: Settings,
        application: str,
        dead_letters_topic: str,
        resolutions_topic: str,
    ) -> None:
        """Takes the transactional id over, from whoever holds it."""
        self._dead_letters_topic = dead_letters_topic
        self._resolutions_topic = resolutions_topic
        properties = {
            # No worker's instance has a colon in its name.
            **settings.transaction_properties(application, f"dead-letters:{dead_letters_topic}"),
            "delivery.report.only.error": True,
            "linger.ms": 5,
            "log_level": 0,  # what goes wrong is raised
        }
        self._producer: Any = Producer(properties, logger=_librdkafka)
        self._call(
            "taking over the dead-letter topic", lambda: self._producer.init_transactions(_SECONDS)
        )

    def send(self, batch: Sequence[Marked]) -> list[tuple[Letter, str]]:
        """Send replays with their marks in one transaction.

        Returns letters whose records the brokers do not take, and why: of those nothing is sent.
        Raises `ShutOutError`, and what `errors.failure` makes of a refusal.
        """
        left, told = list(batch), []
        while left:
            failed = self._attempt(left)
            if not failed:
                break
            refused = [each for each in failed if verdict(each[1]).kind is Kind.RECORD]
            if not refused:
                raise failure(failed[0][1], _DOING) from KafkaException(failed[0][1])
            told += [(letter, error.str()) for letter, error in refused]
            gone = {letter.id for letter, _ in refused}
            left = [each for each in left if each[0].id not in gone]
        return told

    def _attempt(self, batch: Sequence[Marked]) -> list[tuple[Letter, KafkaError]]:
        """Commit a batch, or abort it and return what was refused."""
        failed: list[tuple[Letter, KafkaError]] = []
        self._call(_DOING, self._producer.begin_transaction)
        try:
            self._fill(batch, failed)
        except BaseException:  # whatever it is, Ctrl-C too
            # Workers wait behind a transaction that is open: not until the brokers end it.
            with suppress(*PRODUCER_FAILURES):
                self._producer.abort_transaction(_ABORT_SECONDS)
            raise
        if failed:
            self._call(_DOING, lambda: self._producer.abort_transaction(_SECONDS))
            return failed
        self._call(_DOING, lambda: self._producer.commit_transaction(_SECONDS))
        return []

    def _fill(self, batch: Sequence[Marked], failed: list[tuple[Letter, KafkaError]]) -> None:
        """Send a batch, and wait until the brokers have taken it or refused some of it."""
        for letter, resolution, replay in batch:
            report = partial(_report, failed, letter)
            if replay is not None:
                self._produce(
                    report,
                    replay.target.topic,
                    replay.value,
                    replay.key,
                    replay.target.number,
                    headers=replay.headers,
                )
            self._produce(
                report, self._resolutions_topic, resolution.as_value(), str(letter.id).encode()
            )
        self._call(_DOING, lambda: self._producer.flush(_SECONDS))

    def _produce(self, report: Any, *record: Any, **more: Any) -> None:
        while True:
            try:
                self._producer.produce(*record, on_delivery=report, **more)
            except BufferError:
                self._producer.poll(_POLL_SECONDS)  # the queue is full: let it drain
            except PRODUCER_FAILURES as failed:
                error = cause_of(failed)
                if error is None or is_fatal(error) or is_fenced(error):
                    raise self._meaning(_DOING, failed) from failed
                report(error, None)
                return
            else:
                self._producer.poll(0)
                return

    def _call(self, doing: str, call: Any) -> None:
        """Make a call of the producer, again where librdkafka says so."""
        for tries_left in reversed(range(_TRIES)):
            try:
                call()
            except PRODUCER_FAILURES as failed:
                error = cause_of(failed)
                if not (tries_left and error is not None and error.retriable()):
                    raise self._meaning(doing, failed) from failed
            else:
                return

    def _meaning(self, doing: str, failed: BaseException) -> Exception:
        error = cause_of(failed)
        if error is None or stands_for_another(error):
            error = self._asked_why() or error
        if error is None:
            return FatalError(f"{doing}: {failed}")
        if is_fenced(error):
            return self._shut_out()
        return FatalError(f"{doing}: {error.str()}") if is_fatal(error) else failure(error, doing)

    def _asked_why(self) -> KafkaError | None:
        """What the producer died of, where the call that met it does not tell."""
        try:
            self._producer.abort_transaction(_POLL_SECONDS)
        except PRODUCER_FAILURES as failed:
            return cause_of(failed)
        return None

    def _shut_out(self) -> ShutOutError:
        return ShutOutError(
            f"somebody else replays or resolves letters of {self._dead_letters_topic} now, so this "
            "command ends; what it had not committed is not sent. Run it again when the other is "
            "done: it goes on where the two of you have come to"
        )


def _report(
    failed: list[tuple[Letter, KafkaError]],
    letter: Letter,
    error: KafkaError | None,
    _message: object,
) -> None:
    if error is not None:
        failed.append((letter, error))
