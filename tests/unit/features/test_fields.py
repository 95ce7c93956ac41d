"""Fields that a declaration names: they are what functions of the same meaning are, and are checked."""

import math
import random
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Annotated, Any, Literal, NewType
from uuid import UUID

import pytest
from pydantic import Field

from stream_app.features.engine.arrival import Arrival
from stream_app.features.engine.engine import FeatureEngine, Tables
from stream_app.features.events import EpochSeconds, Event, LogRecord, from_timestamp
from stream_app.features.events.event import complete
from stream_app.features.fields import FieldOf, UpdateOf
from stream_app.features.fingerprint.differences import differences
from stream_app.features.kinds import (
    DecayedMoments,
    DecayedShare,
    DecayedSums,
    Distinct,
    Extremes,
    LastText,
    LastValue,
    State,
    Windows,
)
from stream_app.features.usecase import InputTopic, Outcome, Prediction, UseCase
from stream_app.features.views import Column, Derived, Entity, FeatureSet, RowFeature, View

Number = NewType("Number", int)


class Paid(Event, id_from="number", time_from="created"):
    """Asks for a prediction; id and time are its own fields."""

    number: int
    created: EpochSeconds
    card: int
    merchant: Annotated[str, Field(min_length=1)] | None
    country: Literal["DE", "FR"]
    amount: Annotated[float, Field(gt=0.0)]
    tip: float | None = None
    items: Number = Number(1)
    is_online: bool = False
    key: UUID | None = None
    anything: Any = None

    @property
    def net(self) -> float:
        """No field."""
        return self.amount / 1.19


class LoggedIn(Event, time_from=from_timestamp()):
    """Only updates; its time is the record's."""

    card: int | None
    tries: int


def paid(number: int, at: float, **fields: Any) -> Paid:
    """A payment."""
    given = {"card": 1, "merchant": "m", "country": "DE", "amount": 2.0, **fields}
    return Paid(number=number, created=at, **given)


def view(on: Any, state: State | None = None, entity: str = "card") -> View:
    """A view without columns."""
    return View("v", entity, state or DecayedSums(60.0, ("amount",)), on, ())


# --- They are what functions are.

SPEND = DecayedMoments(60.0, ("amount",))
TIPS = LastValue(("amount", "tip"))
FIELDS = FeatureSet(
    View("spend", "card", SPEND, Paid, lambda s: Column("mean", s.mean("amount"), "", "")),
    View("tips", "merchant", TIPS, Paid, lambda s: Column("tip", s.value("tip"), "", "")),
    View("logins", "card", DecayedSums(60.0), LoggedIn, lambda s: Column("n", s.count(), "", "")),
    View(
        "ids", "card", Distinct(60.0), {Paid: "event_id"}, lambda s: Column("i", s.count(), "", "")
    ),
    View("share", "card", DecayedShare(60.0), {LoggedIn: ("tries", "tries")}, ()),
    RowFeature("amount", "amount", "", ""),
    RowFeature("country", "country", "", ""),
    RowFeature("tipped", "tip", "", ""),
    triggers=Paid,
)
_CARD = Entity("card", lambda e: e.card)
_MERCHANT = Entity("merchant", lambda e: e.merchant)
_FUNCTIONS: dict[str, tuple[Entity, dict[type[Event], Any]]] = {
    "spend": (_CARD, {Paid: lambda e: (e.event_time, e.amount)}),
    "tips": (_MERCHANT, {Paid: lambda e: (e.event_time, e.amount, e.tip)}),
    "logins": (_CARD, {LoggedIn: lambda e: (e.event_time,)}),
    "ids": (_CARD, {Paid: lambda e: (e.event_time, e.event_id)}),
    "share": (_CARD, {LoggedIn: lambda e: (e.event_time, e.tries, e.tries)}),
}
FUNCTIONS = FeatureSet(
    *(replace(v, entity=_FUNCTIONS[v.name][0], on=_FUNCTIONS[v.name][1]) for v in FIELDS.views),
    RowFeature("amount", lambda e: e.amount, "", ""),
    RowFeature("country", lambda e: e.country, "", "", "string"),
    RowFeature("tipped", lambda e: e.tip, "", ""),
    triggers=(Paid,),
)


