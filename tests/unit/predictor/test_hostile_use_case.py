"""What a use case's own code may do wrong while a batch is worked on: one record's failure each."""

import gc
import math
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stream_app.features.kinds import DecayedSums, OpenItems, Values
from stream_app.features.views import Column, Entity, FeatureSet, RowFeature, View
from stream_app.predictor.enrich import HalfAppliedError
from stream_app.records.batch import Batch
from stream_app.records.item import Item
from tests.unit.builders import partition
from tests.unit.features.builders import Ordered
from tests.unit.state.test_stage import Worker, order

P = partition(0)
Q = partition(1)
SUMS = DecayedSums(3600.0, ("amount",))


class Touchy(DecayedSums):
    """Takes an amount of 13 in by half, and then raises."""

    @property
    def apply(self) -> Any:  # type: ignore[override]
        """Raise after the state was changed."""
        plain = DecayedSums(self.half_life_seconds, self.sums).apply

        def apply(state: Values, update: Any, rank: int, offset: int) -> None:
            plain(state, update, rank, offset)
            if update[1] == 13.0:
                raise ZeroDivisionError("13")

        return apply


def features(
    *,
    key: Callable[[Any], Any] = lambda e: e.shop,
    update: Callable[[Any], Any] = lambda e: (e.event_time, e.amount),
    read: Any = None,
    state: Any = SUMS,
) -> FeatureSet:
    """Two views: a sound one that is updated first, and one of the parts given."""
    sound = View(
        name="sound",
        entity=Entity("shop", lambda e: "all"),
        state=SUMS,
        on={Ordered: lambda e: (e.event_time, 1.0)},
        columns=(Column("orders", SUMS.count(), "", "Orders lately."),),
    )
    doubtful = View(
        name="doubtful",
        entity=Entity("doubtful", key),
        state=state,
        on={Ordered: update},
        columns=(Column("mean", read or (lambda v, at: 0.0 if v is None else v[1]), "", "Mean."),),
    )
    return FeatureSet(
        views=(sound, doubtful),
        row_features=(RowFeature("amount", lambda e: e.amount, "", "Amount."),),
        triggers=(Ordered,),
    )


def enriched(worker: Worker, *items: Item) -> Batch:
    """A batch as the pipeline takes it through: again, where states were half updated."""
    try:
        return worker.finish(*items)
    except HalfAppliedError:
        worker.state.forget_all()
        return worker.finish(*items)


def stored(worker: Worker, view: int, entity: str) -> Any:
    """A state in the store."""
    wanted: list[set[str]] = [set(), set()]
    wanted[view].add(entity)
    ((_, packed),) = worker.store.read(wanted)[view]
    return worker.state._codecs[view].unpack([packed])[0]


def raising(event: Any) -> Any:
    """Raise for an amount of 13."""
    if event.amount == 13.0:
        raise LookupError(event.shop)
    return event.event_time, event.amount


def reading(state: Any, at: float) -> float:
    """Raise at the second 11."""
    if at == 11.0:
        raise ZeroDivisionError("11")
    return 0.0


CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "key-float": ({"key": lambda e: 7.0 if e.amount == 13.0 else "n"}, "invalid-key", "entity doubtful"),
    "key-bytes": ({"key": lambda e: b"n" if e.amount == 13.0 else "n"}, "invalid-key", "bytes"),
    "key-list": ({"key": lambda e: ["n"] if e.amount == 13.0 else "n"}, "invalid-key", "list"),
    "key-surrogate": (
        {"key": lambda e: "\ud800" if e.amount == 13.0 else "n"}, "invalid-key", "surrogate",
    ),
    "key-huge": ({"key": lambda e: "n" * int(e.amount) ** 4}, "invalid-key", "28561 characters"),
    "update-raises": ({"update": raising}, "feature-error", "LookupError in raising"),
    "update-text": (
        {"update": lambda e: (e.event_time, "13" if e.amount == 13.0 else 1.0)},
        "invalid-update", "view doubtful",
    ),
    "update-no-tuple": (
        {"update": lambda e: 13 if e.amount == 13.0 else (e.event_time, 1.0)},
        "invalid-update", "view doubtful",
    ),
    "update-exits": (
        {"update": lambda e: sys.exit(1) if e.amount == 13.0 else (e.event_time, e.amount)},
        "feature-error", "SystemExit in <lambda>",
    ),
    "update-array": (
        {"update": lambda e: (e.event_time, np.array([1.0]) if e.amount == 13.0 else 1.0)},
        "invalid-update", "an update holds an array",
    ),
    "read": ({"read": reading}, "column-error", "column mean: ZeroDivisionError in reading"),
    "apply": (
        {"state": Touchy(3600.0, ("amount",))},
        "apply-error", "the update of view doubtful: ZeroDivisionError in apply",
    ),
    "count": (
        {"state": OpenItems(600.0), "update": lambda e: (e.event_time, 13 if e.amount < 13 else 2**40)},
        "state-overflow", "the update of view doubtful: the state does not fit",
    ),
    "fraction": (
        {"state": OpenItems(600.0), "update": lambda e: (e.event_time, 1 if e.amount < 13 else 0.5)},
        "state-overflow", "the update of view doubtful: the state does not fit",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_costs_its_own_record_and_leaves_no_trace_in_a_state(name: str) -> None:
    """The neighbours are read and applied as if it had not been there, in this batch and the next."""
    parts, reason, told = CASES[name]
    worker = Worker(features=features(**parts))
    bad = order(P, 1, 11.0, amount=13.0)
    first = enriched(worker, order(P, 0, 10.0, amount=2.0), bad, order(P, 2, 12.0, amount=3.0))
    second = enriched(worker, order(P, 3, 13.0, amount=4.0))
    assert bad.failure is not None
    assert (bad.failure.stage, bad.failure.reason) == ("enrich", reason)
    assert bad.failure.disposition == "bug"
    assert told in bad.failure.message
    assert [each.failure for each in (*first.items[::2], *second.items)] == [None] * 3

    plain = Worker(features=features(**parts))
    plain.finish(order(P, 0, 10.0, amount=2.0))
    plain.finish(order(P, 2, 12.0, amount=3.0))
    plain.finish(order(P, 3, 13.0, amount=4.0))
    entity = "n" if parts.get("key") else "north"
    for view, key in ((0, "all"), (1, entity if name != "key-huge" else "n" * 81)):
        found, expected = stored(worker, view, key), stored(plain, view, key)
        assert (found.count, found.digest, found.newest) == (
            expected.count, expected.digest, expected.newest,
        )  # fmt: skip
        assert found.values == pytest.approx(expected.values, rel=1e-12)
        assert found.fences == expected.fences


def test_two_numbers_whose_sum_is_not_finite_are_each_valid() -> None:
    """A check must not depend on what stands beside a record."""
    worker = Worker(features=features())
    one = worker.finish(
        order(P, 0, 10.0, shop="a", amount=1.5e308), order(P, 1, 11.0, shop="b", amount=1.5e308)
    )
    assert [each.failure for each in one.items] == [None, None]


@pytest.mark.parametrize(
    ("state", "of"),
    [(SUMS, lambda value: np.float32(value / 3)), (OpenItems(600.0), lambda _: np.int8(1))],
)
def test_numbers_of_numpy_count_as_pythons_do(state: Any, of: Callable[[float], Any]) -> None:
    """A sum in memory would take on their width: single precision, or eight bits that run over."""
    found = []
    for make in (of, lambda value: of(value).item()):
        worker = Worker(
            features=features(
                state=state, update=lambda e, make=make: (e.event_time, make(e.amount))
            )
        )
        one = worker.finish(*[order(P, n, 10.0, amount=float(n)) for n in range(200)])
        assert {each.failure for each in one.items} == {None}
        found.append(stored(worker, 1, "north").values)
    assert found[0] == found[1]


def test_ctrl_c_is_no_records_fault() -> None:
    """On the main thread it is a person's; elsewhere only the code itself can have raised it."""

    def interrupted(_: Any) -> Any:
        raise KeyboardInterrupt

    worker = Worker(features=features(update=interrupted))
    one = order(P, 0, 10.0)
    with pytest.raises(KeyboardInterrupt):
        worker.finish(one)
    thread = threading.Thread(target=lambda: worker.finish(one))
    thread.start()
    thread.join()
    assert one.failure is not None
    assert "KeyboardInterrupt in interrupted" in one.failure.message


def test_an_update_that_makes_a_sum_infinite_is_refused() -> None:
    """The sum would stay infinite for ever; what was in it before stays."""
    worker = Worker(features=features())
    first, second = order(P, 0, 10.0, amount=1.5e308), order(P, 1, 11.0, amount=1.5e308)
    enriched(worker, first, second)
    assert first.failure is None
    assert second.failure is not None
    assert second.failure.reason == "state-overflow"
    assert stored(worker, 1, "north").values[2] == 1.5e308


def test_a_function_that_raises_now_and_then_does_not_get_past() -> None:
    """What it gave for a record alone is what counts: it is not asked again."""
    calls: list[int] = []

    def moody(event: Any) -> Any:
        calls.append(1)
        if len(calls) % 3 == 0:
            raise RuntimeError("now and then")
        return event.event_time, event.amount

    worker = Worker(features=features(update=moody))
    one = enriched(worker, *[order(P, n, 10.0 + n) for n in range(6)])
    for each in one.items:
        assert (each.row is None) == (each.failure is not None)


def test_a_column_that_changes_the_state_it_reads_is_undone_with_its_record() -> None:
    """Reading changes nothing; of a function that does, nothing is left."""

    def spoiling(state: Any, at: float) -> float:
        if state is not None and at == 11.0:
            state[1] = math.inf
            raise ZeroDivisionError
        return 0.0

    worker = Worker(features=features(read=spoiling))
    enriched(
        worker, order(P, 0, 10.0, amount=1.0), order(P, 1, 11.0), order(P, 2, 12.0, amount=1.0)
    )
    state = stored(worker, 1, "north")
    assert state.count == 2
    assert math.isfinite(state.values[1])


def test_after_a_failure_records_are_taken_in_one_by_one_for_a_while() -> None:
    """The next one that fails half way costs no second attempt at its batch."""
    worker = Worker(features=features(**CASES["apply"][0]))
    enriched(worker, order(P, 0, 10.0, amount=13.0))
    again = order(P, 1, 11.0, amount=13.0)
    worker.finish(again, order(P, 2, 12.0, amount=1.0))  # raises nothing
    assert again.failure is not None


def test_an_update_that_fails_on_what_another_worker_left_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What came of it is published, so nothing but the log can tell; the others are applied."""
    worker = Worker(features=features())
    enriched(worker, order(P, 0, 10.0, amount=1.0))
    other = Worker(worker.store, features())
    one = worker.begin(order(P, 1, 11.0, amount=1.5e308), order(P, 2, 12.0, amount=5.0))
    other.finish(order(Q, 0, 11.0, amount=1.5e308))
    worker.state.write(one)
    assert "cannot take this record's update" in caplog.text
    state = stored(worker, 1, "north")
    assert state.count == 3
    assert math.isfinite(state.values[2])


@pytest.mark.parametrize("name", ["key-float", "update-raises", "read", "apply", "count"])
def test_a_failed_record_is_let_go_of_with_its_batch(name: str) -> None:
    """The traceback of what was raised must not keep a batch of megabytes alive."""
    worker = Worker(features=features(**CASES[name][0]))
    items = [order(P, 0, 10.0, amount=2.0), order(P, 1, 11.0, amount=13.0)]
    kept = weakref.ref(items[0].event)
    gc.collect()
    gc.disable()
    try:
        enriched(worker, *items)
        worker.state.forget_all()
        assert items[1].failure is not None
        del items
        assert kept() is None
    finally:
        gc.enable()


def test_a_time_that_is_refused_names_field_and_bound_and_not_the_time() -> None:
    """And the stage that refused it."""
    worker = Worker(features=features(update=lambda e: (e.due, e.amount)))
    bad = order(P, 0, 10.0, due=4e9)
    worker.finish(bad)
    assert bad.failure is not None
    assert bad.failure.stage == "enrich"
    assert bad.failure.field == "the update of view doubtful"
    assert bad.failure.message == (
        "field the update of view doubtful: the time is after 1970-01-12T13:46:40+00:00, the latest that "
        "is believed"
    )
