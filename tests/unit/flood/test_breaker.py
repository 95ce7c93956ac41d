"""Which partitions are taken, stopped and drained, batch by batch."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.alignment.allowance import Allowance
from stream_app.flood.breaker import FloodBreaker
from stream_app.flood.refusal_counts import Limit, Limits
from stream_app.flood.verdict import Verdict
from stream_app.observer.events import PartitionStopped, PartitionWentOn, StoppedPartitions
from stream_app.observer.observer import Observer, on
from stream_app.records.failure import Failure
from stream_app.records.flood_note import FloodNote
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.records.record_id import RecordId
from tests.unit.builders import batch, begins, chunk, item, partition

LIMITS = Limits(Limit(3, 1.0), Limit(2, 1.0), 100)


class FakeValve:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.shut_at: dict[Partition, int] = {}
        self.opened_at: dict[Partition, int] = {}
        self.limits: dict[Partition, Allowance | None] = {}
        self.notes: dict[Partition, FloodNote | None] = {}

    def shut(self, at: Partition, head: Item) -> None:
        """See `Valve`."""
        assert at not in self.shut_at
        self.shut_at[at] = head.offset

    def open(self, at: Partition, offset: int) -> None:
        """See `Valve`."""
        del self.shut_at[at]
        self.opened_at[at] = offset

    def opened(self, at: Partition) -> None:
        """See `Valve`."""

    def limit(self, at: Partition, allowance: Allowance | None) -> None:
        """See `Valve`."""
        self.limits[at] = allowance

    def note(self, at: Partition, note: FloodNote | None) -> None:
        """See `Valve`."""
        self.notes[at] = note


class FakeTrials:
    """Finds what a test says."""

    def __init__(self) -> None:
        self.begun: dict[Partition, tuple[int, bool]] = {}
        self.found: list[Verdict] = []

    def begin(self, at: Partition, offset: int, *, at_once: bool) -> None:
        """See `Trials`."""
        self.begun[at] = offset, at_once

    def forget(self, at: Partition) -> None:
        """See `Trials`."""
        self.begun.pop(at, None)

    def verdicts(self) -> Sequence[Verdict]:
        """See `Trials`."""
        found, self.found = self.found, []
        return found


class Bench:
    """A breaker, and batches as the pipeline makes them."""

    def __init__(self, limits: Limits | None = LIMITS, *, rate: float = 10.0) -> None:
        self.valve, self.trials = FakeValve(), FakeTrials()
        self.told: list[Any] = []
        self.now = 1_000.0
        kinds: Any = (PartitionStopped, PartitionWentOn, StoppedPartitions)
        self.breaker = FloodBreaker(
            limits,
            self.valve,
            self.trials,
            Observer([on(kind, self.told.append) for kind in kinds]),
            letters_per_second=rate,
            clock=lambda: self.now,
            monotonic=lambda: self.now,
        )

    def assign(self, at: Partition, offset: int = 0, note: FloodNote | None = None) -> None:
        """Give it a partition."""
        self.breaker.chunk(_assigned(at, offset, note))

    def take(self, items: list[Item]) -> list[Item]:
        """What is published of a batch of these, made again where that is needed."""
        kept = self.breaker.taken(items)
        tries = 0
        while kept:
            tries += 1
            assert tries < 3
            if not self.breaker.stops(batch(1, kept)):
                return kept
            kept = self.breaker.taken(kept)
        return []

    def rewind(self, at: Partition) -> None:
        """The chunk comes that brings a partition's records again."""
        self.breaker.chunk(chunk(rewound=[at]))

    @property
    def stopped(self) -> dict[Partition, int]:
        """What it said last."""
        said = [each for each in self.told if isinstance(each, StoppedPartitions)]
        return {each.partition: each.offset for each in said[-1].stopped} if said else {}


def _assigned(at: Partition, offset: int, note: FloodNote | None) -> Any:
    made = chunk()
    made.assigned = [begins(at, offset, flood=note)]
    return made


def records(at: Partition, fates: str, first: int = 0) -> list[Item]:
    """Items of a partition: "." passes, "x" is poison, "b" a bug, "s" skipped, "r" a refused replay."""
    made = []
    for offset, fate in enumerate(fates, first):
        each = item(at, offset)
        if fate == "x":
            each.event = None  # type: ignore[assignment]
            each.failure = Failure("decode", "invalid-json", "no")
        elif fate == "b":
            each.failure = Failure("score", "unscorable", "no", disposition="bug")
        elif fate == "s":
            each.event = None  # type: ignore[assignment]
        elif fate == "r":
            each.failure = Failure("decode", "invalid-json", "no")
            each.first_origin = RecordId("t", 0, 0)
        made.append(each)
    return made


