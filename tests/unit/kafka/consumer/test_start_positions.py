"""Where an assigned partition starts, by what the brokers tell; with brokers it is tested in
tests/integration/test_positions.py.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from stream_app.kafka.consumer.start_positions import StartPositions
from stream_app.observer.events import RecordsGone
from stream_app.observer.observer import Observer, on
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId
from stream_app.records.start_position import StartPosition
from stream_app.waiting.retry import Retry
from tests.unit.builders import partition

LOG = (10, 90)
"""The first offset of each log, and the one after its last."""


class TopicIds:
    """Partitions of the topic orders."""

    def identify(self, assigned: Sequence[PartitionId]) -> list[Partition]:
        """As the brokers know them."""
        return [partition(number, topic) for topic, number in assigned]


class Brokers:
    """Of one log."""

    def starts(self, partitions: Iterable[PartitionId]) -> dict[PartitionId, int]:
        """Where it begins."""
        return dict.fromkeys(partitions, LOG[0])

    def ends(self, partitions: Iterable[PartitionId]) -> dict[PartitionId, int]:
        """Where it ends."""
        return dict.fromkeys(partitions, LOG[1])


class Consumer:
    """Of a group that has committed this."""

    def __init__(self, offset: int, metadata: str, epoch: int) -> None:
        self.committed_place = TopicPartition("orders", 0, offset, metadata, epoch)

    def committed(self, _places: Any, timeout: float) -> list[TopicPartition]:
        """The same for all."""
        return [self.committed_place]


@pytest.fixture
def gone() -> list[tuple[str, int, int]]:
    """Records that were lost to retention."""
    return []


@pytest.fixture
def positions(gone: list[tuple[str, int, int]]) -> StartPositions:
    """Over fake brokers."""

    def note(lost: RecordsGone) -> None:
        gone.append((lost.partition.topic, lost.partition.number, lost.records))

    observer = Observer([on(RecordsGone, note)])
    return StartPositions(
        Brokers(),  # type: ignore[arg-type]
        TopicIds(),  # type: ignore[arg-type]
        Retry(initial_seconds=0.0, max_seconds=0.0, observer=observer),
        starts_at="beginning",
        on_gone="continue",
        applied=lambda partitions: [-1] * len(partitions),
        observer=observer,
    )


def found(positions: StartPositions, offset: int, metadata: str, epoch: int = -1) -> StartPosition:
    """Where the one partition starts."""
    (start,) = positions.find(Consumer(offset, metadata, epoch), [PartitionId("orders", 0)])  # type: ignore[arg-type]
    assert start.log_start == LOG[0]
    return start


def test_what_a_worker_committed_is_gone_on_from_with_what_stands_beside_it(
    positions: StartPositions,
) -> None:
    """The count of starts, the control records and the leader's epoch."""
    start = found(positions, 50, "stream-app/1 orders-id markers=3 starts=2", 7)
    assert (start.offset, start.committed_by) == (50, "worker")
    assert (start.control_records, start.failed_starts, start.leader_epoch) == (3, 2, 7)


def test_what_stands_beside_an_offset_that_is_gone_is_not_believed_of_another(
    positions: StartPositions, gone: list[tuple[str, int, int]]
) -> None:
    """Retention went past the offset: the partition is read from where its log begins."""
    start = found(positions, 4, "stream-app/1 orders-id markers=3 starts=2", 7)
    assert (start.offset, start.committed_by) == (10, "worker")
    assert (start.control_records, start.failed_starts, start.leader_epoch) == (0, 0, None)
    assert gone == [("orders", 0, 6)]


def test_an_offset_without_a_note_of_ours_was_committed_by_somebody_else(
    positions: StartPositions,
) -> None:
    """A person set it, or another tool."""
    assert found(positions, 50, "").committed_by == "other"


@pytest.mark.parametrize(
    ("offset", "metadata"), [(-1001, ""), (50, "stream-app/1 an-earlier-topic-id starts=2")]
)
def test_where_nothing_was_committed_of_this_topic_it_is_read_from_its_beginning(
    positions: StartPositions, gone: list[tuple[str, int, int]], offset: int, metadata: str
) -> None:
    """What retention had deleted before is told."""
    start = found(positions, offset, metadata, 7)
    assert (start.offset, start.committed_by) == (10, "nobody")
    assert (start.failed_starts, start.leader_epoch) == (0, None)
    assert gone == [("orders", 0, 10)]
