"""Stage align: partitions merged by time, nobody waited for longer than needed."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.alignment.align import EVENT_OVERHEAD_BYTES, RECORD_OVERHEAD_BYTES, AlignStage
from stream_app.alignment.allowance import Allowance
from stream_app.features.engine.order import PartitionOrder
from stream_app.observer.events import AlignmentGaveUp
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.records.record import Record
from tests.unit.builders import NOW, chunk, failed, item, partition
from tests.unit.features.builders import examples
from tests.unit.observers import listening

#: Options that bound nothing a test holds.
UNBOUNDED: dict[str, Any] = {
    "enabled": True,
    "grace_seconds": 0.0,
    "wait_seconds": 5.0,
    "held_bytes_per_partition": 2**30,
    "held_bytes_total": 2**30,
    "batch_max_records": 512,
    "batch_max_bytes": 2**30,
}


class Aligned:
    """The stage with clocks that a test sets, and what it asked the transport for."""

    def __init__(self, *partitions: Partition, **options: Any) -> None:
        self.now = 1_000.0
        self.wall = 1_000.0
        self.more_waits = False
        self.paused: set[Partition] = set()
        self.calls: list[str] = []
        observer, self.gave_up = listening(AlignmentGaveUp)
        self.decoded: list[Record] = []
        self._items: dict[Record, Item] = {}
        self.stage = AlignStage(
            **{**UNBOUNDED, **options},
            pause=self._pause,
            resume=self._resume,
            observer=observer,
            monotonic=lambda: self.now,
        )
        self.stage.add(chunk(assigned=partitions))

    def _pause(self, partitions: list[Partition]) -> None:
        self.calls.append("pause")
        assert not self.paused.intersection(partitions)
        self.paused.update(partitions)

    def _resume(self, partitions: list[Partition]) -> None:
        self.calls.append("resume")
        assert self.paused.issuperset(partitions)
        self.paused.difference_update(partitions)

    def hold(self, *items: Item, **lists: Sequence[Partition]) -> None:
        """Take a chunk in."""
        self._items |= {each.record: each for each in items}
        polled = chunk(records=[each.record for each in items], **lists)
        polled.seen_at = self.wall
        self.stage.add(polled)

    def batches(self) -> Iterator[list[Item]]:
        """What may go on."""
        return self.stage.batches(self._decode, more_waits=lambda: self.more_waits)

    def take(self, *items: Item, **lists: Sequence[Partition]) -> list[Item]:
        """Take a chunk in; return what it released."""
        self.hold(*items, **lists)
        return [each for released in self.batches() for each in released]

    def _decode(self, records: Sequence[Record]) -> list[Item]:
        self.decoded += records
        return [self._items[each] for each in records]


def offsets(items: Sequence[Item]) -> list[tuple[int, int]]:
    """(partition, offset) of items."""
    return [(each.record.partition.number, each.offset) for each in items]


def test_the_earliest_goes_first() -> None:
    """Of two partitions at their ends, merged by the time records became known."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q)
    released = aligned.take(
        item(p, 0, known_at=1.0), item(p, 1, known_at=4.0), item(q, 0, known_at=2.0),
        item(q, 1, known_at=3.0), ended=[p, q],
    )  # fmt: skip
    assert offsets(released) == [(0, 0), (1, 0), (1, 1), (0, 1)]


def test_a_partition_is_merged_by_its_running_maximum() -> None:
    """An early timestamp after a late one does not jump the queue: offset order is kept."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q)
    released = aligned.take(
        item(p, 0, known_at=5.0), item(p, 1, known_at=1.0), item(q, 0, known_at=4.0),
        item(q, 1, known_at=6.0), ended=[p, q],
    )  # fmt: skip
    assert offsets(released) == [(1, 0), (0, 0), (0, 1), (1, 1)]


def test_a_partition_that_may_still_deliver_holds_the_others() -> None:
    """Nothing beyond its last record goes; what lies before it does."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q)
    first = aligned.take(item(p, 0, known_at=1.0), item(p, 1, known_at=3.0), ended=[p])
    assert first == []
    assert offsets(aligned.take(item(q, 0, known_at=2.0))) == [(0, 0), (1, 0)]
    assert offsets(aligned.take(item(q, 1, known_at=4.0))) == [(0, 1), (1, 1)]


