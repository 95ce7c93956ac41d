"""Stages enrich and state: unfinished states from memory, all others from the store."""

import math
from dataclasses import replace
from typing import Any

import pytest

from stream_app.features.engine.engine import FeatureEngine, Tables
from stream_app.features.engine.replay import LoggedEvent
from stream_app.features.stores import (
    MemoryStore,
    StateLostError,
    StateWrite,
    StoreUnavailableError,
)
from stream_app.features.stores.codec import StateCodec
from stream_app.features.usecase import TimeBounds
from stream_app.features.views import FeatureSet
from stream_app.observer.events import StateConflicts, StoreAsked
from stream_app.observer.observer import Observer, on
from stream_app.predictor.enrich import EnrichStage
from stream_app.records.batch import Batch
from stream_app.records.failure import Failure
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.state.stage import StateStage
from stream_app.waiting.retry import Retry
from tests.unit.builders import batch, failed, item, partition
from tests.unit.features.builders import (
    FEATURES,
    Delivered,
    InMemory,
    Ordered,
    assert_same_states,
    bits,
    delivered,
    ordered,
)
from tests.unit.stores import lose_marks, lose_states

P = partition(0)
Q = partition(1)


def source_id(at: Partition) -> int:
    """What a partition's fences are kept under, where none was registered."""
    return at.number + 1


class Store(MemoryStore):
    """A store in memory that counts what it is asked, and can be away for some calls."""

    def __init__(self, features: FeatureSet = FEATURES) -> None:
        super().__init__(features)
        self.reads: list[list[set[str]]] = []
        self.away = 0

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise StoreUnavailableError("away")

    def read(self, wanted: Any, progress: Any = ()) -> list[list[tuple[str, bytes]]]:
        """Note what was asked for."""
        self._answer()
        self.reads.append([set(keys) for keys in wanted])
        return super().read(wanted, progress)

    def write(self, writes: Any, progress: Any) -> list[tuple[StateWrite, bytes | None]]:
        """As the store would, unless it is away."""
        self._answer()
        return super().write(writes, progress)


class Worker:
    """The stages of one worker, a batch at a time."""

    def __init__(
        self,
        store: Store | None = None,
        features: FeatureSet = FEATURES,
        times: TimeBounds | None = None,
    ) -> None:
        self.store = store or Store(features)
        self.engine = FeatureEngine(features)
        self.conflicts: list[int] = []
        self.seconds: list[str] = []
        observer = Observer(
            [
                on(StoreAsked, lambda it: self.seconds.append(it.operation)),
                on(StateConflicts, lambda it: self.conflicts.append(it.states)),
            ]
        )
        self.state = StateStage(
            self.engine,
            self.store,
            Retry(initial_seconds=0.0, max_seconds=0.0, observer=Observer()),
            observer,
        )
        bounds = times or TimeBounds(earliest=0.0, latest=1e6)
        self.enrich = EnrichStage(self.engine, self.state, bounds)
        self.batches = 0

    def begin(self, *items: Item) -> Batch:
        """Enrich a batch."""
        self.batches += 1
        one = batch(self.batches, items)
        for at in one.ends:
            if not self.state.fencing[at].source_id:
                self.state.fencing.register(at, source_id(at))
        self.enrich(one)
        return one

    def finish(self, *items: Item) -> Batch:
        """Enrich a batch and write it."""
        one = self.begin(*items)
        self.state.write(one)
        return one

    def stored(self, *shops: str) -> Tables:
        """What the store holds."""
        found = MemoryStore.read(self.store, [list(shops), list(shops), ["all"]])
        return [
            {
                entity: state
                for (entity, _), state in zip(
                    pairs, StateCodec(view).unpack([p for _, p in pairs]), strict=True
                )
            }
            for view, pairs in zip(FEATURES.views, found, strict=True)
        ]


def order(at: Partition, offset: int, time: float = 10.0, **options: Any) -> Item:
    """A record that asks for a prediction and updates."""
    return item(at, offset, known_at=time, event=ordered(time, **options))


def rows(*batches: Batch) -> list[list[Any] | None]:
    """Rows of the batches' items, in order."""
    return [each.row for one in batches for each in one.items]


def alone(*items: Item) -> Tables:
    """The states that one engine reaches which takes the items in this order."""
    memory = InMemory()
    for each in items:
        entry = LoggedEvent(each.event, each.rank, each.offset)
        memory.take([entry])
    return memory.tables


def again(one: Item) -> Item:
    """The same record, read once more."""
    return item(one.record.partition, one.offset, known_at=one.record.known_at, event=one.event)


