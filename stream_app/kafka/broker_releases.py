"""What the brokers speak, which is how old they are: none of them tells its version.

At the beginning of a connection a broker says which requests it knows, in which versions. librdkafka
keeps that for itself, and writes it to its log with `debug=feature`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from stream_app.kafka.errors import failure

__all__ = ["missing", "release", "requests_known", "requests_told"]

#: Of each request, by its number, the newest version that is known.
Requests = Mapping[int, int]

_PRODUCE, _METADATA, _CONSUMER_GROUP_HEARTBEAT = 0, 3, 68
_TOLD: Final = re.compile(r"ApiKey \S+ \((\d+)\) Versions \d+\.\.(\d+)")

_RELEASES: Final = (
    ("4.1", _PRODUCE, 13),
    ("4.0", _PRODUCE, 12),
    ("3.9", 80, 0),  # AddRaftVoter
    ("3.8", 75, 0),  # DescribeTopicPartitions
    ("3.7", 74, 0),  # ListClientMetricsResources
    ("3.1", _METADATA, 12),
)
"""By which request, in which version, a release is told from those before it; the newest first."""


def requests_known(properties: Mapping[str, Any], seconds: float) -> Requests:
    """What the broker knows that answers first; empty where librdkafka does not tell it.

    `properties`: librdkafka's, of an admin client. `seconds`: how long it may take. Raises what
    `errors.failure` makes of a refusal.
    """
    lines: list[str] = []
    logger = logging.Logger(f"{__name__}.librdkafka", logging.DEBUG)  # noqa: LOG001  of this call alone
    logger.addHandler(_Kept(lines))
    admin = AdminClient({**properties, "debug": "feature"}, logger=logger)
    try:
        admin.list_topics(timeout=seconds)
    except KafkaException as error:
        raise failure(error.args[0], "asking what the brokers speak") from error
    admin.poll(0)  # lets out what librdkafka has logged
    return requests_told(lines)


def requests_told(lines: Iterable[str]) -> Requests:
    """What lines of librdkafka's log say. Of several brokers, what all of them know of a request."""
    found: dict[int, int] = {}
    for line in lines:
        if told := _TOLD.search(line):
            number, newest = int(told[1]), int(told[2])
            found[number] = min(newest, found.get(number, newest))
    return found


def release(requests: Requests) -> str | None:
    """The release of Apache Kafka that these requests came with, or None for one before 3.1.

    A later one may know the same requests.
    """
    for name, number, version in _RELEASES:
        if requests.get(number, -1) >= version:
            return name
    return None


def missing(requests: Requests, group_protocol: str) -> str | None:
    """What a worker needs that the brokers do not know, and since which release there is; else None."""
    if requests.get(_METADATA, -1) < 12:
        return "they give topics no ids: Kafka 3.1 is the oldest that serves"
    if group_protocol == "consumer" and _CONSUMER_GROUP_HEARTBEAT not in requests:
        return (
            "they do not know group_protocol = consumer (KIP-848), which is there from Kafka 4.0 on"
        )
    return None


class _Kept(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self._lines.append(record.getMessage())