def test_the_end_of_a_partition_releases_the_others() -> None:
    """What is at its end holds nobody back, until it delivers again."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q)
    assert aligned.take(item(p, 0, known_at=1.0)) == []
    assert aligned.take(ended=[p]) == []
    assert offsets(aligned.take(ended=[q])) == [(0, 0)]
    assert offsets(aligned.take(item(p, 1, known_at=9.0), ended=[p])) == [(0, 1)]
    released = aligned.take(item(q, 0, known_at=2.0), item(p, 2, known_at=10.0), ended=[p])
    assert offsets(released) == [(1, 0)]
    assert offsets(aligned.take(ended=[q])) == [(0, 2)]


def test_an_assigned_partition_is_waited_for() -> None:
    """Whether it is at its end is unknown until the broker says so."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p)
    assert offsets(aligned.take(item(p, 0), ended=[p])) == [(0, 0)]
    assert aligned.take(item(p, 1), assigned=[q], ended=[p]) == []
    assert offsets(aligned.take(ended=[q])) == [(0, 1)]


def test_the_wait_is_bounded_and_counted_once() -> None:
    """A partition that delivers nothing is given up after the wait, not once a batch."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q, wait_seconds=5.0)
    assert aligned.take(item(p, 0), ended=[p]) == []
    aligned.now += 4.9
    assert aligned.take() == []
    aligned.now += 0.1
    assert offsets(aligned.take()) == [(0, 0)]
    assert offsets(aligned.take(item(p, 1), ended=[p])) == [(0, 1)]
    assert aligned.gave_up == [AlignmentGaveUp(q)]


def test_a_partition_given_up_is_waited_for_again_once_it_delivers() -> None:
    """It recovers by itself, and may be given up anew."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q, wait_seconds=5.0)
    aligned.take(item(p, 0, known_at=1.0), ended=[p])
    aligned.now += 5.0
    aligned.take()
    assert offsets(aligned.take(item(q, 0, known_at=2.0))) == [(1, 0)]
    assert aligned.take(item(p, 1, known_at=3.0), ended=[p]) == []
    aligned.now += 5.0
    assert offsets(aligned.take()) == [(0, 1)]
    assert aligned.gave_up == [AlignmentGaveUp(q)] * 2


def test_no_time_passes_while_nobody_waits() -> None:
    """A quiet stream is no missing partition: the wait begins with a record that is held."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q, wait_seconds=5.0)
    aligned.now += 60.0
    assert aligned.take() == []
    assert aligned.take(item(p, 0), ended=[p]) == []
    assert aligned.gave_up == []


def test_the_wait_starts_anew_when_records_were_released_meanwhile() -> None:
    """Silence while nothing was held is not silence that anybody waited for."""
    p, q, r = partition(0), partition(1), partition(2)
    aligned = Aligned(p, q, r, wait_seconds=5.0)
    assert aligned.take(item(p, 0), item(r, 0), ended=[p, r]) == []
    aligned.take(revoked=[p, r], assigned=[p2 := partition(3)])
    aligned.now += 60.0
    assert aligned.take(item(p2, 0), ended=[p2]) == []
    assert aligned.gave_up == []


def test_grace() -> None:
    """At the end of a live stream, a record is held until a poll is past it by the grace."""
    p = partition(0)
    aligned = Aligned(p, grace_seconds=0.5)
    assert aligned.take(item(p, 0, known_at=aligned.wall), ended=[p]) == []
    aligned.wall += 0.4
    assert aligned.take() == []
    aligned.wall += 0.2
    assert offsets(aligned.take()) == [(0, 0)]


def test_alignment_can_be_switched_off() -> None:
    """Then what came is released at once, merged as far as it is there."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q, enabled=False)
    assert offsets(aligned.take(item(q, 0, known_at=2.0), item(p, 0, known_at=1.0))) == [
        (0, 0),
        (1, 0),
    ]


