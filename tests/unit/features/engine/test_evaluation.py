"""Keys and updates of a declaration: what is taken, what is refused, and whom it is blamed on."""

from typing import Any

import pytest

from stream_app.audit.updates import Updates
from stream_app.features.engine.arrival import Arrival
from stream_app.features.engine.engine import FeatureEngine
from stream_app.features.events import Event
from stream_app.features.kinds import DecayedSums, LastText, State
from stream_app.features.usecase import TimeBounds
from stream_app.features.views import Entity, FeatureSet, View


class Paid(Event):
    """Asks for a prediction."""

    card: Any = None
    country: str = ""


def paid(card: Any = 7, country: str = "") -> Paid:
    """A payment, made without validation."""
    return Paid.model_construct(event_id="p", event_time=1.0, card=card, country=country)


CARD = Entity("card", lambda event: event.card)


def view(name: str, state: State, update: Any = lambda event: (event.event_time,)) -> View:
    """A view of the card."""
    return View(name=name, entity=CARD, state=state, on={Paid: update}, columns=())


def arrivals(*events: Event) -> list[Arrival]:
    """Events on their way through an engine."""
    return [Arrival(event, 1, 0, offset) for offset, event in enumerate(events)]


COUNTS = FeatureSet(views=(view("counts", DecayedSums(60.0)),), triggers=(Paid,))


@pytest.mark.parametrize(
    "others", [(), (True,)], ids=["in a batch", "record by record, because one is wrong"]
)
def test_an_integer_is_the_same_key_as_its_text(others: tuple[Any, ...]) -> None:
    """Stores keep text; what asks for no entity asks for none still."""
    engine = FeatureEngine(COUNTS)
    taken = arrivals(*map(paid, (7, "7", -8, None, 2**70, *others)))
    assert engine.gather(taken) == [{"7", "-8", str(2**70)}]
    tables = engine.tables()
    engine.advance(taken, tables)
    assert {key: state.count for key, state in tables[0].items()} == {
        "7": 2, "-8": 1, str(2**70): 1
    }  # fmt: skip
    assert [arrival.keys for arrival in taken[:4]] == [("7",), ("7",), ("-8",), (None,)]


@pytest.mark.parametrize(
    ("card", "why"),
    [
        (True, "it is of type bool, and has to be a str, an int or None"),
        (7.0, "it is of type float"),
        (10**4_200, "it has 4201 characters, at most 4096 are kept"),
        (10**5_000, "it has more than 4096 digits"),
    ],
    ids=["bool", "float", "long", "longer"],
)
def test_what_is_no_key_costs_its_own_record(card: Any, why: str) -> None:
    """And no other; a float would be another key after every rounding."""
    engine = FeatureEngine(COUNTS)
    wrong, right = arrivals(paid(card), paid(7))
    assert engine.gather([wrong, right]) == [{"7"}]
    assert right.error is None
    assert wrong.error is not None
    assert wrong.error.reason == "invalid-key"
    assert why in str(wrong.error)


def test_an_audit_reads_integers_as_the_worker_does() -> None:
    """The states that it looks for are under the text."""
    times = TimeBounds(earliest=0.0, latest=8e9)
    (update,) = Updates(COUNTS, times)(paid(7), 0.0)
    assert update.entity == "7"


def test_views_that_share_a_function_check_what_it_gives_for_their_own_kind() -> None:
    """Two kinds may be equally wide, and one of them take what the other refuses."""

    def country(event: Paid) -> tuple[float, str]:
        return event.event_time, event.country

    features = FeatureSet(
        views=(
            view("long", LastText(("country",), max_bytes=8), country),
            view("short", LastText(("country",), max_bytes=2), country),
        ),
        triggers=(Paid,),
    )
    (arrival,) = arrivals(paid(7, "Chile"))
    FeatureEngine(features).gather([arrival])
    assert arrival.error is not None
    assert "the update of view short: country has 5 bytes in UTF-8, and 2 are kept" in str(
        arrival.error
    )