def log(count: int) -> list[Event]:
    """Events of both types; some fields are None, and one event in ten comes late."""
    rng = random.Random(7)
    made: list[Event] = []
    for number in range(count):
        at = 1_000.0 + number - 50.0 * (rng.random() < 0.1)
        if rng.random() < 0.3:
            login = LoggedIn(event_id="l", card=rng.choice([None, 0, 1, 2]), tries=rng.randrange(3))
            complete(login, LogRecord(b"", timestamp=at))
            made.append(login)
        else:
            made.append(
                paid(
                    number, at, card=rng.randrange(3), merchant=rng.choice(["m", "n", None]),
                    amount=rng.lognormvariate(0, 2), tip=rng.choice([None, rng.random()]),
                )
            )  # fmt: skip
    return made


def run(features: FeatureSet, events: list[Event], *, in_python: bool) -> Any:
    """Every row and every state, as text that shows each bit."""
    engine = FeatureEngine(features, in_python=in_python)
    arrivals = [Arrival(event, 1, 0, offset) for offset, event in enumerate(events)]
    tables: Tables = engine.tables()
    for start in range(0, len(arrivals), 64):
        engine.gather(arrivals[start : start + 64])
        engine.advance(arrivals[start : start + 64], tables)
    states = [
        {k: (s.count, s.digest, s.newest, repr(s.values)) for k, s in t.items()} for t in tables
    ]
    return [repr(a.row) for a in arrivals], [a.keys for a in arrivals], states


@pytest.mark.parametrize("in_python", [True, False])
def test_fields_give_what_functions_of_the_same_meaning_give(in_python: bool) -> None:
    """To the last bit: rows, keys (an int is its digits) and states; None reads as missing."""
    events = log(500)
    rows, keys, states = run(FIELDS, events, in_python=in_python)
    assert (rows, keys, states) == run(FUNCTIONS, events, in_python=in_python)
    assert any("nan" in row for row in rows)
    assert "0" in states[0]
    assert len(states[4]) == 3


_WRONG = (
    "the update of view v: an update is not made of 2 finite numbers, the time first: value 2 is "
)
_FROM = ": it is (event_time, anything) of Paid"


@pytest.mark.parametrize("in_python", [True, False])
def test_one_wrong_event_is_told_and_its_neighbours_pass(in_python: bool) -> None:
    """Where no annotation says that a field may be None, the event that has None is refused."""
    features = FeatureSet(view({Paid: "anything"}), triggers=(Paid,))
    engine = FeatureEngine(features, in_python=in_python)
    arrivals = [Arrival(paid(n, 5.0, anything=x), 1, 0, n) for n, x in enumerate([1.0, None, "x"])]
    engine.gather(arrivals)
    assert [str(a.error) for a in arrivals] == [
        "None",
        f"{_WRONG}None{_FROM}",
        f"{_WRONG}a str{_FROM}",
    ]


def test_fields_are_read_without_a_call_of_pythons_for_each_event() -> None:
    """Functions take one for each event and use."""

    def calls(features: FeatureSet, count: int) -> int:
        engine = FeatureEngine(features)
        arrivals = [Arrival(paid(n, 5.0), 1, 0, n) for n in range(count)]
        engine.gather(arrivals)
        counted = 0

        def count_it(frame: FrameType, what: str, _: Any) -> None:
            nonlocal counted
            counted += what == "call"

        sys.setprofile(count_it)
        try:
            engine.gather(arrivals)
        finally:
            sys.setprofile(None)
        return counted

    assert calls(_without_ids(FIELDS), 1_000) < 500  # of the batch, and of a garbage collection
    assert calls(_without_ids(FUNCTIONS), 1_000) > 5_000


def _without_ids(features: FeatureSet) -> FeatureSet:
    # An id that is an int is made a text by a property.
    return replace(features, views=tuple(v for v in features.views if v.name != "ids"))


def test_two_views_that_name_the_same_share_key_and_update() -> None:
    """They are equal, so the engine evaluates them once."""
    assert Entity("card") == Entity("card", "card") != Entity("card", "number")
    assert UpdateOf(("amount",)) == UpdateOf(("amount",))
    assert FeatureEngine(FIELDS).plan(Paid).keys.__len__() == 2


# --- What an author may write.