def offsets(items: Sequence[Item], of: Partition) -> list[int]:
    """Those of one partition."""
    return [each.offset for each in items if each.record.partition is of]


def test_a_partition_is_stopped_before_the_bad_run_of_the_batch() -> None:
    """At the first refused record behind the last one that passed: none of the run is published."""
    bench, at = Bench(), partition()
    bench.assign(at)
    assert offsets(bench.take(records(at, "..x.xxxx..")), at) == [0, 1, 2, 3]
    assert bench.stopped == bench.valve.shut_at == {at: 4}
    assert bench.valve.notes == {at: FloodNote("stopped", 4, 1_000)}
    assert bench.trials.begun == {at: (4, False)}
    assert bench.take(records(at, "....", 10)) == []


def test_refusals_are_counted_across_batches_and_only_the_last_of_them_is_held_back() -> None:
    """Those before are dead letters already."""
    bench, at = Bench(), partition()
    bench.assign(at)
    assert len(bench.take(records(at, ".x"))) == 2
    assert len(bench.take(records(at, "x", 2))) == 1
    assert bench.take(records(at, "x", 3)) == []
    assert bench.stopped == {at: 3}


def test_a_batch_that_is_made_again_counts_its_records_once() -> None:
    """A neighbour with two refusals of a limit of three is not stopped by the other's flood."""
    bench, flooded, other = Bench(), partition(0), partition(1)
    bench.assign(flooded)
    bench.assign(other)
    mixed = records(flooded, "xxxx") + records(other, ".xx")
    assert offsets(bench.take(mixed), other) == [0, 1, 2]
    assert bench.stopped == {flooded: 0}
    assert len(bench.take(records(other, ".xx.", 3))) == 4
    assert bench.stopped == {flooded: 0}


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("..xb")), max_size=60), st.data())
def test_how_records_are_batched_does_not_matter_for_when_a_neighbour_is_stopped(
    stream: list[tuple[int, str]], data: st.DataObject
) -> None:
    """Each partition is stopped by the same record as it would be alone, one record a batch."""
    places = [partition(number) for number in range(3)]
    alone = {place: Bench() for place in places}
    together = Bench()
    for place in places:
        alone[place].assign(place)
        together.assign(place)
    upcoming = dict.fromkeys(places, 0)
    items = []
    for number, fate in stream:
        place = places[number]
        items += records(place, fate, upcoming[place])
        upcoming[place] += 1
    tripped_by: dict[Partition, int] = {}
    for each in items:
        place = each.record.partition
        alone[place].take([each])
        if alone[place].stopped and place not in tripped_by:
            tripped_by[place] = each.offset
    published: list[Item] = []
    left = list(items)
    while left:
        size = data.draw(st.integers(1, 10))
        published += together.take(left[:size])
        del left[:size]
    assert together.stopped.keys() == tripped_by.keys()
    for place in places:
        ends = offsets(published, place)
        assert ends == list(range(len(ends)))  # a prefix
        assert len(ends) <= tripped_by.get(place, len(items))


def test_what_is_skipped_or_replayed_is_not_counted() -> None:
    """Neither refused replays nor records of others say anything of a producer."""
    bench, at = Bench(), partition()
    bench.assign(at)
    assert len(bench.take(records(at, "rrrrrrrssss"))) == 11
    assert offsets(bench.take(records(at, "xsxrsx", 11)), at) == []
    assert bench.stopped == {at: 11}


def test_nothing_is_stopped_without_limits() -> None:
    """The breaker is off."""
    bench, at = Bench(None), partition()
    bench.assign(at)
    assert len(bench.take(records(at, "x" * 500))) == 500


def test_a_partition_that_was_found_stopped_is_taken_up_to_there() -> None:
    """And shut when its first record comes; its head is tried at once."""
    bench, at = Bench(), partition()
    bench.assign(at, 5, FloodNote("stopped", 8, 900))
    assert bench.trials.begun == {at: (8, True)}
    assert bench.stopped == {at: 8}
    assert offsets(bench.take(records(at, "..xxxx", 5)), at) == [5, 6, 7]
    assert bench.valve.shut_at == {at: 8}


