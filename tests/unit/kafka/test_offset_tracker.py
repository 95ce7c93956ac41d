"""Stage commit: the longest finished prefix, and never past a record in flight."""

import gc
import threading
from collections import defaultdict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stream_app.kafka.offset_metadata import as_committed, markers_of, topic_id_of
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.records.batch import Batch
from stream_app.records.flood_note import FloodNote, flood_note
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from tests.unit.builders import begins, item, partition
from tests.unit.features.builders import examples


class Committing:
    """The stage, fed as transport and pipeline feed it."""

    def __init__(self) -> None:
        self.stage = OffsetTracker()
        self.batches = 0

    def consume(self, at: Partition, *offsets: int, timestamp: float = 0.0) -> list[Item]:
        """Take records in."""
        if at not in self.stage.notes:
            self.stage.begin(begins(at, offsets[0], committed_by="nobody"))
        self.stage.consumed(at, offsets[-1], timestamp)
        return [item(at, offset) for offset in offsets]

    def admit(self, *items: Item) -> Batch:
        """Begin a batch."""
        mine, ends = self.stage.admit(items)
        self.batches += 1
        return Batch(self.batches, mine, ends=ends)


def test_what_is_finished_may_be_committed_once() -> None:
    """The next offset of each partition, and nothing a second time."""
    p, q = partition(0), partition(1)
    committing = Committing()
    batch = committing.admit(*committing.consume(p, 3, 4), *committing.consume(q, 7))
    assert committing.stage.take_due() == {}
    committing.stage.finished(batch)
    assert committing.stage.take_due() == {p: 5, q: 8}
    assert committing.stage.take_due() == {}


def test_a_batch_in_flight_is_not_committed_past() -> None:
    """The second batch waits for nobody's offsets but its own."""
    p = partition()
    committing = Committing()
    first = committing.admit(*committing.consume(p, 0, 1))
    second = committing.admit(*committing.consume(p, 2))
    committing.stage.finished(first)
    assert committing.stage.take_due() == {p: 2}
    committing.stage.finished(second)
    assert committing.stage.take_due() == {p: 3}


def test_an_abandoned_batch_is_never_committed() -> None:
    """A batch that was abandoned is read again by the next owner of its partitions."""
    p = partition()
    committing = Committing()
    committing.stage.abandoned(committing.admit(*committing.consume(p, 0, 1)))
    assert committing.stage.take_due() == {}
    assert committing.stage.settle(None, timeout=0.0)


def test_admission_drops_what_was_revoked() -> None:
    """Held records of a partition that is no longer ours begin no way."""
    p, q = partition(0), partition(1)
    committing = Committing()
    items = [*committing.consume(p, 0), *committing.consume(q, 0)]
    committing.stage.revoke([q])
    batch = committing.admit(*items)
    assert [each.record.partition for each in batch.items] == [p]
    assert batch.ends == {p: 0}


def test_a_batch_of_nothing_but_revoked_records_holds_nobody_up() -> None:
    """It may finish or not: nothing waits for it."""
    p = partition()
    committing = Committing()
    items = committing.consume(p, 0)
    committing.stage.revoke([p])
    batch = committing.admit(*items)
    assert committing.stage.settle(None, timeout=0.0)
    committing.stage.finished(batch)
    assert committing.stage.take_due() == {}


def test_settling_waits_for_the_partitions_asked_for() -> None:
    """Only for them, and for as long as any of their batches is under way."""
    p, q = partition(0), partition(1)
    committing = Committing()
    first = committing.admit(*committing.consume(p, 0))
    second = committing.admit(*committing.consume(p, 1))
    settle = committing.stage.settle
    assert settle([q], timeout=0.0)
    assert not settle([p], timeout=0.0)
    assert not settle(None, timeout=0.0)
    committing.stage.finished(first)
    assert not settle([p, q], timeout=0.0)
    committing.stage.finished(second)
    assert settle([p], timeout=0.0)
    assert settle(None, timeout=0.0)


def test_settling_wakes_when_the_last_batch_is_finished() -> None:
    """A thread that waits without a bound goes on."""
    committing = Committing()
    batch = committing.admit(*committing.consume(partition(), 0))
    settled: list[bool] = []
    waiting = threading.Thread(
        target=lambda: settled.append(committing.stage.settle(None, timeout=None)), daemon=True
    )
    waiting.start()
    committing.stage.finished(batch)
    waiting.join(10.0)
    assert settled == [True]


