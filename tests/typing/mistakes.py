"""Typical mistakes of an author, each refused by mypy: checked by `make lint`, never run.

mypy warns of an `ignore` that nothing needs, so a mistake that it would let pass fails as well.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import stream_app
from stream_app import (
    Column,
    DecayedSums,
    Derived,
    Entity,
    Event,
    FeatureSet,
    InputTopic,
    JsonDecoder,
    Outcome,
    Outputs,
    Prediction,
    Row,
    RowFeature,
    TimeBounds,
    UseCase,
    View,
    make_matrix,
    package,
    per_batch,
    replay,
)
from tests.typing.use_case import FEATURES, ORDERS, SHOP, Order, Risk, answers, decode, usecase

stream_app.NoSuchName  # type: ignore[attr-defined]  # noqa: B018


def text(value: bytes) -> Event:
    """A decoder is given the record, not its value."""
    return Order.model_validate_json(value)


def of_outputs(outputs: Outputs, decision: Mapping[str, Any]) -> Mapping[str, Any]:
    """An answer is given the event and the row as well."""
    return {"risk": outputs["risk"][0]}


def one_answer(
    events: Sequence[Event], rows: Sequence[Row], outputs: Outputs, decision: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The answer of one record, where one for each is asked for."""
    return {"risk": outputs["risk"][0]}


def not_a_tuple(order: Order) -> float:
    """An update is a tuple whose first item is a time."""
    return order.amount


InputTopic("orders.placed", Order, tombstones=Risk)  # type: ignore[arg-type]  # a prediction
InputTopic("orders.placed", Risk)  # type: ignore[arg-type]  # a prediction
InputTopic("orders.placed", text)  # type: ignore[arg-type]
InputTopic("orders.placed", JsonDecoder(Order), partitions="3")  # type: ignore[arg-type]

Entity("shop", lambda event: 7.0)  # type: ignore[arg-type,return-value]  # a key is text or an int
Derived("z", "amount / mean", "1", "No text.")  # type: ignore[arg-type]
Column("amount", ORDERS, "EUR", "Mean.")  # type: ignore[arg-type]  # the state, not its mean
Column("amount", ORDERS.mean("amount"), "EUR", "Mean.", "float16")  # type: ignore[arg-type]
Column("amount", ORDERS.mean("amount"), "EUR")  # type: ignore[call-arg]  # no documentation
ORDERS.sum("amount")  # type: ignore[attr-defined]
DecayedSums("1h")  # type: ignore[arg-type]  # seconds, not text
RowFeature("amount", 7, "EUR", "Price.")  # type: ignore[arg-type]

View(name="v", entity=7, state=ORDERS, on={}, columns=())  # type: ignore[arg-type]
View("v", "shop", ORDERS, "amount", ())  # type: ignore[arg-type]  # of which event?
View("v", "shop", ORDERS, Risk, ())  # type: ignore[arg-type]  # a prediction is no event
View("v", "shop", ORDERS, {Order: 7}, ())  # type: ignore[dict-item]
View("v", "shop", ORDERS, Order, lambda s: s.mean("amount"))  # type: ignore[arg-type,return-value]
View("v", "shop", ORDERS, Order, lambda s: Column("a", s.sum("amount"), "", ""))  # type: ignore[attr-defined]
View(name="v", entity=SHOP, state=DecayedSums, on={}, columns=())  # type: ignore[type-var]
View(name="v", entity=SHOP, state=ORDERS, on={"Order": None}, columns=())  # type: ignore[dict-item]
View(name="v", entity=SHOP, state=ORDERS, on={Order: not_a_tuple}, columns=())  # type: ignore[dict-item]

FeatureSet(Column("amount", ORDERS.count(), "", ""))  # type: ignore[arg-type]  # it stands in a view
FeatureSet(triggers=(Risk,))  # type: ignore[arg-type]  # a prediction is no event
TimeBounds(ahead="1 day")  # type: ignore[call-arg]
Outcome(event=Risk, join_key=lambda e: e.id, label=lambda _: 1.0)  # type: ignore[arg-type]

UseCase(name="orders", topics=())  # type: ignore[call-arg]  # most is missing
UseCase(
    name="orders",
    topics=[InputTopic("orders.returned", decode)],  # type: ignore[arg-type]  # a list
    features=(),  # type: ignore[arg-type]
    prediction=Order,  # type: ignore[arg-type]  # an event is no prediction
    answer=of_outputs,  # type: ignore[arg-type]
    champion="orders/1",
    fallbacks="orders/static-1",  # type: ignore[arg-type]  # text, where a tuple is asked for
)

Prediction(score=0.5)  # type: ignore[call-arg]
package("artifacts/orders/1", usecase, b"", [[1.0]])  # type: ignore[arg-type]  # rows, no matrix
make_matrix(usecase, "log.jsonl")  # type: ignore[arg-type]  # its name, not the log
replay(FEATURES, [b"{}"])  # type: ignore[list-item]  # bytes, not events
replay(Order, [])  # type: ignore[arg-type]
per_batch(one_answer)  # type: ignore[arg-type]
answers([], [], {"risk": [0.5]}, {})  # type: ignore[dict-item]  # a list, not an array
