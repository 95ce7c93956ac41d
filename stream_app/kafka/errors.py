"""What each error of Kafka means: the one place where librdkafka's errors become ours.

An error is one of four kinds (`error_table` has a row for every code):

- passing: wait and try again, with backoff (`retry`);
- the record's own: the record is tried alone, and becomes a dead letter if it is refused again;
- permanent: a person has to change something, so the worker ends with one sentence and status 1;
- a bug: of ours or of librdkafka. The worker ends, and the start counts as one that got nowhere.

Some permanent errors are also said for a moment by brokers that start or fail over: a topic that is
unknown, a password that is not loaded yet. Those are believed only after `refusal_seconds`.

A code that no row names is permanent: to wait for what nobody knows would be to wait for ever.

Some codes are no failure but news, such as the end of a partition. Who has to tell them asks the
questions at the end of this file: no other module compares codes, and a test holds that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from stream_app.errors import ConfigurationError, FatalError, RefusedError, ServiceAwayError
from stream_app.kafka.error_table import TABLE, Kind, Verdict

__all__ = [
    "Kind",
    "Verdict",
    "asked_by_command",
    "beyond",
    "error_of",
    "failure",
    "has_stale_epoch",
    "incomplete_answer",
    "is_before_assignment",
    "is_damaged",
    "is_dropped_with_another",
    "is_end_of_partition",
    "is_existing_topic",
    "is_fatal",
    "is_fenced",
    "is_for_size",
    "is_for_transaction_timeout",
    "is_forbidden_topic",
    "is_no_broker_left",
    "is_of_client",
    "is_out_of_log",
    "is_truncation",
    "is_unanswered",
    "is_unknown_topic",
    "is_unreadable_answer",
    "remedy",
    "remedy_of_fetch",
    "stands_for_another",
    "tells_of_truncation",
    "too_large",
    "unsent",
    "verdict",
]

_BEYOND: Final = "the record is larger than"
_UNKNOWN: Final = Verdict(Kind.PERMANENT, "this version of the worker does not know the error")


def verdict(error: KafkaError) -> Verdict:
    """The row of an error's code."""
    return TABLE.get(error.code(), _UNKNOWN)


def error_of(exception: BaseException) -> KafkaError | None:
    """The error that a client raised; None for anything but a `KafkaException`."""
    if isinstance(exception, KafkaException) and exception.args:
        error = exception.args[0]
        return error if isinstance(error, KafkaError) else None
    return None


def failure(error: KafkaError, doing: str) -> Exception:
    """The exception to raise where a request was answered by `error`.

    `doing`: what was asked for, as in "describing the topic events". Returns `ServiceAwayError`
    for what passes, `RefusedError` for what is believed after a while, `FatalError` for what is
    permanent, and for a bug a `KafkaException`, which nothing handles.
    """
    row = verdict(error)
    sentence = f"{doing}: {error.str()}"
    if row.kind is Kind.PASSING:
        return ServiceAwayError("kafka", sentence)
    if row.kind is Kind.BUG:
        return KafkaException(error)
    sentence = f"kafka refuses {sentence}; {row.remedy}"
    return RefusedError("kafka", sentence) if row.is_doubtful else FatalError(sentence)


@contextmanager
def asked_by_command() -> Iterator[None]:
    """Raise what a command does, which does not wait, where a worker would.

    Brokers that are away stay a `ServiceAwayError`: later it may work. What they refuse, for good or
    perhaps for a moment only, is a `ConfigurationError`.
    """
    try:
        yield
    except KafkaException as failed:
        error = error_of(failed)
        raise ConfigurationError(f"kafka: {error.str() if error else failed}") from failed
    except (RefusedError, FatalError) as failed:
        raise ConfigurationError(str(failed)) from failed
    except ServiceAwayError as failed:
        if isinstance(failed.__cause__, KafkaException):
            raise ServiceAwayError("kafka", f"Kafka does not answer: {failed}") from failed
        raise


def remedy_of_fetch(error: KafkaError, row: Verdict) -> str:
    """What a person should do about an error of consuming, by the row that it was judged by."""
    return _FETCH_REMEDIES.get(error.code(), row.remedy)


_FETCH_REMEDIES: Final = {
    KafkaError._BAD_COMPRESSION: (
        "the batch is damaged, or unpacks to more than the consumer property "
        "receive.message.max.bytes: raise that, or set the group's offset behind it"
    ),
    KafkaError.MSG_SIZE_TOO_LARGE: (
        "raise the consumer properties fetch.message.max.bytes and receive.message.max.bytes, or "
        "set the group's offset behind it"
    ),
}
"""Where an error means something else for a consumer than for a producer."""


