"""Stopping a partition in the parts of a worker, and letting it go on."""

from collections.abc import Sequence

from stream_app.alignment.align import AlignStage
from stream_app.crash_isolation.isolation import CrashIsolation
from stream_app.flood.valve import PartitionValve
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.observer.observer import Observer
from stream_app.records.failure import Failure
from stream_app.records.partition import Partition
from stream_app.records.record import Record
from tests.unit.alignment.test_align import UNBOUNDED
from tests.unit.builders import begins, chunk, item, partition


class NoTrial:
    """Every record survives."""

    def __call__(self, record: Record) -> Failure | None:
        """Return no failure."""
        return None

    def close(self) -> None:
        """Nothing was begun."""


class Parts:
    """The parts of a worker, with the requests that its consumer got."""

    def __init__(self, at: Partition, *, failed_starts: int = 0) -> None:
        self.requests: list[tuple[str, Partition, int]] = []
        self.tracker = OffsetTracker()
        self.isolation = CrashIsolation(NoTrial(), self.tracker, starts=3, region_records=10)

        def ignore(_: Sequence[Partition]) -> None:
            pass

        self.align = AlignStage(**UNBOUNDED, pause=ignore, resume=ignore, observer=Observer())
        start = begins(at, 5, failed_starts=failed_starts)
        self.tracker.begin(start)
        self.align.add(chunk(assigned=[at]))
        self.isolation.assigned([start])
        self.valve = PartitionValve(
            self.tracker,
            self.align,
            self.isolation,
            stop=lambda stopped: self.requests.append(("stop", stopped, -1)),
            go_on=lambda stopped, offset: self.requests.append(("go on", stopped, offset)),
        )


def test_a_stop_reaches_consumer_stages_and_lag() -> None:
    """And the way back begins at the offset it was stopped at."""
    at = partition()
    parts = Parts(at)
    parts.tracker.consumed(at, 99, 1.0)
    parts.valve.shut(at, item(at, 7, known_at=2.0))
    parts.valve.open(at, 7)
    assert parts.requests == [("stop", at, -1), ("go on", at, 7)]
    assert parts.tracker.oldest_unfinished(at) == 2.0


def test_a_partition_whose_starts_got_nowhere_slows_nobody_down_while_it_is_stopped() -> None:
    """Batches are small for its sake, and none of its records is in them; afterwards they are again."""
    at = partition()
    parts = Parts(at, failed_starts=2)
    assert parts.isolation.batch_limit(4_096) == 1_024
    parts.valve.shut(at, item(at, 7))
    assert parts.isolation.batch_limit(4_096) == 4_096
    parts.valve.opened(at)
    assert parts.isolation.batch_limit(4_096) == 1_024
    parts.valve.shut(at, item(at, 7))
    parts.isolation.forget([at])
    parts.valve.opened(at)
    assert parts.isolation.batch_limit(4_096) == 4_096
