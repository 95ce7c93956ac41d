"""What an operator says of stopped partitions: a record of the topic of resolutions, a key a partition.

It is the topic in which it is said which dead letters are dealt with: whoever may say that may say this,
and producers of events may write neither. An order names the offsets for which it holds. So it holds for
a worker that starts later, too, and not for another bad run.
"""

from __future__ import annotations

import json
from contextlib import closing
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stream_app.config.settings import Settings
from stream_app.errors import RefusedError
from stream_app.features.events import LogRecord
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.errors import error_of, is_unknown_topic
from stream_app.kafka.log_reader import LogReader
from stream_app.kafka.log_writer import write_log
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId

__all__ = ["ResumeOrder", "ResumeOrders", "give_order"]

_KEY: Final = b"resume "
"""No letter's name begins so."""
_RECORDS: Final = 1_000
_READ_SECONDS: Final = 0.5


class ResumeOrder(BaseModel):
    """That a partition which is stopped within a range of offsets is to go on."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    action: Literal["resume"] = "resume"
    topic: str
    topic_id: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    """Where it is stopped."""
    until: Annotated[int, Field(ge=0)]
    """Where its log ended when the order was given: up to there it is taken at a limited rate."""
    at: Annotated[float, Field(allow_inf_nan=False)]
    """Seconds since the epoch."""
    by: str = ""
    note: str = ""

    def is_for(self, topic_id: str, number: int, offset: int) -> bool:
        """Whether it holds for a partition that is stopped at an offset."""
        return (self.topic_id, self.partition) == (topic_id, number) and (
            self.offset <= offset < self.until
        )


def give_order(settings: Settings, topic: str, order: ResumeOrder) -> None:
    """Write an order into the topic of resolutions; raises what `write_log` raises."""
    key = _KEY + f"{order.topic_id}-{order.partition}".encode()
    value = json.dumps(order.model_dump()).encode()
    write_log(settings, [LogRecord(value, key, topic=topic)], in_order=True)


class ResumeOrders:
    """Follows the orders of a topic; every call is made by one thread."""

    def __init__(self, brokers: Brokers, topic: str) -> None:
        self._brokers = brokers
        self._topic = topic
        self._reader: LogReader | None = None
        self._next: dict[int, int] = {}
        self._orders: dict[tuple[str, int], ResumeOrder] = {}

    def __call__(self, partition: Partition, offset: int) -> ResumeOrder | None:
        """The order for a partition that is stopped at an offset, as of the last `look`."""
        order = self._orders.get((partition.topic_id, partition.number))
        if order is None or not order.is_for(partition.topic_id, partition.number, offset):
            return None
        return order

    def look(self) -> None:
        """Read what is new; nothing where nobody has made the topic yet.

        Raises `ServiceAwayError`, of which one is a right that is missing.
        """
        partitions = self._partitions()
        if not partitions:
            return
        ends = self._brokers.ends(partitions, decided=True)
        firsts = self._brokers.starts(partitions)
        ranges = {
            each: (max(firsts[each], self._next.get(each.number, 0)), ends[each])
            for each in partitions
        }
        if all(first >= end for first, end in ranges.values()):
            return
        with closing(self._brokers.log_reader()) as reader:
            reader.assign(ranges)
            silent = 0
            while not reader.is_done and silent < 20:
                before = reader.left
                for step in reader.read(min(_RECORDS, reader.left), _READ_SECONDS):
                    if step.message is not None:
                        self._add(step.message)
                silent = silent + 1 if reader.left == before else 0
            for each, (first, end) in ranges.items():
                if first < end:
                    self._next[each.number] = reader.next_offset(each)

    def _partitions(self) -> list[PartitionId]:
        """Those of the topic; none while it does not exist."""
        try:
            return self._brokers.topics([self._topic])[self._topic].partition_ids
        except RefusedError as refused:
            error = None if refused.__cause__ is None else error_of(refused.__cause__)
            if error is not None and is_unknown_topic(error):
                return []
            raise

    def _add(self, message: object) -> None:
        key, value = message.key() or b"", message.value() or b""  # type: ignore[attr-defined]
        if not key.startswith(_KEY):
            return
        try:
            order = ResumeOrder.model_validate_json(value)
        except ValidationError:
            return  # whoever may write the topic may write anything there
        self._orders[order.topic_id, order.partition] = order
