"""What stands beside a committed offset."""

import pytest

from stream_app.kafka.commit_notes import CommitNotes
from stream_app.kafka.leader_epochs import UNKNOWN
from stream_app.kafka.offset_metadata import as_committed, markers_of, topic_id_of
from stream_app.records.flood_note import FloodNote, flood_note
from stream_app.records.start_count import failed_starts
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


def test_that_a_partition_is_stopped_stands_beside_its_offset_with_all_else() -> None:
    """Each note is read back, whatever stands before or behind it."""
    at = partition()
    notes = CommitNotes(begins(at, 3, failed_starts=2, control_records=1))
    notes.flood = FloodNote("stopped", 7, 1_764_422_400)
    (place,) = as_committed({at: 3}, {at: notes})
    assert flood_note(place.metadata) == notes.flood
    assert failed_starts(place.metadata) == 3
    assert markers_of(place.metadata) == 1
    assert topic_id_of(place.metadata) == at.topic_id
    notes.flood = FloodNote("draining", 900, 1_764_422_400)
    assert flood_note(as_committed({at: 8}, {at: notes})[0].metadata) == notes.flood
    notes.flood = None
    assert flood_note(as_committed({at: 9}, {at: notes})[0].metadata) is None


@pytest.mark.parametrize(
    "metadata", [None, "", "stream-app/1 id", "x flood=stopped:-1:1", "x flood=gone:1:1", "flood="]
)
def test_what_is_no_note_of_a_stop_is_none(metadata: str | None) -> None:
    """Anybody may commit an offset of the group with any metadata."""
    assert flood_note(metadata) is None


def test_epochs_are_noted_anew_where_records_are_read_again() -> None:
    """From the offset on that is read again; those before it are known still."""
    at = partition()
    notes = CommitNotes(begins(at, 10, leader_epoch=4))
    for offset, epoch in ((10, 5), (11, 5), (12, 6), (13, 7)):
        notes.epochs.add(offset, epoch)
        notes.epochs.last_offset = offset
    notes.epochs.rewind(12)
    assert notes.epochs.before(12) == 5
    assert notes.epochs.before(13) == UNKNOWN
    notes.epochs.add(12, 6)
    notes.epochs.last_offset = 12
    assert notes.epochs.before(13) == 6