def test_a_batch_is_written_and_read_again() -> None:
    """The next batch reads what the one before it left in the store."""
    worker = Worker()
    first, second = order(P, 0, amount=4.0), order(P, 1, 11.0, amount=6.0)
    worker.finish(first)
    following = worker.finish(second)
    assert rows(following)[0][4 - 3] == 4.0  # type: ignore[index]
    assert worker.store.reads == [[{"north"}, {"north"}, {"all"}]] * 2
    assert_same_states(worker.stored("north"), alone(again(first), again(second)))


def test_overlapping_batches_read_unfinished_states_from_memory() -> None:
    """Three batches under way see each other's updates; the store is asked once for each key."""
    worker = Worker()
    items = [order(P, n, 10.0 + n, amount=n) for n in range(6)]
    under_way = [worker.begin(*items[at : at + 2]) for at in (0, 2, 4)]
    assert worker.store.reads == [[{"north"}, {"north"}, {"all"}]]
    for one in under_way:
        worker.state.write(one)
    memory = InMemory()
    expected = memory.take([LoggedEvent(each.event, each.rank, each.offset) for each in items])
    assert bits(rows(*under_way)) == bits(expected)
    assert_same_states(worker.stored("north"), memory.tables)
    assert worker.conflicts == []


def test_only_what_an_unfinished_batch_updates_is_taken_from_memory() -> None:
    """Everything else is read anew, also what an unfinished batch only read."""
    worker = Worker()
    worker.begin(order(P, 0, shop="north"))
    worker.begin(order(P, 1, shop="south"))
    assert worker.store.reads[1] == [{"south"}, {"south"}, set()]
    delivery = item(P, 2, known_at=12.0, event=delivered(12.0, "west"))
    worker.begin(delivery)
    assert worker.store.reads[2] == [set(), {"west"}, set()]


def test_finished_states_are_let_go_of() -> None:
    """Memory holds what is under way; another worker's updates are seen from then on."""
    store = Store()
    ours, theirs = Worker(store), Worker(store)
    ours.finish(order(P, 0, 10.0, amount=4.0))
    theirs.finish(order(Q, 0, 11.0, amount=6.0))
    seen = ours.finish(order(P, 1, 12.0))
    assert rows(seen)[0][3] == 6.0  # type: ignore[index]
    assert ours.conflicts == theirs.conflicts == []


def test_a_state_updated_by_two_batches_stays_until_the_last_is_finished() -> None:
    """The first one's end must not drop what the second one did."""
    worker = Worker()
    first, second = worker.begin(order(P, 0, 10.0)), worker.begin(order(P, 1, 11.0))
    worker.state.write(first)
    third = worker.begin(order(P, 2, 12.0))
    assert len(worker.store.reads) == 1
    for one in (second, third):
        worker.state.write(one)
    assert [row and row[0] for row in rows(third)] == [pytest.approx(2.0, rel=1e-2)]
    assert worker.conflicts == []


def test_a_conflict_merges_both_writers() -> None:
    """Whoever loses reapplies its own updates to the present states; no update is lost."""
    store = Store()
    ours, theirs = Worker(store), Worker(store)
    mine = [order(P, n, 10.0 + n, amount=n) for n in range(3)]
    others = [order(Q, n, 10.5 + n, amount=n) for n in range(3)]
    under_way = ours.begin(*mine)
    theirs.finish(*others)
    ours.state.write(under_way)
    assert ours.conflicts == [3]
    assert ours.state.conflicted.is_set()
    expected = alone(*map(again, mine), *map(again, others))
    assert_same_states(ours.stored("north"), expected)


def test_updates_of_records_that_were_not_published_survive_a_conflict() -> None:
    """Their partition was given away: the states without a conflict hold them, and the mark says so.

    Were they missing where there was a conflict, the next owner could not apply them: the fence is
    past them.
    """
    store = Store()
    ours, theirs = Worker(store), Worker(store)
    mine = [order(P, n, 10.0 + n, shop=shop) for n, shop in enumerate(["south", "north", "north"])]
    other = order(Q, 0, 10.5)
    under_way = ours.begin(*mine)
    theirs.finish(other)
    under_way.items = under_way.items[2:]  # as publishing does
    ours.state.write(under_way)
    expected = alone(*map(again, mine), again(other))
    assert_same_states(ours.stored("north", "south"), expected)
    assert all(marks[source_id(P)] == 2 for marks in store.marks())


def test_later_batches_under_way_survive_a_conflict() -> None:
    """They were computed without the other writer's updates, lose too, and are merged too."""
    store = Store()
    ours, theirs = Worker(store), Worker(store)
    mine = [order(P, n, 10.0 + n, amount=n) for n in range(3)]
    other = order(Q, 0, 10.5, amount=9.0)
    under_way = [ours.begin(each) for each in mine]
    theirs.finish(other)
    for one in under_way:
        ours.state.write(one)
    assert_same_states(ours.stored("north"), alone(*map(again, mine), again(other)))