def test_a_field_stands_where_a_function_of_it_would() -> None:
    """By its name: the key, the update, the row feature."""
    assert view(Paid).entity.key == FieldOf("card")
    assert view(Paid).on == {Paid: UpdateOf(("amount",))}
    assert view({Paid: ("amount",), LoggedIn: "tries"}).on[LoggedIn] == UpdateOf(("tries",))
    assert view(Paid, Windows(60.0, 6, sums=("amount",), extremes=("items",))).on == {
        Paid: UpdateOf(("amount", "items"))
    }
    assert view(LoggedIn, DecayedSums(60.0)).on == {LoggedIn: UpdateOf(())}
    assert FIELDS.row_features[0].compute == FieldOf("amount")


def test_columns_may_be_a_function_of_the_views_own_state() -> None:
    """So that a state needs no name of its own; one column needs no tuple."""
    column = Column("mean", SPEND.mean("amount"), "", "")
    assert View("v", "card", SPEND, Paid, lambda s: column).columns == (column,)
    assert View("v", "card", SPEND, Paid, lambda s: (column, column)).columns == (column, column)
    assert View("v", "card", SPEND, Paid, column).columns == (column,)


def test_text_needs_no_dtype() -> None:
    """Where a field is annotated as text, and where a kind of state gives text; said, it is as said."""
    where = View(
        "v", "card", LastText(("country",)), Paid, lambda s: Column("c", s.value("country"), "", "")
    )
    features = FeatureSet(
        where, RowFeature("m", "merchant", "", ""), RowFeature("d", "country", "", ""),
        RowFeature("i", "items", "", "", "int64"), RowFeature("n", "items", "", ""),
        triggers=Paid,
    )  # fmt: skip
    assert features.dtypes == {
        "c": "string", "m": "string", "d": "string", "i": "int64", "n": "float32"
    }  # fmt: skip


def test_what_is_declared_comes_one_by_one_or_by_kind() -> None:
    """Columns of views stand first, then row features, then derived ones, in whatever order they come."""
    derived = Derived("z", lambda e, f: f.mean, "", "")
    rest = (*FIELDS.row_features, *FIELDS.views)
    features = FeatureSet(derived, *rest, triggers=(Paid,))
    by_kind = FeatureSet(
        views=FIELDS.views, row_features=FIELDS.row_features, derived=(derived,), triggers=Paid
    )
    assert features == by_kind
    assert features.columns == (*FIELDS.columns, "z")
    with pytest.raises(TypeError, match="one by one, and was given a tuple"):
        FeatureSet(FIELDS.views)  # type: ignore[arg-type]


