"""What becomes of a record that the brokers refuse though it comes alone.

A prediction is published with value and key, or not at all: it may lose the headers that it passes
on, and then its record becomes a dead letter. A dead letter may lose everything but what we say of
it. Anything else, a row of the feature log for one, is dropped.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import KafkaError

from stream_app.errors import FatalError, ServiceAwayError
from stream_app.kafka.errors import Kind, failure, is_for_size, remedy, verdict
from stream_app.kafka.producers import Refused
from stream_app.records.batch import Outgoing
from stream_app.records.failure import Failure
from stream_app.records.log_fields import about
from stream_app.text.rate_limited import RateLimited
from stream_app.wire.dead_letter import DeadLetters
from stream_app.wire.prediction import without_passed_on_headers

__all__ = ["Refusals", "apart", "are_batches_too_large", "reason_to_wait"]

log = logging.getLogger(__name__)


def apart(refused: Refused) -> tuple[Refused, Refused]:
    """Those whose refusal may be the fault of a record, and the others."""
    blamed: Refused = []
    others: Refused = []
    for each in refused:
        (blamed if verdict(each[1]).kind is Kind.RECORD else others).append(each)
    return blamed, others


def are_batches_too_large(blamed: Refused) -> bool:
    """Whether a record whose batch was refused for its size was taken when it came alone."""
    return any(each.fits and is_for_size(error) for each, error in blamed)


def reason_to_wait(refused: Refused) -> ServiceAwayError:
    """What to raise where records were refused that are to be published again.

    Raises the worst of the reasons itself, where waiting does not help.
    """
    reasons = {error.code(): (outgoing, error) for outgoing, error in reversed(refused)}
    waits: list[ServiceAwayError] = []
    for outgoing, error in reasons.values():
        reason = failure(error, f"publishing {_named(outgoing)}")
        if not isinstance(reason, ServiceAwayError):
            raise reason
        waits.append(reason)
    # Prefer a `RefusedError`, which is believed after a while, to a plain `ServiceAwayError`.
    return max(waits, key=lambda wait: type(wait) is not ServiceAwayError)


class Refusals:
    """Finds what to publish instead of a record that is refused alone."""

    def __init__(
        self,
        dead_letters: DeadLetters,
        *,
        limit_bytes: Callable[[str], int | None] = lambda _topic: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`limit_bytes` of a topic: its max.message.bytes, where it is known."""
        self._dead_letters = dead_letters
        self._limit = limit_bytes
        self._clock = clock
        self._warn = RateLimited(log.warning)

    def __call__(self, outgoing: Outgoing, error: KafkaError) -> Outgoing | None:
        """What to publish instead, if anything; raises `FatalError` where nothing is left to try."""
        is_invalid = not is_for_size(error)
        if is_invalid and outgoing.key is not None:
            # The record has a key, so it was not refused for a missing one by a compacted topic. Its
            # timestamp is refused, which is the moment it was sent at.
            raise FatalError(self._clocks(outgoing))
        if outgoing.kind == "dead letter":
            smaller = None if is_invalid else self._dead_letters.smaller(outgoing)
            if smaller is None:
                raise FatalError(self._hopeless(outgoing, error))
            self._warn(
                "%s is too large (%s); less of it is published",
                _named(outgoing),
                error.str(),
                extra=_about(outgoing),
            )
            return smaller
        if outgoing.kind != "prediction":
            self._warn("%s is dropped: %s", _named(outgoing), error.str(), extra=_about(outgoing))
            return None
        if not is_invalid:
            shorter = without_passed_on_headers(outgoing)
            if shorter is not None:
                self._warn(
                    "%s is too large (%s); it is published without the headers of its event",
                    _named(outgoing),
                    error.str(),
                    extra=_about(outgoing),
                )
                return shorter
        return self._letter(outgoing, error)

    def _letter(self, outgoing: Outgoing, error: KafkaError) -> Outgoing:
        item = outgoing.item
        assert item is not None, "a prediction is made of an item"
        size = sum(map(len, (outgoing.key or b"", outgoing.value or b"")))
        limit = self._limit(outgoing.topic)
        allowed = (
            "" if limit is None else f", of which {outgoing.topic} allows {limit} with all else"
        )
        message = (
            f"the prediction is refused: {error.str()}; "
            f"its key and value are {size} bytes{allowed}; {remedy(error)}"
        )
        item.failure = Failure("publish", "prediction-refused", message, disposition="bug")
        return self._dead_letters.letter(item, item.failure)

    def _clocks(self, outgoing: Outgoing) -> str:
        now = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="seconds")
        return (
            f"kafka refuses {_named(outgoing)}, probably for its timestamp: the worker's clock shows "
            f"{now}; compare it with the clocks of the brokers and with the topic's settings "
            "message.timestamp.before.max.ms and message.timestamp.after.max.ms"
        )

    def _hopeless(self, outgoing: Outgoing, error: KafkaError) -> str:
        if not is_for_size(error):
            return (
                f"kafka refuses {_named(outgoing)}, which has no key: set cleanup.policy=delete for "
                f"{outgoing.topic}; or {self._clocks(outgoing)}"
            )
        return (
            f"kafka refuses {_named(outgoing)}, of which nothing more can be left out: "
            f"{error.str()}; {remedy(error)}"
        )


def _named(outgoing: Outgoing) -> str:
    """The record for a person: what it is, of which record, for which topic."""
    item = outgoing.item
    of = f" of {item.record.partition} offset {item.record.offset}" if item is not None else ""
    return f"the {outgoing.kind}{of} for topic {outgoing.topic}"


def _about(outgoing: Outgoing) -> dict[str, Any]:
    """The fields of a line about it: where the record lies that it came of."""
    item = outgoing.item
    return {} if item is None else about(item.record.partition, item.record.offset)