def test_the_end_of_a_partition_passes_markers() -> None:
    """Transaction markers after the last record are committed over: no lag is left for ever."""
    p = partition()
    committing = Committing()
    batch = committing.admit(*committing.consume(p, 0, 1))
    committing.stage.at_end(p, 5)
    assert committing.stage.take_due() == {}
    committing.stage.finished(batch)
    assert committing.stage.take_due() == {p: 5}
    assert committing.stage.notes[p].control_records == (2, 5)
    committing.stage.at_end(p, 6)
    assert committing.stage.take_due() == {p: 6}
    assert committing.stage.notes[p].control_records == (2, 6)


def test_markers_behind_those_of_an_earlier_assignment_are_told_with_them() -> None:
    """All of them lie between the last record and the offset that is committed."""
    p = partition()
    stage = OffsetTracker()
    stage.begin(begins(p, 5, control_records=3))
    stage.at_end(p, 6)
    assert stage.take_due() == {p: 6}
    assert stage.notes[p].control_records == (2, 6)
    (place,) = as_committed({p: 6}, stage.notes)
    assert topic_id_of(place.metadata) == p.topic_id
    assert markers_of(place.metadata) == 4
    (before,) = as_committed({p: 5}, stage.notes)
    assert markers_of(before.metadata) == 0


def test_an_end_is_not_committed_over_records_in_flight() -> None:
    """Nor does a stale end take anything back."""
    p = partition()
    committing = Committing()
    first = committing.admit(*committing.consume(p, 0))
    committing.stage.at_end(p, 3)
    second = committing.admit(*committing.consume(p, 3, 4))
    committing.stage.finished(first)
    assert committing.stage.take_due() == {p: 1}
    committing.stage.finished(second)
    assert committing.stage.take_due() == {p: 5}


def test_records_held_back_count_as_unfinished() -> None:
    """Consumed and not admitted yet: an end may not pass them."""
    p = partition()
    committing = Committing()
    first, second = committing.consume(p, 0, 1)
    committing.stage.at_end(p, 2)
    committing.stage.finished(committing.admit(first))
    assert committing.stage.take_due() == {p: 1}
    committing.stage.finished(committing.admit(second))
    assert committing.stage.take_due() == {p: 2}


def test_the_oldest_unfinished_record_tells_the_lag() -> None:
    """In seconds, and truthful while processing is stuck."""
    p = partition()
    committing = Committing()
    assert committing.stage.oldest_unfinished(p) is None
    first = committing.admit(*committing.consume(p, 0, timestamp=10.0))
    second = committing.admit(*committing.consume(p, 1, timestamp=20.0))
    assert committing.stage.oldest_unfinished(p) == 10.0
    committing.stage.finished(first)
    assert committing.stage.oldest_unfinished(p) == 20.0
    committing.stage.finished(second)
    assert committing.stage.oldest_unfinished(p) is None


def test_what_is_known_of_an_assignment_is_kept_until_nobody_holds_it() -> None:
    """Its last batch may be in hand for long after its end, and asks what becomes of it."""
    p = partition()
    committing = Committing()
    stage = committing.stage
    batch = committing.admit(*committing.consume(p, 5))
    stage.revoke([p])
    stage.forget([p])
    stage.finished(batch)
    assert (stage.is_revoked(p), stage.has_ended(p)) == (True, True)
    assert stage.failed_starts(p) == 0
    del p, batch
    gc.collect()
    assert len(stage.notes) == 0


def test_forgetting_a_partition_leaves_nothing_of_it() -> None:
    """What it may have committed is its next owner's business."""
    p = partition()
    committing = Committing()
    committing.stage.finished(committing.admit(*committing.consume(p, 0)))
    committing.stage.committed(p, 1)
    committing.consume(p, 1, timestamp=5.0)
    committing.stage.forget([p])
    assert committing.stage.take_due() == {}
    assert committing.stage.next_offset(p) is None
    assert committing.stage.oldest_unfinished(p) is None


