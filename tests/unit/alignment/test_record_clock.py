"""When records became known: by their timestamps, where these can be."""

from collections.abc import Sequence

import pytest

from stream_app.alignment.record_clock import ClockDoubt, RecordClock
from stream_app.errors import FatalError
from stream_app.features.usecase import TimeBounds
from stream_app.observer.events import ClockCorrected, WaitingBegan
from stream_app.observer.observer import Observer, on
from stream_app.records.record import Record
from stream_app.waiting.retry import Retry
from tests.unit.builders import NOW, partition, record
from tests.unit.observers import listening


class Clock:
    """It stands still; how many timestamps it corrected a call."""

    def __init__(self) -> None:
        observer, self.told = listening(ClockCorrected)
        self.date = RecordClock(10.0, observer, clock=lambda: NOW)

    @property
    def corrected(self) -> list[int]:
        """How many timestamps it corrected, a number a call that did."""
        return [event.records for event in self.told]

    def dated(self, *timestamps: float | None) -> list[Record]:
        """Records with these timestamps, after they arrived."""
        records = [record(partition(), n, timestamp=at) for n, at in enumerate(timestamps)]
        self.date(records)
        return records


@pytest.mark.parametrize("timestamp", [None, NOW + 10.1, 4e12], ids=["absent", "ahead", "absurd"])
def test_a_timestamp_that_cannot_be_counts_as_now(timestamp: float | None) -> None:
    """And is counted; it must not hold its partition back for ever."""
    clock = Clock()
    records = clock.dated(timestamp, NOW, timestamp)
    assert [each.known_at for each in records] == [NOW, NOW, NOW]
    assert [each.timestamp for each in records] == [timestamp, NOW, timestamp]
    assert clock.corrected == [2]


def test_a_timestamp_a_little_ahead_is_believed() -> None:
    """Clocks differ: only beyond the setting is it corrected."""
    clock = Clock()
    (one,) = clock.dated(NOW + 10.0)
    assert one.known_at == NOW + 10.0
    assert clock.corrected == []


DAY = 86_400.0


class Doubtful:
    """A clock that shows `NOW` until it is set; nobody waits longer than the first refusal."""

    def __init__(
        self,
        times: TimeBounds | None = None,
        *,
        set_by: float = 0.0,
        before: Sequence[float] = (),
    ) -> None:
        """`before`: timestamps of the records that stand before all that come."""
        self.now = NOW
        self.looked_back = 0
        self.reasons: list[str] = []

        def waiting(wait: WaitingBegan) -> None:
            self.reasons.append(wait.why)
            self.now += set_by

        retry = Retry(
            initial_seconds=0.0, max_seconds=0.0, observer=Observer([on(WaitingBegan, waiting)]),
            refusal_seconds=0.0 if not set_by else 60.0,
        )  # fmt: skip

        def looking_back(_: Sequence[Record]) -> Sequence[float]:
            self.looked_back += 1
            return before

        doubt = ClockDoubt(times or TimeBounds(), retry, looking_back, clock=lambda: self.now)
        self.date = RecordClock(60.0, Observer(), doubt=doubt, clock=lambda: self.now)

    def dated(self, *timestamps: float | None, partitions: int = 1) -> list[float]:
        """When records with these timestamps became known."""
        places = [partition(number) for number in range(partitions)]
        records = [
            record(places[n % partitions], n, timestamp=at) for n, at in enumerate(timestamps)
        ]
        self.date(records)
        return [each.known_at for each in records]


def test_most_records_ahead_of_the_clock_accuse_the_clock() -> None:
    """Good events are not dead-lettered for it: the sentence names a record and what to do."""
    clock = Doubtful()
    with pytest.raises(FatalError, match="set the clock") as ended:
        clock.dated(*[NOW + 2 * DAY] * 10)
    assert "10 of the last 10 records" in str(ended.value)
    assert "orders[0] 0 of 2013-12-03T12:00:00+00:00" in str(ended.value)
    assert "clock shows 2013-12-01T12:00:00+00:00" in str(ended.value)
    assert "clock_doubt" in str(ended.value)


def test_records_wait_until_the_clock_is_set() -> None:
    """Then they are what they say they are."""
    clock = Doubtful(set_by=2 * DAY)
    assert clock.dated(*[NOW + 2 * DAY] * 10) == [NOW + 2 * DAY] * 10
    assert len(clock.reasons) == 1


@pytest.mark.parametrize(
    ("timestamps", "partitions"),
    [
        ([NOW + 2 * DAY] * 4, 1),
        ([NOW + 2 * DAY] * 10 + [NOW] * 10, 1),
        ([None] * 20, 1),
        ([NOW + 3_600.0] * 20, 1),
        ([*([NOW + 2 * DAY, NOW] * 10), *[NOW + 2 * DAY, NOW + 2 * DAY]], 2),
    ],
    ids=["few", "half", "absent", "an hour", "one of two partitions"],
)
def test_what_may_be_the_records_fault_accuses_no_clock(
    timestamps: list[float | None], partitions: int
) -> None:
    """They are taken for now, as one bad timestamp is."""
    clock = Doubtful()
    if partitions == 2:
        timestamps = timestamps[:20]
    known_at = clock.dated(*timestamps, partitions=partitions)
    assert max(known_at) <= NOW + 60.0
    assert clock.reasons == []


def test_a_trickle_of_records_ahead_accuses_the_clock_as_well() -> None:
    """One at a time, as a quiet topic has them."""
    clock = Doubtful()
    for _ in range(4):
        clock.dated(NOW + 2 * DAY)
    with pytest.raises(FatalError):
        clock.dated(NOW + 2 * DAY)


def test_the_first_record_accuses_the_clock_where_those_before_it_do() -> None:
    """A worker that begins in the middle of a partition dead-letters not even the first few."""
    clock = Doubtful(before=[NOW + 2 * DAY - 5.0] * 20)
    with pytest.raises(FatalError, match="21 of the last 21 records"):
        clock.dated(NOW + 2 * DAY)


def test_the_first_record_is_to_blame_where_those_before_it_are_not_ahead() -> None:
    """It is taken for now, and so are the next few: what was read is not read again."""
    clock = Doubtful(before=[NOW - 5.0] * 20)
    for _ in range(4):
        assert clock.dated(NOW + 2 * DAY) == [NOW]
    assert (clock.reasons, clock.looked_back) == ([], 1)


def test_where_there_are_enough_records_none_before_them_are_read() -> None:
    """Nor where none is ahead."""
    clock = Doubtful(set_by=2 * DAY)
    clock.dated(NOW)
    clock.dated(*[NOW + 2 * DAY] * 10)
    assert clock.looked_back == 0


def test_where_times_have_a_fixed_range_no_clock_is_accused() -> None:
    """No event is refused for what it shows."""
    clock = Doubtful(TimeBounds(earliest=0.0, latest=1e10))
    assert clock.dated(*[NOW + 2 * DAY] * 10) == [NOW] * 10
