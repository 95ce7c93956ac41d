"""When records became known: by their timestamps, where these can be."""

import pytest

from stream_app.record_clock import RecordClock
from stream_app.records import Record
from tests.unit.stream_app.builders import NOW, partition, record


class Clock:
    """It stands still; how many timestamps it corrected a call."""

    def __init__(self) -> None:
        self.corrected: list[int] = []
        self.date = RecordClock(10.0, on_corrected=self.corrected.append, clock=lambda: NOW)

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