def test_a_batch_of_an_old_assignment_never_speaks_for_the_new_one() -> None:
    """What it finished late names the assignment it was read under, which nobody commits for."""
    old, new = partition(), partition()
    committing = Committing()
    batch = committing.admit(*committing.consume(old, 0))
    committing.stage.revoke([old])
    committing.stage.forget([old])
    committing.consume(new, 0)
    committing.stage.finished(batch)
    assert new not in committing.stage.take_due()
    assert committing.stage.oldest_unfinished(new) == 0.0


def test_the_offset_the_broker_keeps() -> None:
    """How far behind a partition is follows from what was committed."""
    p = partition()
    stage = OffsetTracker()
    assert stage.next_offset(p) is None
    stage.committed(p, 7)
    assert stage.next_offset(p) == 7


class Drill(Committing):
    """Polls, batches, ends and commits in an order that is drawn, with a ledger of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.partitions = [partition(n) for n in range(3)]
        self.next_offset = dict.fromkeys(self.partitions, 0)
        self.held: list[Item] = []
        self.under_way: list[Batch] = []
        self.unfinished: dict[Partition, list[int]] = defaultdict(list)
        self.committed: dict[Partition, int] = {}

    def poll(self, number: int) -> None:
        """Two records come in and are held."""
        p = self.partitions[number]
        offsets = [self.next_offset[p], self.next_offset[p] + 1]
        self.held += self.consume(p, *offsets)
        self.unfinished[p] += offsets
        self.next_offset[p] += 2

    def begin(self, number: int) -> None:
        """Some of the records held begin their way."""
        self.under_way.append(self.admit(*self.held[: number + 1]))
        del self.held[: number + 1]

    def finish(self, _: int = 0) -> None:
        """The oldest batch under way is finished."""
        if self.under_way:
            batch = self.under_way.pop(0)
            for each in batch.items:
                self.unfinished[each.record.partition].remove(each.offset)
            self.stage.finished(batch)

    def end(self, number: int) -> None:
        """The partition is at its end, behind a marker."""
        p = self.partitions[number]
        if p not in self.stage.notes:
            self.stage.begin(begins(p, 0, committed_by="nobody"))
        self.next_offset[p] += 1
        self.stage.at_end(p, self.next_offset[p])

    def take(self, _: int = 0) -> None:
        """What may be committed is: it rises, and nothing unfinished lies below it."""
        for p, offset in self.stage.take_due().items():
            assert offset > self.committed.get(p, 0)
            assert all(offset <= waiting for waiting in self.unfinished[p])
            self.committed[p] = offset


_steps = st.tuples(
    st.sampled_from([Drill.poll, Drill.begin, Drill.finish, Drill.end, Drill.take]),
    st.integers(0, 2),
)


@examples
@given(st.lists(_steps, max_size=40))
def test_nothing_is_ever_committed_past_a_record_that_is_not_finished(steps: list[Any]) -> None:
    """Whatever the order of polls, batches, ends and commits; and at last all is committed."""
    drill = Drill()
    last_record = {}
    for step, number in steps:
        step(drill, number)
        if step is Drill.poll:
            last_record[drill.partitions[number]] = drill.next_offset[drill.partitions[number]]
    while drill.held:
        drill.begin(2)
    while drill.under_way:
        drill.finish()
    drill.take()
    assert drill.stage.settle(None, timeout=0.0)
    for p, offset in last_record.items():
        assert offset <= drill.committed[p] <= drill.next_offset[p]
        assert drill.stage.oldest_unfinished(p) is None


def test_of_commits_that_failed_the_latest_is_tried_again() -> None:
    """Several may be under way at once, and be answered in any order."""
    for first, second in ((0, 5), (5, 0)):
        p = partition(0)
        stage = OffsetTracker()
        stage.give_back(p, first)
        assert stage.take_due() == {p: first}
        stage.give_back(p, first)
        stage.give_back(p, second)
        assert stage.take_due() == {p: 5}


def test_a_failed_commit_does_not_go_back_behind_a_later_one() -> None:
    """What the broker keeps already covers it."""
    p = partition(0)
    stage = OffsetTracker()
    stage.committed(p, 5)
    stage.give_back(p, 3)
    assert stage.take_due() == {}


NOTE = FloodNote("stopped", 7, 1_764_422_400)


def test_a_note_of_a_stop_is_committed_at_once_beside_the_present_offset() -> None:
    """The partition may never have another one; nothing is committed twice for it."""
    p = partition()
    committing = Committing()
    committing.stage.begin(begins(p, 3))
    assert committing.stage.take_due() == {p: 3}
    committing.stage.committed(p, 3)
    committing.stage.note_flood(p, NOTE)
    assert committing.stage.take_due() == {p: 3}
    assert flood_note(as_committed({p: 3}, committing.stage.notes)[0].metadata) == NOTE
    committing.stage.committed(p, 3)
    assert committing.stage.take_due() == {}


def test_a_note_takes_back_no_commit_that_is_under_way() -> None:
    """Its answer is waited for: the offset is the later one, and the note may not be beside it."""
    p = partition()
    committing = Committing()
    batch = committing.admit(*committing.consume(p, 3, 4))
    committing.stage.committed(p, 3)
    committing.stage.finished(batch)
    assert committing.stage.take_due() == {p: 5}
    committing.stage.note_flood(p, NOTE)
    assert committing.stage.take_due() == {}
    committing.stage.committed(p, 5)
    assert committing.stage.take_due() == {p: 5}


def test_a_note_waits_for_a_transaction_with_offsets_further_on() -> None:
    """A plain commit of an earlier offset would take the transaction's back."""
    p = partition()
    committing = Committing()
    batch = committing.admit(*committing.consume(p, 3, 4))
    committing.stage.committed(p, 3)
    assert committing.stage.still_ours([batch]) == {p: 5}
    committing.stage.note_flood(p, NOTE)
    assert committing.stage.take_due() == {}
    committing.stage.committed(p, 5)
    committing.stage.finished(batch, committed=True)
    assert committing.stage.take_due() == {p: 5}