def test_after_a_conflict_everything_is_forgotten_and_read_anew() -> None:
    """The next batch sees both writers' updates."""
    store = Store()
    ours, theirs = Worker(store), Worker(store)
    under_way = ours.begin(order(P, 0, 10.0, amount=1.0))
    theirs.finish(order(Q, 0, 11.0, amount=2.0))
    ours.state.write(under_way)
    ours.state.forget_all()
    assert not ours.state.conflicted.is_set()
    seen = ours.begin(order(P, 1, 11.0, amount=5.0))
    assert rows(seen)[0][3] == 2.0  # type: ignore[index]
    assert ours.engine.tables() == [{}, {}, {}]


def test_a_state_that_vanished_is_begun_anew() -> None:
    """Redis lost it while the batch was under way: the batch's own updates are kept."""
    worker = Worker()
    worker.finish(order(P, 0, 10.0))
    under_way = worker.begin(order(P, 1, 11.0))
    lose_states(worker.store)
    worker.state.write(under_way)
    (state,) = worker.stored("north")[0].values()
    assert (state.count, state.fences) == (1, {1: 1})


def test_a_state_that_comes_back_has_a_version_it_never_had() -> None:
    """Or a writer that still knows the old one would overwrite the new one."""
    worker = Worker()
    for offset in range(3):
        worker.finish(order(P, offset, 10.0 + offset))
    (before,) = worker.stored("north")[0].values()
    lose_states(worker.store)
    worker.state.forget_all()
    worker.finish(order(P, 3, 14.0))
    (after,) = worker.stored("north")[0].values()
    assert after.version != before.version


def test_a_state_that_a_late_previous_owner_wrote_is_marked_as_ahead() -> None:
    """Also where the record itself updates nothing of it: its row knows what came after it."""
    only_deliveries = replace(FEATURES.views[1], on={Delivered: FEATURES.views[1].on[Delivered]})
    features = replace(FEATURES, views=(only_deliveries,))
    store = Store(features)
    p = partition(0)
    owner, previous = Worker(store, features), Worker(store, features)
    owner.state.fencing.set_ahead_until(p, 5)  # the marks said -1 when it was assigned
    later = item(p, 3, known_at=10.0, event=delivered(10.0, rating=5.0))
    previous.finish(later)
    seen = owner.finish(order(p, 2, 11.0), order(p, 5, 12.0))
    assert [each.ahead for each in seen.items] == [True, False]


def test_a_record_that_was_applied_changes_nothing_and_is_marked() -> None:
    """Read again after a crash between state and commit."""
    store = Store()
    first, second = order(P, 0, 10.0, amount=4.0), order(P, 1, 11.0, amount=6.0)
    Worker(store).finish(first, second)
    restarted = Worker(store)
    one = restarted.finish(again(first), again(second))
    assert [each.ahead for each in one.items] == [True, True]
    assert one.writes == []
    assert_same_states(restarted.stored("north"), alone(again(first), again(second)))


def test_an_absent_store_is_waited_for() -> None:
    """Reading and writing; nothing is applied twice."""
    worker = Worker()
    worker.store.away = 2
    one = worker.begin(order(P, 0))
    worker.store.away = 3
    worker.state.write(one)
    (state,) = worker.stored("north")[0].values()
    assert state.count == 1
    assert worker.seconds == ["read", "write"]


def test_progress_is_marked_for_every_source_of_the_batch() -> None:
    """The last offset of each, also of records that failed or updated nothing."""
    worker = Worker()
    worker.finish(order(P, 4), order(Q, 7), failed(P, 5))
    assert worker.store.marks() == [{1: 5, 2: 7}] * 3


def test_registered_partitions_have_their_sources_number() -> None:
    """The same for every worker that shares the store."""
    store = Store()
    mine, theirs = [partition(0), partition(1)], [partition(1), partition(2)]
    one, other = Worker(store).state, Worker(store).state
    one.register(dict.fromkeys(mine, 0))
    other.register(dict.fromkeys(theirs, 0))
    ids = [one.fencing[at].source_id for at in mine] + [
        other.fencing[at].source_id for at in theirs
    ]
    assert ids[1] == ids[2]
    assert len({*ids}) == 3


def test_without_views_there_is_no_state() -> None:
    """No store is asked for anything."""
    worker = Worker(features=FeatureSet(row_features=FEATURES.row_features, triggers=(Ordered,)))
    worker.store.away = 99
    worker.state.register({P: 0})
    one = worker.finish(order(P, 0, amount=3.0))
    assert rows(one) == [[3.0, "north"]]
    assert worker.store.away == 99


# Enrich: what fails here.


