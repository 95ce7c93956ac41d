"""What stands beside a committed offset."""

from stream_app.kafka.commit_notes import CommitNotes
from stream_app.kafka.leader_epochs import UNKNOWN
from stream_app.kafka.offset_metadata import as_committed, topic_id_of
from tests.unit.builders import begins, partition


def epochs_of(*offsets: int) -> list[int | None]:
    """What is committed beside offsets of a partition read from 10, with a new leader at 13."""
    at = partition()
    notes = CommitNotes(begins(at, 10, leader_epoch=4))
    for offset, epoch in ((10, 5), (11, 5), (12, 5), (13, 7), (14, 7)):
        notes.epochs.add(offset, epoch)
        notes.epochs.last_offset = offset
    return [as_committed({at: offset}, {at: notes})[0].leader_epoch for offset in offsets]


def test_the_epoch_of_the_record_before_is_committed_beside_an_offset() -> None:
    """At the start it is the one that was committed there; behind markers nobody knows it."""
    assert epochs_of(10, 11, 13, 14, 15, 16) == [4, 5, 5, 7, 7, None]


def test_an_offset_without_an_epoch_is_committed_with_its_topic_id() -> None:
    """So it is of a topic whose brokers tell no epochs."""
    at = partition()
    notes = CommitNotes(begins(at, 3))
    (place,) = as_committed({at: 3}, {at: notes})
    assert place.offset == 3
    assert place.leader_epoch is None
    assert topic_id_of(place.metadata) == at.topic_id
    assert notes.epochs.before(3) == UNKNOWN


def test_an_offset_of_a_partition_that_was_not_begun_is_committed_with_its_topic_id_alone() -> None:
    """So a new group commits the ends of its topics: no start of a worker is counted."""
    at = partition()
    (place,) = as_committed({at: 3}, {})
    assert (place.offset, place.leader_epoch) == (3, None)
    assert place.metadata == f"stream-app/1 {at.topic_id}"
