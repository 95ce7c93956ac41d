"""An assigned partition."""

from __future__ import annotations

from stream_app.features.stores import Source
from stream_app.records.leader_epochs import LeaderEpochs
from stream_app.records.start_count import StartCount

__all__ = ["Partition"]


class Partition:
    """An assigned partition, under the one assignment that gave it to us.

    Assigned again, the same partition is another object: work done under an old assignment can
    never be committed under a new one.
    """

    __slots__ = (
        "__weakref__", "epochs", "is_new", "log_end", "log_start", "markers",
        "number", "rank", "set_by_hand", "source", "start", "starts", "topic",
    )  # fmt: skip

    def __init__(self, topic: str, number: int, rank: int) -> None:
        self.topic = topic
        self.number = number
        self.rank = rank
        """Place in the use case's order of partitions, see `stream_app.features.engine.order.rank`."""
        self.source: Source | None = None
        """Cluster, topic id and number; known once the broker was asked."""
        self.start = 0
        """Offset it is read from."""
        self.markers = (0, 0)
        """From the first of these offsets to before the second there are no records, but markers of
        transactions: the last such place that an offset behind was committed for."""
        self.log_start = 0
        """First offset the log held when it was assigned."""
        self.log_end = 0
        """Offset after the last one the log held then."""
        self.epochs = LeaderEpochs()
        """Under which leaders its records were written."""
        self.starts = StartCount()
        """How often it was begun without getting anywhere."""
        self.set_by_hand = False
        """Whether somebody other than a worker committed the offset it is read from."""
        self.is_new = False
        """Whether the group had committed nothing of it when it was assigned."""

    @property
    def topic_id(self) -> str:
        """Id of the topic, as Kafka's tools print it; empty until the broker was asked."""
        return self.source.topic_id if self.source is not None else ""

    def __repr__(self) -> str:
        """Name the partition as operators do."""
        return f"{self.topic}[{self.number}]"
