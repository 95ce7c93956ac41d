"""Which records are tried in a child, and what becomes of those that kill it."""

from collections.abc import Collection, Sequence

import pytest

from stream_app.crash_isolation.isolation import CrashIsolation, guarded
from stream_app.features.events import Event
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.records.failure import Failure
from stream_app.records.item import Item
from stream_app.records.record import Record
from stream_app.records.start_position import StartPosition
from tests.unit import builders

STARTS = 3
REGION = 20


class Child:
    """Dies of records with these offsets."""

    def __init__(self) -> None:
        self.dies_of: Collection[int] = ()
        self.tried: list[int] = []
        self.closed = 0

    def __call__(self, record: Record) -> Failure | None:
        """Try a record."""
        self.tried.append(record.offset)
        if record.offset in self.dies_of:
            return Failure("score", "process-crash", "it died", disposition="bug")
        return None

    def close(self) -> None:
        """Count it."""
        self.closed += 1


@pytest.fixture
def child() -> Child:
    """The child process."""
    return Child()


@pytest.fixture
def tracker() -> OffsetTracker:
    """What knows which partitions are being given away."""
    return OffsetTracker()


@pytest.fixture
def isolation(child: Child, tracker: OffsetTracker) -> CrashIsolation:
    """That suspects nothing yet."""
    return CrashIsolation(child, tracker, starts=STARTS, region_records=REGION)


def begun(tracker: OffsetTracker, found: int, offset: int = 0) -> StartPosition:
    """The start of a partition that was begun so often already."""
    start = builders.begins(builders.partition(), offset, failed_starts=found)
    tracker.begin(start)
    return start


def through(
    isolation: CrashIsolation,
    start: StartPosition,
    offsets: Sequence[int],
    *,
    first: bool = False,
) -> list[Item]:
    """Decode records of the partition; `first`: it was assigned just now."""
    if first:
        isolation.assigned([start])
    items = isolation.decode([builders.record(start.partition, n) for n in offsets], decode)
    isolation.look()
    return items


def decode(records: Sequence[Record]) -> list[Item]:
    """As the stage does."""
    event = Event.model_construct(event_id="e", event_time=builders.NOW)
    return [Item(record, event) for record in records]


def test_a_record_that_kills_gets_a_failure_in_its_place(
    isolation: CrashIsolation, child: Child, tracker: OffsetTracker
) -> None:
    """It is no event, so that nothing of the use case ever sees it; its neighbours pass."""
    child.dies_of = (2,)
    items = through(isolation, begun(tracker, STARTS), range(4), first=True)
    assert [item.offset for item in items] == [0, 1, 2, 3]
    assert [item.failure is not None for item in items] == [False, False, True, False]
    assert items[2].event is None


@pytest.mark.parametrize("found", range(STARTS))
def test_before_enough_starts_nothing_is_tried(
    isolation: CrashIsolation, child: Child, found: int, tracker: OffsetTracker
) -> None:
    """A child costs seconds: mostly the process was killed for other reasons."""
    through(isolation, begun(tracker, found), range(4), first=True)
    assert child.tried == []


def test_the_region_is_tried_and_no_more(
    isolation: CrashIsolation, child: Child, tracker: OffsetTracker
) -> None:
    """Behind it the child is let go."""
    start = begun(tracker, STARTS, offset=100)
    through(isolation, start, range(100, 110), first=True)
    assert child.closed == 0
    through(isolation, start, range(110, 200))
    assert child.tried == list(range(100, 100 + REGION))
    assert child.closed == 1
    through(isolation, start, range(200, 210))
    assert child.closed == 1


def test_behind_a_record_that_kills_the_region_begins_anew(
    isolation: CrashIsolation, child: Child, tracker: OffsetTracker
) -> None:
    """They seldom come alone."""
    child.dies_of = (REGION - 1,)
    through(isolation, begun(tracker, STARTS), range(3 * REGION), first=True)
    assert child.tried == list(range(2 * REGION))


def test_the_end_of_the_partition_ends_the_trials(
    isolation: CrashIsolation, child: Child, tracker: OffsetTracker
) -> None:
    """Even where no further record comes."""
    start = begun(tracker, STARTS)
    through(isolation, start, range(5), first=True)
    tracker.at_end(start.partition, 5)
    isolation.look()
    assert child.closed == 1
    through(isolation, start, range(5, 10))
    assert child.tried == list(range(5))


def test_other_partitions_are_not_tried(
    isolation: CrashIsolation, child: Child, tracker: OffsetTracker
) -> None:
    """Nor what is being given away: its next owner reads it again."""
    through(isolation, begun(tracker, STARTS), [1], first=True)
    through(isolation, begun(tracker, 0), [2], first=True)
    leaving = begun(tracker, STARTS)
    tracker.revoke([leaving.partition])
    through(isolation, leaving, [3], first=True)
    assert child.tried == [1]


@pytest.mark.parametrize(
    ("found", "limit"), [(0, 1_000), (1, 500), (2, 250), (3, 125), (4, 1), (70, 1)]
)
def test_batches_are_halved_with_each_start(
    isolation: CrashIsolation, found: int, limit: int, tracker: OffsetTracker
) -> None:
    """And hold one record when trying them one by one did not help."""
    through(isolation, begun(tracker, found), [0], first=True)
    assert isolation.batch_limit(1_000) == limit


def test_past_the_region_batches_are_as_usual(
    isolation: CrashIsolation, tracker: OffsetTracker
) -> None:
    """Of a partition that went away, too."""
    start, leaving = begun(tracker, 1), begun(tracker, 2)
    through(isolation, leaving, [0], first=True)
    through(isolation, start, [0], first=True)
    tracker.revoke([leaving.partition])
    through(isolation, start, [REGION])
    assert isolation.batch_limit(1_000) == 1_000


def test_what_is_read_again_for_the_state_is_tried_where_it_goes_on(
    child: Child, tracker: OffsetTracker
) -> None:
    """The record may have been isolated long ago; only partitions under suspicion are tried."""
    child.dies_of = (1,)
    stage = guarded(decode, child, tracker, starts=STARTS, region_records=REGION)
    for found, failed in ((STARTS, [False, True, False]), (0, [False] * 3)):
        start = begun(tracker, found, offset=500)
        items = stage([builders.record(start.partition, n) for n in range(3)])
        assert [item.failure is not None for item in items] == failed
    assert child.tried == [0, 1, 2]


def test_the_rest_of_a_long_rebuilding_is_not_tried(child: Child, tracker: OffsetTracker) -> None:
    """It goes on from what the store holds, so the record that ended it is one of the next.

    The log may have gaps: records are counted, no offsets.
    """
    child.dies_of = (10,)
    stage = guarded(decode, child, tracker, starts=STARTS, region_records=REGION)
    start = begun(tracker, STARTS, offset=5_000)
    log = [builders.record(start.partition, offset) for offset in range(0, 1_000, 2)]
    for first in range(0, len(log), 100):
        stage(log[first : first + 100])
    assert child.tried == list(range(0, 12 + 2 * REGION, 2))


def test_a_rebuilding_that_begins_anew_is_tried_anew(child: Child, tracker: OffsetTracker) -> None:
    """The store may have lost more meanwhile, so that it begins further back."""
    stage = guarded(decode, child, tracker, starts=STARTS, region_records=3)
    start = begun(tracker, STARTS, offset=5_000)
    for offsets in (range(10, 20), range(2, 12)):
        stage([builders.record(start.partition, offset) for offset in offsets])
    assert child.tried == [10, 11, 12, 2, 3, 4]