def test_a_failed_record_keeps_its_place() -> None:
    """It has no event time, and goes out where its timestamp and offset say."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q)
    released = aligned.take(
        item(p, 0, known_at=1.0), failed(p, 1, known_at=2.0), item(q, 0, known_at=2.0),
        ended=[p, q],
    )  # fmt: skip
    assert offsets(released) == [(0, 0), (0, 1), (1, 0)]


def test_a_partition_above_its_bound_is_paused_and_resumed_below_half() -> None:
    """The one that holds the others back goes on being read."""
    p, q = partition(0), partition(1)
    bound = 100 + 10 * RECORD_OVERHEAD_BYTES
    aligned = Aligned(p, q, held_bytes_per_partition=bound, wait_seconds=math.inf)
    aligned.take(*(item(p, n, known_at=float(n), size=10) for n in range(10)))
    assert aligned.paused == set()
    aligned.take(item(p, 10, known_at=10.0, size=10))
    assert aligned.paused == {p}
    held = 110 + 11 * RECORD_OVERHEAD_BYTES
    assert (aligned.stage.held_records, aligned.stage.held_bytes) == (11, held)
    aligned.take(item(q, 0, known_at=5.5, size=1))  # releases 0 to 5: five of ten are left
    assert aligned.paused == {p}
    aligned.take(item(q, 1, known_at=6.5, size=1))
    assert aligned.paused == set()
    assert aligned.calls == ["pause", "resume"]


def test_above_half_of_the_total_bound_none_holds_more_than_its_share() -> None:
    """So what runs ahead is paused before all is full, and the one that delivers nothing never is."""
    p, q, r = partition(0), partition(1), partition(2)
    bound = 9 * (10 + RECORD_OVERHEAD_BYTES)
    aligned = Aligned(p, q, r, held_bytes_total=bound, wait_seconds=math.inf)
    aligned.take(*(item(p, n, known_at=float(n), size=10) for n in range(4)))
    assert aligned.paused == set()  # more than its share, but less than half of all
    aligned.take(item(q, 0, known_at=7.0, size=10))
    assert aligned.paused == {p}
    aligned.take(item(r, 0, known_at=2.5, size=10))  # releases 0 to 2 of p: one is left of three
    assert aligned.paused == set()
    assert not aligned.stage.crowded
    aligned.take(ended=[r, p, q])
    assert aligned.stage.held_bytes == 0
    aligned.take(*(item(p, n, known_at=float(n), size=10) for n in range(10, 14)))
    assert aligned.calls == ["pause", "resume"]  # below a quarter it had forgotten


def test_what_is_released_is_held_until_it_is_yielded() -> None:
    """A backlog released at once takes its memory until it is worked off, and so nothing resumes."""
    p, q = partition(0), partition(1)
    bound = 4 * RECORD_OVERHEAD_BYTES
    aligned = Aligned(p, q, batch_max_records=2, held_bytes_total=bound, wait_seconds=math.inf)
    aligned.take(*(item(p, n, known_at=float(n)) for n in range(6)))
    assert aligned.paused == {p}
    aligned.hold(ended=[p, q])
    seen = [(aligned.stage.held_records, set(aligned.paused)) for _ in aligned.batches()]
    assert seen == [(4, {p}), (2, {p}), (0, set())]


def test_it_is_crowded_above_seven_eighths_of_the_bound() -> None:
    """So that the transport hands over less at once before all is full."""
    p, q = partition(0), partition(1)
    bound = 8 * (10 + RECORD_OVERHEAD_BYTES)
    aligned = Aligned(p, q, held_bytes_total=bound, wait_seconds=math.inf)
    aligned.take(*(item(p, n, size=10) for n in range(7)))
    assert not aligned.stage.crowded
    aligned.take(item(p, 7, size=10))
    assert aligned.stage.crowded


def test_a_revoked_partition_is_dropped() -> None:
    """Its records are its next owner's; it holds nobody back and no memory."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q)
    assert aligned.take(item(q, 0, known_at=2.0), item(q, 1, known_at=3.0)) == []
    released = aligned.take(item(q, 2, known_at=3.0), item(p, 0, known_at=4.0), revoked=[q])
    assert offsets(released) == [(0, 0)]
    assert (aligned.stage.held_records, aligned.stage.held_bytes) == (0, 0)


