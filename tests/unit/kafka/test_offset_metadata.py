"""What stands beside a committed offset."""

from stream_app.kafka.offset_metadata import as_committed, topic_id_of
from stream_app.records.leader_epochs import UNKNOWN
from tests.unit.builders import partition


def epochs_of(*offsets: int) -> list[int | None]:
    """What is committed beside offsets of a partition read from 10, with a new leader at 13."""
    at = partition()
    at.epochs.begin(10, 4)
    for offset, epoch in ((10, 5), (11, 5), (12, 5), (13, 7), (14, 7)):
        at.epochs.add(offset, epoch)
        at.epochs.last_offset = offset
    return [as_committed({at: offset})[0].leader_epoch for offset in offsets]


def test_the_epoch_of_the_record_before_is_committed_beside_an_offset() -> None:
    """At the start it is the one that was committed there; behind markers nobody knows it."""
    assert epochs_of(10, 11, 13, 14, 15, 16) == [4, 5, 5, 7, 7, None]


def test_an_offset_without_an_epoch_is_committed_with_its_topic_id() -> None:
    """So it is of a topic whose brokers tell no epochs."""
    at = partition()
    (place,) = as_committed({at: 3})
    assert place.offset == 3
    assert place.leader_epoch is None
    assert topic_id_of(place.metadata) == at.topic_id
    at.epochs.begin(3, None)
    assert at.epochs.before(3) == UNKNOWN
