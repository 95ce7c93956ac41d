"""A small use case of payments, logins and chargebacks, with a log of it."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from stream_app.features.events import Event, JsonDecoder, LogRecord
from stream_app.features.kinds import DecayedSums, LastValue
from stream_app.features.usecase import InputTopic, Outcome, Outputs, Prediction, UseCase
from stream_app.features.views import Column, Entity, FeatureSet, RowFeature, View

DAY = 86_400.0
START = datetime(2024, 1, 1, tzinfo=UTC).timestamp()


class Payment(Event):
    """Asks whether it is fraud."""

    payment_id: str
    card: str
    country: str
    amount: float


class Login(Event):
    """Only updates."""

    card: str
    succeeded: bool


class Chargeback(Event):
    """The outcome."""

    payment_id: str
    fraud: bool


class Score(Prediction):
    """The answer."""

    probability: float


def clipped(amount: float) -> float:
    """A helper that a function of the declaration calls: its branches are watched too."""
    if amount > 1_000.0:
        return 1_000.0
    return amount


SPEND = DecayedSums(DAY, ("amount",))
TRIES = DecayedSums(DAY, ("failed",))
LAST = LastValue(("amount",))
CARD = Entity("card", lambda event: event.card)

FEATURES = FeatureSet(
    views=(
        View(
            name="spend",
            entity=CARD,
            state=SPEND,
            on={Payment: lambda e: (e.event_time, clipped(e.amount))},
            columns=(
                Column("mean_amount", SPEND.mean("amount"), "EUR", "Mean payment."),
                Column("payments", SPEND.count(), "1", "Decayed payments."),
            ),
        ),
        View(
            name="last",
            entity=CARD,
            state=LAST,
            on={Payment: lambda e: (e.event_time, e.amount)},
            columns=(Column("last_amount", LAST.value("amount"), "EUR", "Payment before."),),
        ),
        View(
            name="logins",
            entity=CARD,
            state=TRIES,
            on={Login: lambda e: (e.event_time, 0.0 if e.succeeded else 1.0)},
            columns=(Column("failed_share", TRIES.mean("failed"), "1", "Logins that failed."),),
        ),
    ),
    row_features=(
        RowFeature("amount", lambda e: e.amount, "EUR", "Its amount."),
        RowFeature("country", lambda e: e.country, "", "Its country.", "string"),
        RowFeature("hour", lambda e: int(e.event_time % DAY // 3600), "h", "UTC.", "int64"),
    ),
    triggers=(Payment,),
)
NUMBERS = ("mean_amount", "payments", "last_amount", "failed_share", "amount")


def _fields(outputs: Outputs, decision: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [{"probability": p} for p in outputs["probability"].tolist()]


def make_usecase(**changes: Any) -> UseCase:
    """The use case, changed."""
    given: dict[str, Any] = {
        "name": "fraud",
        "topics": (
            InputTopic("payments", JsonDecoder(Payment)),
            InputTopic("logins", JsonDecoder(Login)),
            InputTopic("chargebacks", JsonDecoder(Chargeback)),
        ),
        "predictions_topic": "fraud.predictions",
        "dead_letters_topic": "fraud.dead-letters",
        "features": FEATURES,
        "prediction": Score,
        "fields": _fields,
        "champion": "fraud/1",
        "outcome": Outcome(
            Chargeback,
            lambda event: event.payment_id,
            lambda event: float(event.fraud),
            absent_after_seconds=20 * DAY,
        ),
    }
    return UseCase(**(given | changes))


def record(topic: str, at: float, **fields: Any) -> LogRecord:
    """A record of an event at a moment, in seconds since the epoch."""
    moment = datetime.fromtimestamp(at, UTC).isoformat()
    number = fields.pop("number", at)
    value = {"event_id": f"{topic}-{number}", "event_time": moment, **fields}
    return LogRecord(json.dumps(value).encode(), timestamp=at, topic=topic)


def payment(number: int, at: float, **fields: Any) -> LogRecord:
    """A payment with usual fields."""
    given = {"payment_id": f"p{number}", "card": "c1", "country": "DE", "amount": 10.0} | fields
    return record("payments", at, number=number, **given)


def chargeback(number: int, at: float, fraud: bool = True) -> LogRecord:
    """A chargeback of a payment."""
    return record("chargebacks", at, number=number, payment_id=f"p{number}", fraud=fraud)


def log(count: int = 400, seed: int = 3) -> Iterator[LogRecord]:
    """A quarter of a year: payments, logins, and chargebacks some days after, in order."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        at = START + number * 90 * DAY / count
        card, country = f"c{rng.randrange(25)}", rng.choice(("DE", "FR", "IT"))
        amount = round(rng.lognormvariate(3.5, 1.3), 2)
        made.append(payment(number, at, card=card, country=country, amount=amount))
        if rng.random() < 0.5:
            tried = {"card": card, "succeeded": rng.random() < 0.7}
            made.append(record("logins", at + 60, number=number, **tried))
        if rng.random() < min(0.9, amount / 400):
            made.append(chargeback(number, at + rng.uniform(1, 15) * DAY))
    return iter(sorted(made, key=lambda each: each.timestamp or 0.0))


def graph(width: int = len(NUMBERS), output: str = "probability") -> bytes:
    """sigmoid(0.01 x the sum of a row), NaN as 0: of shape (rows,)."""
    # Column by column: a sum over an axis adds in another order for one row than for many.
    names = [f"x{i}" for i in range(width)]
    made = helper.make_graph(
        [
            helper.make_node("IsNaN", ["x"], ["missing"]),
            helper.make_node("Where", ["missing", "zero", "x"], ["known"]),
            helper.make_node("Split", ["known"], names, axis=1, num_outputs=width),
            helper.make_node("Sum", names, ["sum"]),
            helper.make_node("Mul", ["sum", "scale"], ["scaled"]),
            helper.make_node("Sigmoid", ["scaled"], ["column"]),
            helper.make_node("Squeeze", ["column", "axis"], [output]),
        ],
        "shop",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None])],
        [
            onnx.numpy_helper.from_array(np.float32(0.0), "zero"),
            onnx.numpy_helper.from_array(np.float32(0.01), "scale"),
            onnx.numpy_helper.from_array(np.array([1]), "axis"),
        ],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return bytes(helper.make_model(made, opset_imports=opsets, ir_version=8).SerializeToString())