def test_a_partition_assigned_anew_starts_anew() -> None:
    """What was held under the old assignment is gone; offsets may go back."""
    old, new = partition(0), partition(0)
    aligned = Aligned(old, partition(1))
    aligned.take(item(old, 5, known_at=9.0))
    aligned.take(revoked=[old], assigned=[new])
    released = aligned.take(item(new, 3, known_at=1.0), item(old, 6, known_at=1.0), ended=[new])
    assert released == []
    assert aligned.stage.held_records == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"batch_max_records": 3}, [3, 3, 1]),
        ({"batch_max_bytes": 20}, [2, 2, 2, 1]),
        ({"batch_max_bytes": 29}, [2, 2, 2, 1]),
        ({"batch_max_bytes": 1}, [1] * 7),
        ({}, [7]),
    ],
    ids=["records", "bytes", "bytes that do not come out even", "each above", "no bound"],
)
def test_batches_are_bounded(options: dict[str, int], expected: list[int]) -> None:
    """A batch exceeds neither bound unless it is one record; nothing is left out or reordered."""
    p = partition(0)
    aligned = Aligned(p, **options)
    aligned.hold(*(item(p, n, known_at=NOW + n, size=10) for n in range(7)), ended=[p])
    batches = list(aligned.batches())
    assert [len(each) for each in batches] == expected
    assert [each.offset for released in batches for each in released] == list(range(7))


def test_a_record_is_decoded_when_its_turn_comes() -> None:
    """As an event it would take several times the memory while it waits."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q, batch_max_records=2)
    aligned.take(*(item(p, n, known_at=float(n)) for n in range(6)), item(q, 0, known_at=3.5))
    assert [(each.partition, each.offset) for each in aligned.decoded] == [
        (p, 0), (p, 1), (p, 2), (p, 3), (q, 0),
    ]  # fmt: skip
    aligned.hold(ended=[p, q])
    next(aligned.batches())
    assert len(aligned.decoded) == 7


def test_of_records_known_at_the_same_moment_the_earlier_event_goes_first() -> None:
    """Such as a partition may still deliver before it: then it is held, decoded."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q)
    assert aligned.take(item(q, 0, known_at=5.0, event_time=3.0)) == []
    first = aligned.take(item(p, 0, known_at=5.0, event_time=1.0))
    assert offsets(first) == [(0, 0)]
    held = 5 + RECORD_OVERHEAD_BYTES + EVENT_OVERHEAD_BYTES
    assert (aligned.stage.held_records, aligned.stage.held_bytes) == (1, held)
    second = aligned.take(
        item(p, 1, known_at=5.0, event_time=2.0), item(p, 2, known_at=5.0, event_time=4.0)
    )
    assert offsets(second) == [(0, 1), (1, 0)]
    assert offsets(aligned.take(ended=[p, q])) == [(0, 2)]
    assert (aligned.stage.held_records, aligned.stage.held_bytes) == (0, 0)
    assert len(aligned.decoded) == 4


