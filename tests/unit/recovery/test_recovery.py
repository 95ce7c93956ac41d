"""Stage recovery: what the marks say decides whether records are scored, wait, or are applied again.

The rebuilding itself reads a log; here it is told by hand how far it is. With a real log it is
tested in tests/integration/test_rebuild.py.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from stream_app.errors import FatalError, StoppingError
from stream_app.features.engine.engine import FeatureEngine
from stream_app.features.stores import MemoryStore, Progress, StateLostError
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.observer.events import PartitionsRebuilding, WaitingEnded
from stream_app.observer.observer import Observer, on
from stream_app.records.partition import Partition
from stream_app.records.start_position import StartPosition
from stream_app.recovery.recovery import Recovery
from stream_app.state.stage import StateStage
from stream_app.waiting.retry import Retry
from tests.unit.builders import begins, partition
from tests.unit.features.builders import FEATURES
from tests.unit.stores import lose_everything


class LogReplay:
    """Arrives when a test says so, a step a wait."""

    def __init__(self) -> None:
        self.goals: dict[Partition, list[int]] = {}
        self.begun: list[tuple[Partition, int, int, int]] = []
        self.steps: list[int] = []
        self.on_wait = lambda: None

    def begin(
        self,
        at: Partition,
        start: int,
        target: int,
        *,
        source_id: int,
        applied: int,
        failed_starts: int,
    ) -> None:
        """Take note."""
        self.goals[at] = [start, target]
        self.begun.append((at, start, target, applied))

    def extend(self, at: Partition, target: int) -> None:
        """Follow."""
        if at in self.goals:
            self.goals[at][1] = max(self.goals[at][1], target)

    def end(self, partitions: Sequence[Partition]) -> None:
        """Forget."""
        for at in partitions:
            self.goals.pop(at, None)

    def remaining(self, partitions: Iterable[Partition]) -> int:
        """What is left."""
        return sum(self.goals[p][1] - self.goals[p][0] for p in partitions if p in self.goals)

    def wait(self, _seconds: float) -> None:
        """Be a step further."""
        self.on_wait()
        if self.steps:
            step = self.steps.pop(0)
            for goal in self.goals.values():
                goal[0] = min(goal[1], goal[0] + step)

    def step(self) -> bool:
        """End the thread that calls: the steps are taken by hand."""
        raise StoppingError("no thread")


IN_HAND = 50
"""Records that a previous owner may still write."""


class Context:
    """A worker's recovery over a store in memory."""

    def __init__(self, mode: str = "wait") -> None:
        self.store = MemoryStore(FEATURES)
        self.tracker = OffsetTracker()
        self.tracker.confirm = self.confirmed.extend  # type: ignore[attr-defined,method-assign]
        self.rebuild = LogReplay()
        self.crashes: list[BaseException] = []
        self.told: list[int] = []
        self.given_up: list[bool] = []
        observer = Observer(
            [
                on(PartitionsRebuilding, lambda it: self.told.append(it.partitions)),
                on(WaitingEnded, lambda it: self.given_up.append(it.is_given_up)),
            ]
        )
        self.state = StateStage(
            FeatureEngine(FEATURES),
            self.store,
            Retry(initial_seconds=0.0, max_seconds=0.0, observer=Observer()),
            Observer(),
        )
        self.recovery = Recovery(
            self.state,
            self.tracker,
            self.tracker.settle,
            self.rebuild,  # type: ignore[arg-type]
            mode=mode,  # type: ignore[arg-type]
            in_hand_records=IN_HAND,
            observer=observer,
            on_crash=self.crashes.append,
        )

    def take(self, *partitions: Partition, offset: int = 100, **known: Any) -> None:
        """Partitions are assigned and read from an offset that a worker committed."""
        self.begin(*(begins(each, offset, **known) for each in partitions))

    def begin(self, *starts: StartPosition) -> None:
        """Partitions are assigned."""
        for start in starts:
            self.tracker.begin(start)
        self.recovery.assigned(starts)

    @property
    def rebuilding(self) -> frozenset[Partition]:
        """Partitions whose state is being rebuilt."""
        return self.recovery.rebuilding

    @property
    def confirmed(self) -> list[StartPosition]:
        """Starts that were committed before anything of their partitions was taken."""
        return self.__dict__.setdefault("_confirmed", [])

    def mark(self, at: Partition, through: int) -> None:
        """The store holds a partition's records through an offset."""
        assert at.source is not None
        (source,) = self.store.register([at.source])
        self.store.write([], [Progress(source, -1, through)])


def test_a_state_that_is_where_its_partition_begins_is_used_at_once() -> None:
    """Nothing is rebuilt."""
    context, p = Context(), partition()
    context.mark(p, 99)
    context.take(p)
    context.recovery.ready()
    assert (context.rebuilding, context.rebuild.begun) == (set(), [])


def test_what_a_previous_owner_may_still_write_is_looked_for() -> None:
    """Its marks were read before it wrote: records within its reach are looked up in what they read.

    A partition that nobody had is not: to look costs time.
    """
    context, p, new, behind = Context(), partition(), partition(1), partition(2)
    context.mark(p, 119)
    context.begin(begins(p, 100), begins(new, 0, committed_by="nobody"), begins(behind, 100))
    assert [context.state.fencing[each].ahead_until for each in (p, new, behind)] == [
        120 + IN_HAND,
        0,
        100 + IN_HAND,
    ]


