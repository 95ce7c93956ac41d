"""Topics that were there before."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Final

from confluent_kafka import OFFSET_END, TopicPartition
from confluent_kafka.admin import AdminClient

__all__ = ["delete_topics", "empty_topics"]

_DEADLINE_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.05


def delete_topics(bootstrap: str, names: Iterable[str]) -> None:
    """Delete those of the topics that exist and wait until they are gone.

    Raises `SystemExit` where one is still there half a minute later, and what the brokers refuse.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap})
    there = [name for name in names if name in admin.list_topics(timeout=10).topics]
    if not there:
        return
    for future in admin.delete_topics(there, operation_timeout=_DEADLINE_SECONDS).values():
        future.result()
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while any(name in admin.list_topics(timeout=10).topics for name in there):
        if time.monotonic() > deadline:
            raise SystemExit("a topic is still there half a minute after it was deleted")
        time.sleep(_LOOK_SECONDS)


def empty_topics(bootstrap: str, partitions: Mapping[str, int]) -> None:
    """Delete all records of topics with these numbers of partitions; offsets go on where they were."""
    ends = [
        TopicPartition(name, number, OFFSET_END)
        for name, count in partitions.items()
        for number in range(count)
    ]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.delete_records(ends, operation_timeout=_DEADLINE_SECONDS).values():
        future.result()