def test_a_tie_waits_for_a_partition_that_was_assigned_meanwhile() -> None:
    """It may deliver what comes before; a partition that is given away takes its ties along."""
    p, q, r = partition(0), partition(1), partition(2)
    aligned = Aligned(p, q)
    tied = item(q, 0, known_at=5.0, event_time=3.0)
    assert offsets(aligned.take(tied, item(p, 0, known_at=5.0, event_time=1.0))) == [(0, 0)]
    assert aligned.take(assigned=[r], ended=[p]) == []
    new = (item(r, n, known_at=4.0 + n, event_time=0.0) for n in range(3))
    assert offsets(aligned.take(*new)) == [(2, 0), (2, 1), (1, 0)]
    again = item(q, 1, known_at=6.0, event_time=9.0), item(p, 1, known_at=6.0, event_time=7.0)
    assert offsets(aligned.take(*again)) == [(2, 2)]
    assert offsets(aligned.take(revoked=[q], ended=[p, r])) == [(0, 1)]
    assert (aligned.stage.held_records, aligned.stage.held_bytes) == (0, 0)


def test_a_partition_above_its_bound_goes_on_within_one_moment() -> None:
    """Though it is paused and shows no later record: nobody else has an earlier one."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q, held_bytes_per_partition=2 * RECORD_OVERHEAD_BYTES)
    assert aligned.take(*(item(p, n, known_at=5.0) for n in range(4))) == []
    assert aligned.paused == {p}
    assert len(aligned.take(item(q, 0, known_at=6.0))) == 4
    assert aligned.paused == set()


def test_of_very_many_records_of_one_moment_few_are_held_decoded() -> None:
    """They go on in the order of their events all the same; the others are decoded again."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q, batch_max_records=5)
    items = [
        item(at, n, known_at=7.0, event_time=float((n * 37) % 101))
        for n in range(60)
        for at in (p, q)
    ]
    most: list[int] = []
    plain = aligned._decode

    def decode(records: Sequence[Record]) -> list[Item]:
        most.append(aligned.stage._decoded + len(records))
        return plain(records)

    aligned.hold(*items, ended=[p, q])
    released = [each for batch in aligned.stage.batches(decode) for each in batch]
    orders = {at: PartitionOrder(at.rank) for at in (p, q)}
    keys = {
        each: orders[each.record.partition].key(7.0, each.event.event_time, each.offset)
        for each in items
    }
    assert released == sorted(items, key=lambda each: keys[each])
    assert max(most) <= 3 * 5
    assert len(aligned.decoded) == 2 * 120 - 2 * 5
    assert (aligned.stage.held_records, aligned.stage.held_bytes) == (0, 0)


def test_a_partition_that_is_taken_away_takes_its_ties_with_it() -> None:
    """Those held decoded, and those that are not."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q, batch_max_records=2)
    # Another event of the same moment may come of q, and before theirs.
    items = [item(p, n, known_at=7.0, event_time=9.0) for n in range(8)]
    first = item(q, 0, known_at=7.0, event_time=1.0)
    released = aligned.take(*items, first, ended=[p])
    assert offsets(released) == [(1, 0)]
    assert aligned.stage._decoded == 4
    aligned.stage.add(chunk(revoked=[p]))
    assert (aligned.stage.held_records, aligned.stage.held_bytes) == (0, 0)


def test_records_of_one_moment_make_no_batch_too_large() -> None:
    """They are decoded together and still go on in batches as large as others."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q, batch_max_records=2)
    times = [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 3.0]
    aligned.hold(*(item(p, n, known_at=at) for n, at in enumerate(times)), ended=[p, q])
    assert [len(each) for each in aligned.batches()] == [1, 2, 2, 2]