def test_markers_before_the_offset_a_partition_begins_at_are_not_missed() -> None:
    """The state holds every record; a lost one before them is missed all the same."""
    context, p, q = Context(), partition(), partition(1)
    context.mark(p, 96)
    context.mark(q, 95)
    context.take(p, q, control_records=3)
    assert context.rebuild.begun == [(q, 96, 97, 95)]


def test_a_state_that_is_behind_is_rebuilt_from_its_mark() -> None:
    """Up to where the partition begins; until then records wait."""
    context, p = Context(), partition()
    context.mark(p, 39)
    context.take(p)
    assert context.rebuilding == {p}
    assert context.rebuild.begun == [(p, 40, 100, 39)]
    context.rebuild.steps = [30, 20, 10]
    context.recovery.ready()
    assert context.rebuild.steps == []
    assert context.rebuilding == set()
    assert context.told == [1, 0]


def test_an_empty_store_is_filled_from_the_first_record_there_is() -> None:
    """What retention has removed cannot be applied again."""
    context, p = Context(), partition()
    context.take(p, log_start=60)
    assert context.rebuild.begun == [(p, 60, 100, -1)]


def test_a_partition_read_from_its_first_record_has_nothing_to_rebuild() -> None:
    """Whatever retention has removed before."""
    context, p = Context(), partition()
    context.take(p, offset=60, log_start=60)
    assert context.rebuilding == set()


def test_a_fallback_serves_while_the_rebuilding_is_far_behind() -> None:
    """And the last bit is waited for: chased for ever, it might never arrive."""
    context, p = Context("fallback"), partition()
    context.take(p, offset=10_000)
    context.recovery.ready()
    assert context.rebuilding == {p}
    context.recovery.admitted({p: 10_000})
    context.rebuild.goals[p][0] = 9_500
    context.rebuild.steps = [400, 400]
    context.recovery.ready()
    assert context.rebuild.begun[0][2] == 10_000
    assert context.rebuilding == set()


def test_the_rebuilding_follows_what_is_served_meanwhile() -> None:
    """Records that a fallback answered for update the state all the same."""
    context, p = Context("fallback"), partition()
    context.take(p, offset=10_000)
    context.recovery.admitted({p: 10_007})
    context.recovery.ready()
    assert context.rebuild.goals[p] == [0, 10_008]


def test_what_is_lost_while_running_is_looked_for_in_all_partitions() -> None:
    """FLUSHALL takes the marks of quiet partitions as well."""
    context, p, q = Context(), partition(), partition(1)
    context.mark(p, 99)
    context.mark(q, 99)
    context.take(p, q)
    lose_everything(context.store)
    context.rebuild.steps = [100]
    context.recovery.lost(StateLostError("a mark is gone"))
    context.recovery.ready()
    assert [(at, start) for at, start, *_ in context.rebuild.begun] == [(p, 0), (q, 0)]
    assert context.rebuilding == set()


def test_records_wait_to_the_end_when_the_store_loses_more_meanwhile() -> None:
    """The rebuilding begins again, and nobody is scored in between."""
    context, p = Context(), partition()
    context.take(p)
    losses = iter([StateLostError("again")])

    def lose() -> None:
        for error in losses:
            context.recovery.lost(error)

    context.rebuild.on_wait = lose
    context.rebuild.steps = [50, 100]
    context.recovery.ready()
    assert len(context.rebuild.begun) == 2
    assert context.rebuilding == set()


def test_a_partition_given_away_is_no_longer_waited_for() -> None:
    """Its next owner goes on from the mark."""
    context, p = Context(), partition()
    context.take(p)
    context.rebuild.on_wait = lambda: context.tracker.revoke([p])
    context.recovery.ready()
    assert context.rebuilding == set()
    assert context.rebuild.goals == {}


def test_a_stop_ends_the_wait() -> None:
    """What was not rebuilt is at the next start."""
    context, p = Context(), partition()
    context.take(p)
    context.recovery.stop()
    with pytest.raises(StoppingError):
        context.recovery.ready()


def test_a_rebuilding_that_a_stop_cuts_short_is_given_up() -> None:
    """The log must not say that the state is back; where it is rebuilt, it says so."""
    context, p = Context(), partition()
    context.take(p)
    context.rebuild.on_wait = context.recovery.stop
    with pytest.raises(StoppingError):
        context.recovery.ready()
    assert context.given_up == [True]
    context, p = Context(), partition()
    context.take(p)
    context.rebuild.steps = [1_000_000]
    context.recovery.ready()
    assert context.given_up == [False]


@pytest.mark.parametrize("committed_by", ["other", "nobody"])
def test_old_records_are_not_scored_on_a_state_that_knows_what_came_after(
    committed_by: str,
) -> None:
    """Offsets set back by hand, or deleted: refused, and nothing is committed for them."""
    context, p = Context(), partition()
    context.mark(p, 99)
    with pytest.raises(FatalError, match=r"from offset 10, .* holds its records through 99"):
        context.take(p, offset=10, committed_by=committed_by)
    assert context.confirmed == []


def test_a_crash_leaves_the_state_ahead_and_is_no_mistake() -> None:
    """Offsets that a worker committed are gone on from."""
    context, p = Context(), partition()
    context.mark(p, 99)
    context.take(p, offset=10)
    assert context.rebuilding == set()


def test_where_a_group_begins_is_committed_before_its_records_are_taken() -> None:
    """Should the process die at once, its successor must know that it was here."""
    context, new, old = Context(), partition(), partition(1)
    start = begins(new, 0, committed_by="nobody")
    context.mark(old, 99)
    context.begin(start, begins(old, 100))
    assert context.confirmed == [start]