def test_a_note_is_committed_though_an_earlier_offset_waits_while_a_transaction_is_under_way() -> (
    None
):
    """What waits is behind the transaction when that is over, and would be committed by nobody."""
    p = partition()
    committing = Committing()
    batch = committing.admit(*committing.consume(p, 3, 4))
    committing.stage.committed(p, 3)
    committing.stage.note_flood(p, NOTE)
    assert committing.stage.still_ours([batch]) == {p: 5}
    # The offsets of the transaction are on their way, with the note of a moment ago.
    later = FloodNote("draining", 90, 1_700_000_000)
    committing.stage.note_flood(p, later)
    committing.stage.committed(p, 5)
    committing.stage.finished(batch, committed=True)
    assert committing.stage.take_due() == {p: 5}
    assert flood_note(as_committed({p: 5}, committing.stage.notes)[0].metadata) == later


def test_an_offset_waits_for_a_transaction_further_on_whose_end_is_not_known() -> None:
    """Committed before the transaction is, it would count as the later one, and take that back."""
    p = partition()
    committing = Committing()
    batch = committing.admit(*committing.consume(p, 3, 4))
    committing.stage.committed(p, 3)
    committing.stage.note_flood(p, NOTE)
    assert committing.stage.still_ours([batch]) == {p: 5}
    assert committing.stage.take_due() == {}
    committing.stage.committed(p, 5)
    committing.stage.finished(batch, committed=True)
    assert committing.stage.take_due() == {}


def test_the_lag_of_a_stopped_partition_is_that_of_the_record_it_is_stopped_at() -> None:
    """Whatever was consumed behind it; it ends when the record is finished."""
    p = partition()
    committing = Committing()
    first = committing.admit(*committing.consume(p, 0, 1, timestamp=1.0))
    committing.consume(p, 2, 5, timestamp=2.0)
    committing.stage.held_back(p, 3, 2.5)
    committing.consume(p, 6, 90, timestamp=9.0)
    committing.stage.finished(first)
    assert committing.stage.oldest_unfinished(p) == 2.5
    committing.stage.read_again(p, 3)
    again = committing.admit(*committing.consume(p, 3, timestamp=2.5))
    committing.consume(p, 4, 90, timestamp=2.7)
    committing.stage.finished(again)
    assert committing.stage.oldest_unfinished(p) == 2.7
