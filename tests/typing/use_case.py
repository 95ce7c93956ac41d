"""What an author writes, and that it is typed: checked by `make lint`, never run.

Everything comes from `stream_app`. `tests/typing/mistakes.py` holds what must not pass.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, assert_type

from pydantic import Field

from stream_app import (
    Column,
    DecayedMoments,
    DecayedShare,
    DecayedSums,
    Derived,
    Distinct,
    DistinctEver,
    Entity,
    Event,
    Extremes,
    FeatureSet,
    InputTopic,
    InvalidEventError,
    LastN,
    LastText,
    LastValue,
    Matrix,
    Message,
    Moment,
    OpenItems,
    Outcome,
    Outputs,
    Packaged,
    Prediction,
    Row,
    RowFeature,
    State,
    TimeBounds,
    Update,
    UseCase,
    View,
    Windows,
    fit_ordinal,
    from_key,
    from_timestamp,
    make_matrix,
    package,
    per_batch,
    read_log,
    replay,
)


class Order(Event):
    """An order is placed; asks for a prediction."""

    shop: str
    amount: float
    wanted_at: Moment


class Returned(Event):
    """An order came back."""

    shop: str
    order_id: str


class Shipped(Event, id_from="number", time_from="shipped"):
    """Its id and its time are fields of its own, and its constructor takes no others."""

    number: int
    shipped: Moment


class Seen(Event, id_from=from_key(), time_from=from_timestamp()):
    """Its id and its time stand in the record."""

    page: str


class Renamed(Event):
    """A field of the base may be called otherwise on the wire."""

    event_id: Annotated[str, Field(alias="id")]


def read(event: Shipped | Seen | Renamed) -> tuple[str, float]:
    """Each event has an id and a time, wherever they come from."""
    return event.event_id, event.event_time


SEEN = Seen(page="front")


class Risk(Prediction):
    """How likely an order is to come back."""

    risk: float


def decode(message: Message) -> Event | None:
    """A decoder may be a function of the author's."""
    value = message.value or b""
    if value.startswith(b"#"):
        return None
    if not value.startswith(b"1;"):
        raise InvalidEventError("bad-format", "the value is not of version 1", field="version")
    return Returned.model_validate({"event_id": value.decode()})


def ordered(order: Order) -> Update:
    """The update of a state."""
    return order.event_time, order.amount


def returned(event: Returned) -> Update | None:
    """None where an event updates nothing."""
    return (event.event_time, None) if event.order_id else None


