"""The ledger's fates, beside an account kept record by record in plain Python."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_app.audit.faults import Fault
from stream_app.audit.ledger import _SLICE, Fate, Kind, Ledger, Terms
from stream_app.audit.ranges import OffsetRange, Ranges, runs
from stream_app.records.places import PartitionId

FIRST = 100
ALL = Terms(committed=2**40, mark=None, outputs_removed_until=-np.inf)


@dataclass
class Entry:
    """One offset, and what happened to it."""

    kind: Kind | None
    seconds: int
    predictions: int
    letters: int
    replay_predictions: int
    replay_letters: int
    faults: int


KINDS = st.sampled_from(
    [
        None,
        Kind.RECORD,
        Kind.RECORD | Kind.ASKS,
        Kind.RECORD | Kind.INVALID,
        Kind.RECORD | Kind.REPLAY,
        Kind.RECORD | Kind.ASKS | Kind.REPLAY,
        Kind.RECORD | Kind.INVALID | Kind.REPLAY,
    ]
)
FEW = st.sampled_from([0, 0, 0, 1, 1, 2, 300])
FAULTS = st.sampled_from(
    [0, 0, 0, Fault.WITHOUT_VALUE, Fault.CONTRADICTORY | Fault.BROKEN_CONTRACT]
)
ENTRIES = st.lists(
    st.builds(Entry, KINDS, st.integers(1, 20), FEW, FEW, FEW, FEW, FAULTS), max_size=30
)
TERMS = st.builds(
    Terms,
    committed=st.none() | st.integers(FIRST - 2, FIRST + 32),
    mark=st.none() | st.integers(-1, FIRST + 32),
    outputs_removed_until=st.sampled_from([-np.inf, 5.0, 10.0, np.inf]),
)


def booked(entries: list[Entry]) -> Ledger:
    """A ledger that was told everything, in several calls."""
    ledger = Ledger(FIRST, FIRST + len(entries))
    for offset, entry in enumerate(entries, FIRST):
        if entry.kind is not None:
            ledger.records([offset], [entry.kind], [entry.seconds])
        ledger.predictions([offset] * entry.predictions)
        ledger.dead_letters([offset] * entry.letters)
        ledger.replay_predictions([offset] * entry.replay_predictions)
        ledger.replay_dead_letters([offset] * entry.replay_letters)
        ledger.fault(offset, Fault(entry.faults))
    return ledger


def fate(offset: int, entry: Entry, terms: Terms) -> Fate:
    """The fate of one record, by the rules as the documentation tells them."""
    if entry.kind is None:
        return Fate.NO_RECORD
    if entry.predictions + entry.letters > 1:
        if entry.predictions and entry.letters:
            return Fate.PREDICTED_AND_DEAD_LETTERED
        return Fate.PREDICTED_AGAIN if entry.predictions else Fate.DEAD_LETTERED_AGAIN
    if terms.committed is None or offset >= terms.committed:
        return Fate.WAITING
    if Kind.REPLAY in entry.kind and entry.predictions + entry.letters:
        return Fate.REPLAYED
    if entry.predictions or entry.replay_predictions:
        return Fate.PREDICTED
    if entry.letters or entry.replay_letters:
        return Fate.DEAD_LETTERED
    return without_output(offset, entry, terms)


def without_output(offset: int, entry: Entry, terms: Terms) -> Fate:
    """The fate of a committed record of which there is no right output."""
    assert entry.kind is not None
    if entry.kind & (Kind.ASKS | Kind.INVALID):
        if entry.faults:
            return Fate.WRONG_OUTPUT
        removed = entry.seconds <= terms.outputs_removed_until
        return Fate.UNPROVEN if removed else Fate.WITHOUT_OUTPUT
    if terms.mark is not None and offset > terms.mark:
        return Fate.WITHOUT_STATE
    return Fate.REPLAYED if Kind.REPLAY in entry.kind else Fate.STATE_ONLY


@given(ENTRIES, TERMS)
def test_every_offset_has_the_fate_that_the_rules_give_it(
    entries: list[Entry], terms: Terms
) -> None:
    """Whatever is there, and in whatever number of copies."""
    judged = list(booked(entries).judge(terms))
    found = [Fate(each) for part in judged for each in part.fates]
    assert found == [fate(o, entry, terms) for o, entry in enumerate(entries, FIRST)]
    assert sum(part.waiting_with_output for part in judged) == sum(
        each == Fate.WAITING and entry.predictions + entry.letters > 0
        for each, entry in zip(found, entries, strict=True)
    )
    no_record = [int(offset) for part in judged for offset in part.no_record]
    assert no_record == [
        offset
        for offset, entry in enumerate(entries, FIRST)
        if entry.kind is None and entry.predictions + entry.letters
    ]
    for fault in Fault:
        assert [int(offset) for part in judged for offset in part.faults[fault]] == [
            offset for offset, entry in enumerate(entries, FIRST) if entry.faults & fault
        ]


@given(ENTRIES, TERMS)
def test_fates_add_up_to_the_records(entries: list[Entry], terms: Terms) -> None:
    """Each record is counted once, and nothing else is."""
    ledger = booked(entries)
    fates = Counter(int(each) for part in ledger.judge(terms) for each in part.fates)
    assert sum(fates.values()) - fates[Fate.NO_RECORD] == ledger.count()


def test_copies_beyond_what_a_counter_holds_are_still_more_than_one() -> None:
    """A prediction published 65,537 times does not look as if it had been published once."""
    ledger = Ledger(0, 1)
    ledger.records([0], [Kind.RECORD | Kind.ASKS], [1])
    for _ in range(2):
        ledger.predictions([0] * 65_537)
    assert [int(f) for part in ledger.judge(ALL) for f in part.fates] == [Fate.PREDICTED_AGAIN]


def test_slices_of_a_long_partition_are_judged_as_one() -> None:
    """What is missing across the border of two slices is one range."""
    ledger = Ledger(7, 7 + _SLICE + 10)
    offsets = list(range(7, 7 + _SLICE + 10))
    ledger.records(offsets, [Kind.RECORD | Kind.ASKS] * len(offsets), [1] * len(offsets))
    gap = range(7 + _SLICE - 3, 7 + _SLICE + 2)
    ledger.predictions([offset for offset in offsets if offset not in gap])
    missing = Ranges()
    for part in ledger.judge(ALL):
        missing.add(PartitionId("t", 0), part.offsets[part.fates == Fate.WITHOUT_OUTPUT])
    assert missing.kept == [OffsetRange("t", 0, gap[0], gap[-1])]


def test_an_empty_range_has_no_fates() -> None:
    """A log that begins behind the end of the range has no records in it."""
    assert list(Ledger(9, 3).judge(ALL)) == []
    assert 9 not in Ledger(9, 3)


@given(st.sets(st.integers(0, 60)))
def test_ranges_hold_exactly_the_offsets_they_were_made_of(offsets: set[int]) -> None:
    """No offset more, none less, and none of them touch."""
    found = runs(np.array(sorted(offsets), np.int64))
    assert [o for first, last in found for o in range(first, last + 1)] == sorted(offsets)
    assert all(found[i][1] + 1 < found[i + 1][0] for i in range(len(found) - 1))


def test_ranges_are_bounded_and_say_how_many_were_left_out() -> None:
    """Ten thousand are kept; the rest is counted."""
    ranges = Ranges()
    ranges.add(PartitionId("t", 0), np.arange(0, 40_000, 2, dtype=np.int64))
    assert len(ranges.kept) == 10_000
    assert ranges.left_out == 10_000
    assert str(ranges.kept[3]) == "t[0] 6"
