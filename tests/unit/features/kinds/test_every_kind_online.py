"""Every kind of state in a feature set: online columns are the offline ones."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stream_app.features.engine.order import rank
from stream_app.features.engine.replay import LoggedEvent
from stream_app.features.events import Event
from stream_app.features.views import Column, Entity, FeatureSet, View
from tests.unit.features.builders import InMemory, Stored, bits, contents, cut, examples, sizes
from tests.unit.features.kinds.every import CASES, Case


class Happened(Event):
    """Carries an update of each kind as it is."""

    updates: Any
    who: Any


def _view(number: int, case: Case) -> View:
    name = case.kind.describe()["kind"]
    return View(
        name=name,
        entity=Entity("who", lambda event: event.who),
        state=case.kind,
        on={Happened: lambda event: event.updates[number]},
        columns=tuple(Column(f"{name}_{at}", read, "", "") for at, read in enumerate(case.reads)),
    )


FEATURES = FeatureSet(views=tuple(map(_view, range(len(CASES)), CASES)), triggers=(Happened,))

_events = st.builds(
    lambda time, who, updates: Happened.model_construct(
        event_id="e", event_time=time, who=who, updates=updates
    ),
    st.integers(0, 200).map(float),
    st.sampled_from([7, "8", None]),
    st.tuples(*(st.none() | case.updates for case in CASES)),
)
_logs = st.lists(st.tuples(_events, st.integers(0, 2)), max_size=12).map(
    lambda drawn: [
        LoggedEvent(event, rank(0, partition), offset)
        for offset, (event, partition) in enumerate(drawn)
    ]
)


@examples
@given(_logs, sizes())
def test_columns_are_the_same_in_memory_and_by_way_of_a_store(
    log: Sequence[LoggedEvent], by: list[int]
) -> None:
    """Whatever the batches are, and where every state is packed and unpacked between them."""
    assert bits(Stored(features=FEATURES).take(log, by)) == bits(InMemory(FEATURES).take(log))


@examples
@given(_logs, sizes())
def test_what_is_read_again_by_way_of_a_store_changes_nothing(
    log: Sequence[LoggedEvent], by: list[int]
) -> None:
    """The states are the same, bit for bit."""
    stored = Stored(features=FEATURES)
    stored.take(log, by)
    wanted = stored.engine.gather([arrival for batch in cut(log, (100,)) for arrival in batch])
    before = contents(stored.states(wanted))
    stored.take(log, (3,))
    assert bits(contents(stored.states(wanted))) == bits(before)