def test_a_record_whose_features_fail_leaves_and_its_neighbours_do_not_notice() -> None:
    """The failure names the exception's type and nothing of the event."""
    broken = item(P, 1, known_at=11.0, event=Ordered.model_construct(event_id="x", event_time=11.0))
    del broken.event.__dict__["shop"]
    worker = Worker()
    first, third = order(P, 0, 10.0), order(P, 2, 12.0)
    one = worker.finish(first, broken, third)
    assert broken.failure is not None
    assert (broken.failure.stage, broken.failure.reason) == ("enrich", "feature-error")
    assert broken.failure.message.startswith(
        "the key of entity shop: AttributeError 'shop' in <lambda> ("
    )
    assert broken.failure.disposition == "bug"
    assert [each.failure is None for each in one.items] == [True, False, True]
    assert_same_states(worker.stored("north"), alone(again(first), again(third)))


@pytest.mark.parametrize("due", [1e6 + 1.0, -1.0, float("nan"), float("inf")])
def test_a_time_that_cannot_be_believed_enters_no_state(due: float) -> None:
    """Neither the one nor any other state of its record."""
    worker = Worker()
    bad = order(P, 0, 10.0, due=due)
    one = worker.finish(bad, order(P, 1, 11.0))
    assert bad.failure is not None
    believable = math.isfinite(due)  # a number that is none is the use case's mistake
    reason = "time-out-of-range" if believable else "invalid-update"
    assert (bad.failure.stage, bad.failure.reason) == ("enrich", reason)
    (state,) = worker.stored("north")[0].values()
    assert (state.count, state.fences) == (1, {1: 1})
    assert [each.row is not None and each.failure is None for each in one.items] == [False, True]


def test_a_failed_record_touches_nothing() -> None:
    """What left at decode has no event to enrich."""
    worker = Worker()
    one = worker.finish(failed(P, 0))
    assert one.writes == []
    assert worker.store.reads == []


def test_the_bytes_of_a_batch_are_made_once() -> None:
    """A batch tried again writes what it had computed: same states, same versions."""
    worker = Worker()
    one = worker.begin(order(P, 0))
    before = list(one.writes)
    worker.store.away = 1
    worker.state.write(one)
    assert one.writes == before
    worker.state.write(one)
    assert worker.conflicts == []


def test_a_replayed_record_whose_first_origin_updated_the_state_updates_nothing() -> None:
    """It is read and may be predicted; one that had not updated does so now."""
    worker = Worker()
    before, after = order(P, 0, amount=4.0), order(P, 1, 11.0, amount=6.0)
    before.applied_before = True
    worker.finish(before)
    assert worker.stored("north") == [{}, {}, {}]
    worker.finish(after)
    (state,) = worker.stored("north")[0].values()
    assert state.count == 1


@pytest.mark.parametrize("stage", ["score", "publish"])
def test_an_update_of_a_dead_letter_that_says_applied_survives_a_conflict(stage: str) -> None:
    """No model could score it, or the brokers refuse its prediction: the state has it all the same,
    on what another writer left too."""
    worker = Worker()
    worker.finish(order(P, 0, amount=4.0))
    other = Worker(worker.store)
    dead = order(P, 1, 11.0, amount=6.0)
    one = worker.begin(dead)
    dead.failure = Failure(stage, "refused", "the prediction cannot be had")
    other.finish(order(Q, 0, 12.0, amount=8.0))
    worker.state.write(one)
    assert worker.conflicts
    assert worker.stored("north")[0]["north"].count == 3


def test_fences_that_guard_nothing_any_more_are_dropped() -> None:
    """Of a state that very many partitions updated: those below the start of their logs."""
    worker = Worker()
    many = [partition(number) for number in range(20)]
    worker.state.register({at: 5 if at.number < 12 else 0 for at in many})
    for at in many:
        worker.finish(order(at, 1, 10.0 + at.number))
    state = worker.stored("north")[0]["north"]
    assert state.count == 20
    assert len(state.fences) <= 16
    assert {worker.state.fencing[at].source_id for at in many[12:]} <= state.fences.keys()


def test_a_batch_knows_the_marks_it_was_made_from_when_its_partition_is_given_away() -> None:
    """A worker that lost the partition must not hide from the next that Redis lost something."""
    worker = Worker()
    worker.state.register({P: 0})
    worker.finish(order(P, 0))
    worker.state.expect(P, 0)
    one = worker.begin(order(P, 1, 11.0))
    worker.state.expect_nothing([P])
    lose_marks(worker.store)
    with pytest.raises(StateLostError):
        worker.state.write(one)


def test_a_record_isolated_before_it_was_an_event_is_no_part_of_a_conflict() -> None:
    """It has a stage and no event."""
    worker = Worker()
    isolated = failed(P, 1, stage="score")
    isolated.event = None  # type: ignore[assignment]
    one = worker.begin(order(P, 0), isolated)
    Worker(worker.store).finish(order(Q, 0))
    worker.state.write(one)
    assert worker.stored("north")[0]["north"].count == 2
