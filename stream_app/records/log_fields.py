"""What a line of the log says of a record or of partitions apart from its sentence, as `extra`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId

__all__ = ["about", "about_all"]


def about(partition: Partition | PartitionId, offset: int | None = None) -> dict[str, Any]:
    """Fields of a line about a partition, or about one record of it."""
    fields: dict[str, Any] = {"topic": partition.topic, "partition": partition.number}
    return fields if offset is None else {**fields, "offset": offset}


def about_all(partitions: Iterable[tuple[str, int]]) -> dict[str, Any]:
    """The field of a line about several partitions, given as topic and number."""
    return {"partitions": [f"{topic}[{number}]" for topic, number in partitions]}
