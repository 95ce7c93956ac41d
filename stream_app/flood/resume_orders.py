"""What an operator says of stopped partitions: a record of the topic of resolutions, a key a partition.

It is the topic in which it is said which dead letters are dealt with: whoever may say that may say this,
and producers of events may write neither. An order names the offsets for which it holds. So it holds for
a worker that starts later, too, and not for another bad run.
"""

from __future__ import annotations

import json
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stream_app.config.settings import Settings
from stream_app.features.events import LogRecord
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.log_writer import write_log
from stream_app.kafka.topic_records import existing_partitions, topic_records
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId

__all__ = ["ResumeOrder", "ResumeOrders", "give_order"]

_KEY: Final = b"resume "
"""No letter's name begins so."""
_STALLED_SECONDS: Final = 10.0
"""Partitions are not tried while orders are read."""


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
        self._read_to: dict[PartitionId, int] = {}
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
        if not existing_partitions(self._brokers, self._topic):
            return
        for message in topic_records(
            self._brokers,
            self._topic,
            decided=True,
            read_to=self._read_to,
            stalled_seconds=_STALLED_SECONDS,
        ):
            self._add(message)

    def _add(self, message: object) -> None:
        key, value = message.key() or b"", message.value() or b""  # type: ignore[attr-defined]
        if not key.startswith(_KEY):
            return
        try:
            order = ResumeOrder.model_validate_json(value)
        except ValidationError:
            return  # whoever may write the topic may write anything there
        self._orders[order.topic_id, order.partition] = order