# News of a log.


def is_end_of_partition(error: KafkaError) -> bool:
    """Whether there is no record before the offset of this event that was not delivered."""
    return error.code() == KafkaError._PARTITION_EOF


def is_out_of_log(error: KafkaError) -> bool:
    """Whether the offset to be read next is not in the log: removed, or cut off at the end."""
    return error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)


def is_truncation(error: KafkaError) -> bool:
    """Whether the log before the offset is another one than was read."""
    return error.code() == KafkaError._LOG_TRUNCATION


def tells_of_truncation(text: str) -> bool:
    """Whether a text of librdkafka says that the log was truncated, where its code does not."""
    return _TRUNCATION in text


_TRUNCATION: Final = KafkaError(KafkaError._LOG_TRUNCATION).str()


def is_damaged(error: KafkaError) -> bool:
    """Whether a batch cannot be unpacked. Of a connection: an answer could not be read."""
    return error.code() in (KafkaError._BAD_COMPRESSION, KafkaError._BAD_MSG)


def is_unreadable_answer(error: KafkaError) -> bool:
    """Whether an answer of a broker could not be read."""
    return error.code() == KafkaError._BAD_MSG


# News of a client.


def is_fatal(error: KafkaError) -> bool:
    """Whether the client that met the error has come to its end."""
    # `produce` raises the code _FATAL, which does not count as fatal.
    return error.fatal() or error.code() == KafkaError._FATAL


def is_fenced(error: KafkaError) -> bool:
    """Whether another producer of the same transactional id has begun."""
    return error.code() in (
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    )


def is_existing_topic(error: KafkaError) -> bool:
    """Whether a topic was to be created that is there."""
    return error.code() == KafkaError.TOPIC_ALREADY_EXISTS


def stands_for_another(error: KafkaError) -> bool:
    """Whether the error says only that there is a fatal one."""
    return error.code() == KafkaError._FATAL


def is_no_broker_left(error: KafkaError) -> bool:
    """Whether every connection is down; what led to it says more."""
    return error.code() == KafkaError._ALL_BROKERS_DOWN


def is_of_client(error: KafkaError) -> bool:
    """Whether librdkafka says so by itself, and no broker has answered."""
    return error.code() < 0


def is_before_assignment(error: KafkaError) -> bool:
    """Whether a seek came before the assignment took effect."""
    return error.code() in (KafkaError._STATE, KafkaError._PREV_IN_PROGRESS)


def has_stale_epoch(error: KafkaError) -> bool:
    """Whether librdkafka's cached leader epoch is older than the broker's, or newer."""
    return error.code() in (KafkaError.FENCED_LEADER_EPOCH, KafkaError.UNKNOWN_LEADER_EPOCH)


# Answers to requests.


def is_unknown_topic(error: KafkaError) -> bool:
    """Whether the brokers know no such topic."""
    return error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def is_unanswered(error: KafkaError) -> bool:
    """Whether a request got no answer in its time."""
    return bool(error.code() == KafkaError._TIMED_OUT)


def is_for_transaction_timeout(error: KafkaError) -> bool:
    """Whether a transaction is refused for nothing but its timeout, so with every right that it needs."""
    return error.code() == KafkaError.INVALID_TRANSACTION_TIMEOUT


def is_forbidden_topic(error: KafkaError) -> bool:
    """Whether a right on the topic is missing."""
    return error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def incomplete_answer() -> KafkaException:
    """What to raise of an answer in which what was asked for is missing."""
    return KafkaException(KafkaError(KafkaError._PARTIAL))


# News of records that were produced.


def is_for_size(error: KafkaError) -> bool:
    """Whether a record was refused for its size, or for that of its batch."""
    return error.code() in (
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
    )


def too_large(why: str) -> KafkaError:
    """The refusal of a record that no broker was asked to take."""
    return KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, why)


def beyond(property_name: str) -> KafkaError:
    """The refusal of a record that the producer does not take, for a property of its own."""
    return too_large(f"{_BEYOND} {property_name}")


def remedy(error: KafkaError) -> str:
    """What a person should do about a refused record."""
    return "raise that property" if _BEYOND in error.str() else verdict(error).remedy


def unsent(why: str) -> KafkaError:
    """The refusal of a record whose producer failed: it is to be published again."""
    return KafkaError(KafkaError.UNKNOWN, why)


def is_dropped_with_another(error: KafkaError) -> bool:
    """Whether a record was given up because its transaction had failed before."""
    return error.code() in (
        KafkaError._PURGE_QUEUE,
        KafkaError._PURGE_INFLIGHT,
        KafkaError._STATE,
    )