# --- What cannot work is refused when it is declared.


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        (lambda: view({Paid: "amont"}), "view v: Paid has no field amont: its fields are number, created"),
        (lambda: view({Paid: "net"}), "view v: net of Paid is no field: write a function, lambda e: e.net"),
        (lambda: view({Paid: "merchant"}),
         "view v: the field merchant of Paid is of type str, which DecayedSums does not take"),
        (lambda: view({Paid: "tip"}),
         "write a function that says what then, for example lambda e: None if e.tip is None else "),
        (lambda: view({Paid: ("amount", "items")}),
         "view v: (event_time, amount, items) is not what DecayedSums takes: an update is not made of 2"),
        (lambda: view({Paid: ("amount", "tip")}, DecayedSums(60.0, ("a", "b"))),
         "view v: the field tip of Paid may be None, and DecayedSums takes no None"),
        (lambda: view({Paid: "amount"}, LastText(("amount",))),
         "view v: the field amount of Paid is of type float, which LastText does not take"),
        (lambda: view({Paid: "amount"}, Distinct(60.0)),
         "view v: the field amount of Paid is of type float, which Distinct does not take"),
        (lambda: view(Paid, Distinct(60.0)),
         'view v: Distinct has no fields with names, so say which of the event\'s it takes: on={Paid: "..."}'),
        (lambda: view(Paid, Extremes(("price",))), "view v: Paid has no field price: its fields are"),
        (lambda: view(Paid, entity="kard"), "view v, entity kard: Paid has no field kard: its fields are"),
        (lambda: view(Paid, entity="amount"),
         "view v, entity amount: the field amount of Paid is of type float, and a key is a str or an int: "),
        (lambda: view(Paid, entity="is_online"), "is of type bool, and a key is a str or an int"),
        (lambda: view(Paid, entity="key"), "is of type UUID, and a key is a str or an int"),
        (lambda: FeatureSet(view(Paid, entity="merchant"), triggers=(LoggedIn,)),
         "view v, which LoggedIn reads, entity merchant: LoggedIn has no field merchant: its fields are"),
        (lambda: FeatureSet(RowFeature("a", "amont", "", ""), triggers=(Paid,)),
         "row feature a, asked for by triggers=Paid: Paid has no field amont: its fields are"),
        (lambda: FeatureSet(RowFeature("c", "card", "", ""), triggers=(Paid, Strange)),
         "row feature c: the field card of Paid is of type int, which string does not hold"),
        (lambda: FeatureSet(RowFeature("c", "country", "", "", "float64"), triggers=(Paid,)),
         "row feature c: the field country of Paid is of type str, which float64 does not hold"),
        (lambda: FeatureSet(RowFeature("i", "amount", "", "", "int64"), triggers=(Paid,)),
         "row feature i: the field amount of Paid is of type float, which int64 does not hold"),
        (lambda: FeatureSet(RowFeature("n", "maybe", "", "", "int64"), triggers=(Strange,)),
         "row feature n: the field maybe of Strange may be None, which int64 has no value for"),
        (lambda: FeatureSet(RowFeature("k", "key", "", ""), triggers=(Paid,)),
         "row feature k: the field key of Paid is of type UUID, which float32 does not hold"),
        (lambda: Outcome(LoggedIn, "number", "tries"), "outcome, join_key: LoggedIn has no field number"),
        (lambda: Outcome(LoggedIn, "card", "tries"),
         "outcome, join_key: the field card of LoggedIn may be None, which joins nothing"),
        (lambda: Outcome(Paid, "number", "country"),
         "outcome, label: the field country of Paid is of type str, and has to be a number"),
        (lambda: use_case(Outcome(LoggedIn, "tries", "tries")), "outcome, join_key: Paid has no field tries"),
        (lambda: use_case(Outcome(Strange, "card", "card_number")),
         "outcome, join_key: the field card is text in one of Paid and Strange and a number in the other"),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_meant_is_refused_in_a_sentence(
    declared: Callable[[], object], sentence: str
) -> None:
    """It names the view, or what else, the event type and the field, and says what to do."""
    with pytest.raises(ValueError, match=re.escape(sentence)):
        declared()


class Strange(Event):
    """Its card is a text."""

    card: str
    card_number: int
    maybe: int | None = None


class Score(Prediction):
    """No field of its own."""


def use_case(outcome: Outcome) -> UseCase:
    """A use case that is asked by `Paid`."""
    return UseCase(
        name="x", topics=(InputTopic("paid", Paid),), features=FeatureSet(triggers=Paid),
        prediction=Score, champion="x/1", outcome=outcome,
    )  # fmt: skip


def test_an_update_on_no_event_type_is_refused() -> None:
    """A field alone does not say of which event."""
    with pytest.raises(TypeError, match="view v: on is 'amount', and has to be an event type"):
        view("amount")


# --- The fingerprint.


def test_a_fingerprint_holds_the_names_of_fields() -> None:
    """As they are written, so that a person can read them."""
    (_, _, spend, _, tips) = FIELDS.describe()["views"]
    assert spend["key"] == "the field card"
    assert tips["on"] == {"Paid": "(event_time, amount, tip)"}
    assert [row["function"] for row in FIELDS.describe()["row_features"]] == [
        "the field amount", "the field country", "the field tip"
    ]  # fmt: skip


def test_a_difference_of_fields_is_told_by_their_names() -> None:
    """Of a field and a function it says so."""
    old = FeatureSet(view(Paid), RowFeature("a", "amount", "", ""), triggers=Paid).describe()
    new = FeatureSet(
        view({Paid: "items"}, entity="number"),
        RowFeature("a", lambda e: e.amount, "", ""),
        triggers=Paid,
    ).describe()
    assert differences(old, new) == [
        "view v: entity was card, is number",
        "view v: the update by Paid was (event_time, amount), is (event_time, items)",
        "row feature a: its function was the field amount, is a function",
    ]
    assert differences(old, old) == []


def test_an_outcome_reads_its_fields() -> None:
    """A bool is a label as well."""
    outcome = Outcome(Paid, "number", "is_online")
    event = paid(3, 5.0, is_online=True)
    assert (outcome.join_key(event), outcome.label(event)) == (3, True)
    assert not math.isnan(float(outcome.label(event) or 0.0))
