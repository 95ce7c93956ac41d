"""A use case of three topics: is a payment fraud? Twelve columns, of a card and of a merchant.

Logins and payments update what is known of a card, a payment asks, and a chargeback tells afterwards
what it was. No event has an `event_id` or `event_time` on the wire: each says what it takes them from.
"""

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from stream_app import (
    Column,
    DecayedMoments,
    DecayedShare,
    Derived,
    Distinct,
    Event,
    FeatureSet,
    InputTopic,
    LastText,
    LogRecord,
    Moment,
    Outcome,
    Packaged,
    Prediction,
    RowFeature,
    UseCase,
    View,
    Windows,
    fit_one_hot,
    from_header,
    from_timestamp,
    make_matrix,
    package,
)

__all__ = ["FraudScore", "Login", "Payment", "log", "train", "usecase"]

HOUR, DAY = 3_600.0, 86_400.0


class Payment(Event, id_from="payment_id", time_from="created"):
    """A card pays; asks for a prediction."""

    payment_id: str
    created: Moment
    card: int
    merchant: str
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")]
    amount: Annotated[float, Field(gt=0.0, le=1e6)]


class Login(Event, id_from=from_header("login-id"), time_from=from_timestamp()):
    """The owner of a card, or somebody else, logs in."""

    card: int
    succeeded: bool


class Chargeback(Event, id_from="payment_id", time_from="reported"):
    """What a payment really was."""

    payment_id: str
    reported: Moment
    fraud: bool


class FraudScore(Prediction):
    """How likely a payment is fraud."""

    fraud: bool
    probability: float
    country: str
    reasons: list[str]


# The use case: what is known, what is made of it, and what is answered.
def answer(event: Any, row: Any, outputs: Any, decision: Any) -> dict[str, Any]:
    """The prediction's fields."""
    p, why = outputs["probability"], ["abroad"] if row["abroad"] else []
    is_fraud = p > decision["threshold"]
    return {"fraud": is_fraud, "probability": p, "country": event.country, "reasons": why}


usecase = UseCase(
    name="fraud", prediction=FraudScore, answer=answer, champion="fraud/1",
    topics=(InputTopic("payments", Payment), InputTopic("logins", Login),
            InputTopic("chargebacks", Chargeback)),
    outcome=Outcome(Chargeback, "payment_id", "fraud", absent_after_seconds=20 * DAY),
    features=FeatureSet(
        View("card_spend", "card", DecayedMoments(7 * DAY, ("amount",)), Payment, lambda s: (
            Column("mean_amount", s.mean("amount"), "EUR", "Mean payment of the card."),
            Column("deviation", s.deviation("amount"), "EUR", "Spread.")), ttl_seconds=90 * DAY),
        View("card_recent", "card", Windows(HOUR, 60, sums=("amount",)), Payment, lambda s: (
            Column("payments_1h", s.count(), "payments", "Payments of the last hour."),
            Column("spent_1h", s.sum("amount"), "EUR", "Spent in the last hour."))),
        View("card_where", "card", LastText(("country",)), Payment, lambda s:
            Column("last_country", s.value("country"), "", "Where it paid last.")),
        View("card_merchants", "card", Distinct(7 * DAY), {Payment: "merchant"}, lambda s:
            Column("merchants_7d", s.count(), "merchants", "Merchants of a week.")),
        View("card_logins", "card", DecayedShare(DAY), {Login: lambda e: (e.event_time, not e.succeeded, 1)},
            lambda s: Column("failed", s.share(), "1", "Share of its logins that failed.")),
        View("merchant_spend", "merchant", DecayedMoments(7 * DAY, ("amount",)), Payment, lambda s:
            Column("merchant_mean", s.mean("amount"), "EUR", "Mean payment there.")),
        RowFeature("amount", "amount", "EUR", "Amount of the payment."),
        RowFeature("country", "country", "", "Where it is paid."),
        Derived("z", lambda e, f: (e.amount - f.mean_amount) / f.deviation, "1", "How unusual."),
        Derived("abroad", lambda e, f: f.last_country not in ("", e.country), "1", "It moved."),
        triggers=Payment,
    ),
)  # fmt: skip


def train(artifacts: Path) -> Packaged:
    """Write the model version that the use case serves."""
    from lightgbm import LGBMClassifier

    known, test = make_matrix(usecase, log()).without("last_country").split(share=0.75)
    country = fit_one_hot(known, "country")
    known, test = known.encode(country), test.encode(country)
    model = LGBMClassifier(n_estimators=30, n_jobs=1, verbosity=-1).fit(known.array(), known.labels)
    folder, decision = artifacts / usecase.champion, {"threshold": 0.3}
    return package(folder, usecase, model, known, decision=decision, test=test)


# Data of its own: what a real log would be.
START = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
COUNTRIES = ("DE", "FR", "PL", "BR")


def log(days: int = 60, a_day: int = 50, seed: int = 7) -> list[LogRecord]:
    """Records of all topics in the order of their timestamps: one payment in twenty is fraud."""
    rng = random.Random(seed)
    made = []
    for number in range(days * a_day):
        at = START + number * DAY / a_day + rng.uniform(0.0, 600.0)
        card = rng.randrange(60)
        is_fraud = rng.random() < 0.05
        failed = rng.random() < (0.8 if is_fraud else 0.1)
        made.append(login(f"l{number}", card, not failed, at - rng.uniform(10.0, 90.0)))
        home = COUNTRIES[card % 3]
        country = rng.choice(COUNTRIES) if is_fraud or rng.random() < 0.05 else home
        amount = round(rng.lognormvariate(3.0 + card % 5 / 3 + 1.5 * is_fraud, 0.5), 2)
        made.append(payment(f"p{number}", card, f"m{rng.randrange(15)}", country, amount, at))
        if is_fraud or rng.random() < 0.02:
            made.append(chargeback(f"p{number}", is_fraud, at + rng.uniform(1.0, 15.0) * DAY))
    return sorted(made, key=lambda record: record.timestamp or 0.0)


def payment(
    payment_id: str, card: int, merchant: str, country: str, amount: float, at: float
) -> LogRecord:
    """A payment as its producer writes it, at some seconds since the epoch."""
    value = {"payment_id": payment_id, "created": _moment(at), "card": card, "merchant": merchant,
             "country": country, "amount": amount}  # fmt: skip
    return _record("payments", value, card, at)


def login(login_id: str, card: int, succeeded: bool, at: float) -> LogRecord:
    """A login; its id is in a header, its time is the record's timestamp."""
    value = {"card": card, "succeeded": succeeded}
    return _record("logins", value, card, at)._replace(headers=(("login-id", login_id.encode()),))


def chargeback(payment_id: str, fraud: bool, at: float) -> LogRecord:
    """The outcome of a payment."""
    value = {"payment_id": payment_id, "reported": _moment(at), "fraud": fraud}
    return _record("chargebacks", value, payment_id, at)


def _record(topic: str, value: dict[str, Any], key: object, at: float) -> LogRecord:
    # Kafka's timestamps are milliseconds.
    return LogRecord(
        json.dumps(value).encode(), str(key).encode(), timestamp=round(at, 3), topic=topic
    )


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