def test_records_of_one_moment_do_not_leave_a_batch_of_a_few_behind_each_full_one() -> None:
    """Those that wait for others of their moment are part of the next full batch."""
    p = partition()
    aligned = Aligned(p, batch_max_records=4)
    aligned.hold(*(item(p, n, known_at=float((n + 1) // 3)) for n in range(16)), ended=[p])
    assert [len(each) for each in aligned.batches()] == [2, 3, 3, 3, 3, 2]


def test_what_does_not_fill_a_batch_waits_where_the_next_chunk_is_at_hand() -> None:
    """And goes in front of what that one brings; without such a chunk it goes at once."""
    p = partition()
    aligned = Aligned(p, batch_max_records=3)
    aligned.more_waits = True
    aligned.hold(*(item(p, n, known_at=float(n)) for n in range(5)), ended=[p])
    assert [offsets(each) for each in aligned.batches()] == [[(0, 0), (0, 1), (0, 2)]]
    assert aligned.stage.held_records == 2
    aligned.more_waits = False
    aligned.hold(item(p, 5, known_at=5.0), item(p, 6, known_at=6.0), ended=[p])
    assert [offsets(each) for each in aligned.batches()] == [[(0, 3), (0, 4), (0, 5)], [(0, 6)]]


def test_a_batch_that_its_bytes_fill_waits_for_nothing() -> None:
    """However few records it has."""
    p = partition()
    aligned = Aligned(p, batch_max_bytes=100)
    aligned.more_waits = True
    aligned.hold(*(item(p, n, known_at=float(n), size=60) for n in range(3)), ended=[p])
    assert [len(each) for each in aligned.batches()] == [1, 1]
    assert aligned.stage.held_records == 1


def test_what_waits_for_the_next_chunk_is_dropped_with_its_partition() -> None:
    """Nothing is left of it in the account, and its neighbour's records go on."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q)
    aligned.more_waits = True
    assert aligned.take(item(p, 0, known_at=1.0), item(q, 0, known_at=2.0), ended=[p, q]) == []
    assert aligned.stage.held_records == 2
    aligned.more_waits = False
    assert offsets(aligned.take(revoked=[p])) == [(1, 0)]
    assert (aligned.stage.held_records, aligned.stage.held_bytes) == (0, 0)


@st.composite
def backlogs(
    draw: st.DrawFn,
) -> tuple[list[list[tuple[float, float]]], list[tuple[int, int]]]:
    """(known at, event time) by partition, and how polls cut them: (partition, records) a step."""
    # Few times: many ties, and running maxima that stay.
    known = st.integers(0, 6).map(float)
    event = st.integers(0, 3).map(float)
    partitions = draw(st.lists(st.lists(st.tuples(known, event), max_size=8), max_size=4))
    steps = draw(
        st.lists(
            st.tuples(st.integers(0, max(0, len(partitions) - 1)), st.integers(1, 4)), max_size=30
        )
    )
    return partitions, steps


@examples
@given(backlogs(), st.integers(1, 5), st.lists(st.booleans(), max_size=30))
def test_a_drained_backlog_is_released_in_the_order_of_the_comparator(
    backlog: tuple[list[list[tuple[float, float]]], list[tuple[int, int]]],
    batch_max_records: int,
    waiting: list[bool],
) -> None:
    """However polls cut the partitions, and wherever more waits: the same sequence as sorting everything
    at once."""
    times, steps = backlog
    partitions = [partition(number) for number in range(len(times))]
    queues = [
        [item(p, n, known_at=at, event_time=happened) for n, (at, happened) in enumerate(each)]
        for p, each in zip(partitions, times, strict=True)
    ]
    keyed = []
    for p, queue in zip(partitions, queues, strict=True):
        order = PartitionOrder(p.rank)
        keyed += [
            (order.key(each.record.known_at, each.event.event_time, each.offset), each)
            for each in queue
        ]
    expected = [each for _, each in sorted(keyed)]

    aligned = Aligned(*partitions, batch_max_records=batch_max_records, wait_seconds=math.inf)
    released = []
    for number, count in [*steps, *((n, 99) for n in range(len(partitions)))]:
        if partitions:
            polled, queues[number] = queues[number][:count], queues[number][count:]
            ended = [] if queues[number] else [partitions[number]]
            aligned.more_waits = waiting.pop() if waiting else False
            released += aligned.take(*polled, ended=ended)
    aligned.more_waits = False
    released += aligned.take()
    assert released == expected
    assert (aligned.stage.held_records, aligned.stage.held_bytes) == (0, 0)


# A partition that the flood breaker stops, or lets through slowly.


def test_a_stopped_partition_holds_nothing_and_nobody_waits_for_it() -> None:
    """What is held of it goes, what comes of it meanwhile is dropped, its neighbours go on."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q)
    assert aligned.take(item(p, 0, known_at=1.0), item(p, 1, known_at=9.0)) == []
    aligned.stage.stop(p)
    released = aligned.take(item(q, 0, known_at=5.0), item(q, 1, known_at=99.0))
    assert offsets(released) == [(1, 0), (1, 1)]
    assert aligned.take(*(item(p, n, known_at=9.0) for n in range(2, 100))) == []
    assert aligned.stage.held_records == 0
    assert aligned.stage.held_bytes == 0


def test_a_stopped_partition_is_taken_again_from_the_chunk_that_says_so() -> None:
    """Its records come once more, from the one it was stopped at, and are merged as before."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q)
    aligned.take(item(p, 0, known_at=1.0), item(p, 1, known_at=2.0), item(q, 0, known_at=3.0))
    aligned.stage.stop(p)
    aligned.take(item(p, 2, known_at=5.0))
    again = aligned.take(item(p, 1, known_at=2.0), item(q, 1, known_at=4.0), rewound=[p])
    assert offsets(again) == [(0, 1)]
    assert offsets(aligned.take(item(p, 2, known_at=5.0))) == [(1, 1)]


def test_a_partition_that_was_paused_is_not_left_so_when_it_is_stopped() -> None:
    """Who stopped it sees to it that nothing is fetched; the pause would outlive the stop."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q, held_bytes_per_partition=1_000)
    aligned.take(*(item(p, n, known_at=9.0) for n in range(10)))
    assert aligned.paused == {p}
    aligned.stage.stop(p)
    aligned.take(item(q, 0, known_at=1.0))
    assert aligned.paused == set()
    aligned.take(*(item(p, n, known_at=9.0) for n in range(10)), rewound=[p])
    assert aligned.paused == {p}


def test_an_end_that_was_told_while_a_partition_was_stopped_is_none_when_it_is_read_again() -> None:
    """What lies behind the stop is still to come, and may be earlier than what others hold."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q, wait_seconds=math.inf)
    aligned.stage.stop(p)
    aligned.take(ended=[p, q])
    assert aligned.take(item(q, 0, known_at=5.0), rewound=[p]) == []
    assert offsets(aligned.take(item(p, 0, known_at=6.0))) == [(1, 0)]


def test_a_stop_while_batches_are_made_does_not_spoil_the_account() -> None:
    """What is released is released still; afterwards nothing counts as held."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q, batch_max_records=2)
    aligned.hold(
        *(item(p, n, known_at=float(n)) for n in range(9)), item(q, 0, known_at=20.0),
        ended=[p, q],
    )  # fmt: skip
    for number, _ in enumerate(aligned.batches()):
        if number == 1:
            aligned.stage.stop(p)
    aligned.take()
    assert aligned.stage.held_records == 0
    assert aligned.stage.held_bytes == 0


def test_no_more_of_a_partition_is_released_than_its_allowance_has_left() -> None:
    """And its neighbours do not wait for it; without one it is merged as before."""
    p, q = partition(0), partition(1)
    aligned = Aligned(p, q)
    allowance = Allowance()
    aligned.stage.limit(p, allowance)
    held = [item(p, n, known_at=float(n)) for n in range(6)]
    assert offsets(aligned.take(*held, item(q, 0, known_at=50.0))) == [(1, 0)]
    allowance.left = 2.5
    assert offsets(aligned.take()) == [(0, 0), (0, 1)]
    assert allowance.left == pytest.approx(0.5)
    assert aligned.take() == []
    assert aligned.stage.held_records == 4
    aligned.stage.limit(p, None)
    assert offsets(aligned.take()) == [(0, 2), (0, 3), (0, 4), (0, 5)]