def test_it_goes_on_where_its_head_passes() -> None:
    """As any other partition, with counts that begin anew, when its records come again."""
    bench, at = Bench(), partition()
    bench.assign(at)
    bench.take(records(at, "xxx"))
    bench.trials.found = [Verdict(at, 0, "head", None)]
    bench.breaker.look()
    assert bench.valve.opened_at == {at: 0}
    assert bench.take(records(at, "...", 3)) == []  # of before: they come again
    bench.rewind(at)
    assert bench.stopped == {}
    assert bench.valve.notes == {at: None}
    assert len(bench.take(records(at, "xx.xx"))) == 5
    assert bench.take(records(at, "x", 5)) == []


def test_a_verdict_on_an_earlier_stop_is_none_on_this_one() -> None:
    """It was found while the partition went on and was stopped again."""
    bench, at = Bench(), partition()
    bench.assign(at)
    bench.take(records(at, ".xxx"))
    bench.trials.found = [Verdict(at, 0, "head", None)]
    bench.breaker.look()
    assert bench.stopped == {at: 1}


def test_a_bad_run_is_drained_at_the_rate_and_then_counted_anew() -> None:
    """The allowance fills with time and with what passes; behind the run all is as usual."""
    bench, at = Bench(rate=10.0), partition()
    bench.assign(at)
    bench.take(records(at, "xxx"))
    bench.trials.found = [Verdict(at, 0, "newest", 6)]
    bench.breaker.look()
    bench.rewind(at)
    assert bench.valve.notes == {at: FloodNote("draining", 6, 1_000)}
    allowance = bench.valve.limits[at]
    assert allowance is not None
    assert allowance.left == 0.0
    bench.now += 0.5
    bench.breaker.look()
    assert allowance.left == pytest.approx(5.0)
    allowance.left = 0.0
    assert len(bench.take(records(at, "xxx.x"))) == 5
    assert allowance.left == pytest.approx(1.0)  # what passed costs nothing
    bench.now += 100.0
    bench.breaker.look()
    assert allowance.left == pytest.approx(10.0)  # a second's worth at most
    assert len(bench.take(records(at, "x", 5))) == 1
    assert bench.valve.limits == {at: None}
    assert bench.valve.notes == {at: None}
    assert bench.take(records(at, "xxx", 6)) == []


def test_what_lies_behind_a_bad_run_is_counted_also_in_the_batch_that_ends_it() -> None:
    """Where nothing came for a while, that batch may hold all of the next bad run."""
    bench, at = Bench(), partition()
    bench.assign(at, 5, FloodNote("draining", 7, 900))
    assert len(bench.take(records(at, "xxxxx", 5))) == 2
    assert bench.stopped == {at: 7}


def test_a_run_that_is_being_drained_is_drained_on_by_the_next_worker() -> None:
    """It stands beside the offset."""
    bench, at = Bench(), partition()
    bench.assign(at, 5, FloodNote("draining", 100, 900))
    assert bench.valve.limits[at] is not None
    assert len(bench.take(records(at, "x" * 50, 5))) == 50
    assert bench.stopped == {}


def test_a_run_whose_end_was_reached_is_not_drained_by_the_next_worker() -> None:
    """Where the log ended in markers of a transaction, no record told the worker before that it is over."""
    bench, at = Bench(), partition()
    bench.assign(at, 100, FloodNote("draining", 100, 900))
    assert bench.valve.limits == {at: None}
    assert bench.valve.notes == {at: None}
    assert bench.take(records(at, "xxx", 100)) == []


def test_a_partition_that_is_given_away_is_forgotten() -> None:
    """It is neither told as stopped nor tried; what comes of it later changes nothing."""
    bench, at = Bench(), partition()
    bench.assign(at)
    bench.take(records(at, "xxx"))
    bench.breaker.chunk(chunk(revoked=[at]))
    assert bench.stopped == {}
    assert bench.trials.begun == {}
    bench.trials.found = [Verdict(at, 0, "head", None)]
    bench.breaker.look()
    bench.rewind(at)
    assert bench.valve.opened_at == {}


def test_a_breaker_that_was_switched_off_lets_go_on_what_is_stopped() -> None:
    """The note goes with it."""
    bench, at = Bench(None), partition()
    bench.assign(at, 5, FloodNote("stopped", 5, 900))
    assert bench.valve.notes == {at: None}
    assert len(bench.take(records(at, "xxx", 5))) == 3