def answer(
    order: Order, row: Row, outputs: Mapping[str, Any], decision: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The prediction's own fields, of one record."""
    return {"risk": outputs["risk"] * decision["weight"], "shop": order.shop, "z": row["z"]}


@per_batch
def answers(
    events: Sequence[Order], rows: Sequence[Row], outputs: Outputs, decision: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    """The same of a batch, one mapping a record."""
    return [{"risk": risk} for risk in outputs["risk"].tolist()]


ORDERS = DecayedSums(3600.0, ("amount",))
LAST = LastValue(("amount",))
DUE = OpenItems(6 * 3600.0, slot_seconds=60.0)
SPEND = DecayedMoments(3600.0, ("amount",))
FAILED = DecayedShare(3600.0)
RECENT = Windows(3600.0, slots=60, sums=("amount",), extremes=("amount",))
EVER = Extremes(("amount",))
COUNTRY = LastText(("country",), max_bytes=2)
NEWEST = LastN(3, ("amount",))
SHOPS = Distinct(7 * 86_400.0)
DEVICES = DistinctEver()
KINDS: tuple[State, ...] = (
    ORDERS, LAST, DUE, SPEND, FAILED, RECENT, EVER, COUNTRY, NEWEST, SHOPS, DEVICES,
)  # fmt: skip
COLUMNS = (
    Column("deviation", SPEND.deviation("amount"), "EUR", "Deviation of its prices."),
    Column("failed", FAILED.share(), "1", "Share of those that failed."),
    Column("hour", RECENT.count(), "orders", "Orders of the last hour."),
    Column("hour_before", RECENT.sum("amount", 1800.0, ago=1800.0), "EUR", "Of the half before."),
    Column("highest", EVER.maximum("amount"), "EUR", "Highest price."),
    Column("country", COUNTRY.value("country"), "", "Country of the newest.", "string"),
    Column("previous", NEWEST.previous("amount"), "EUR", "Price of the one before."),
    Column("shops", SHOPS.count(86_400.0), "shops", "Shops of a day."),
    Column("devices", DEVICES.count(), "devices", "Devices so far."),
)
CLIENT = Entity("client", lambda order: 7)
SHOP = Entity("shop", doc="Its key is the field of that name.")

FEATURES = FeatureSet(
    views=(
        View(
            name="orders",
            entity=SHOP,
            state=ORDERS,
            on={Order: ordered},
            columns=(Column("mean_amount", ORDERS.mean("amount"), "EUR", "Mean amount."),),
            ttl_seconds=86_400.0,
        ),
        View(
            "spent",
            "shop",
            SPEND,
            Order,
            lambda s: Column("spent", s.mean("amount"), "EUR", "Mean."),
        ),
        View(
            "by_field",
            SHOP,
            EVER,
            {Order: "amount"},
            lambda s: (
                Column("least", s.minimum("amount"), "EUR", "Least."),
                Column("most", s.maximum("amount"), "EUR", "Most."),
            ),
        ),
        View(
            "pair",
            SHOP,
            FAILED,
            {Order: ("amount", "amount")},
            lambda s: tuple(Column(f"share{n}", s.share(), "1", "Share.") for n in range(2)),
        ),
        View(
            name="last",
            entity=SHOP,
            state=LAST,
            on={Order: ordered, Returned: returned},
            columns=(Column("last_age", LAST.age(), "s", "Age of the newest."),),
        ),
        View(
            "due",
            Entity("number", lambda event: 7),
            DUE,
            {Order: lambda order: (order.wanted_at, 1)},
            (Column("due", DUE.overdue(3600.0), "orders", "Due for an hour.", "float64"),),
        ),
    ),
    row_features=(
        RowFeature("amount", lambda order: order.amount, "EUR", "Price."),
        RowFeature("price", "amount", "EUR", "Price."),
    ),
    derived=(
        Derived(
            "z", lambda order, columns: order.amount / columns.mean_amount, "1", "To the mean."
        ),
        Derived("large", lambda order, columns: columns.z > 3.0, "", "Whether it is.", "bool"),
    ),
    triggers=(Order,),
)

usecase = UseCase(
    name="orders",
    topics=(
        InputTopic("orders.placed", Order),
        InputTopic("orders.returned", decode, partitions=2),
    ),
    features=FEATURES,
    prediction=Risk,
    answer=answer,
    champion="orders/1",
    fallbacks=("orders/static-1",),
    times=TimeBounds(ahead_seconds=60.0),
    outcome=Outcome(event=Returned, join_key=lambda event: event.order_id, label=lambda _: 1.0),
)


def matrix(log: Iterable[Event]) -> list[list[Any]]:
    """The training matrix is the replay of a log."""
    return [assert_type(row.values, list[Any]) for row in replay(usecase.features, log)]


def train(artifacts: Path, log: Path, fit: Callable[[Any, Any], Any]) -> None:
    """Write what was trained on a log as a model version."""
    known, test = assert_type(make_matrix(usecase, read_log(log)), Matrix).split(share=0.8)
    shops = fit_ordinal(known, "shop")
    known, test = known.encode(shops), test.encode(shops)
    model = fit(known.array(), known.labels)
    packaged = package(artifacts / usecase.champion, usecase, model, known, test=test)
    assert_type(packaged, Packaged)
    assert_type(packaged.manifest.version, str)
