"""A tiny use case and a tiny model of it, whose folder a test can spoil in one place."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from stream_app.features.events import Event, JsonDecoder
from stream_app.features.kinds import DecayedSums
from stream_app.features.model_version.baseline import measure_baseline
from stream_app.features.model_version.folder import write_version
from stream_app.features.model_version.golden import GoldenEvent, GoldenVector, expect_columns
from stream_app.features.model_version.manifest import (
    Manifest,
    ModelInput,
    ModelOutput,
    TrainingData,
)
from stream_app.features.usecase import InputTopic
from stream_app.features.views import Column, Entity, FeatureSet, RowFeature, View
from stream_app.models import Model, load_model


class Sale(Event):
    """Asks for a prediction and updates its shop's state."""

    shop: str
    price: float


SUMS = DecayedSums(3600.0, ("price",))
SHOP = View(
    name="shop",
    entity=Entity("shop", lambda event: event.shop),
    state=SUMS,
    on={Sale: lambda event: (event.event_time, event.price)},
    columns=(Column("mean_price", SUMS.mean("price"), "EUR", "Mean price."),),
)
FEATURES = FeatureSet(
    views=(SHOP,),
    row_features=(
        RowFeature("price", lambda event: event.price, "EUR", "Price."),
        RowFeature("shop", lambda event: event.shop, "", "Shop.", "string"),
        RowFeature("length", lambda event: len(event.shop), "", "Letters.", "int64"),
        RowFeature("unused", lambda event: 1.0, "", "Not taken by the model."),
    ),
    triggers=(Sale,),
)
TOPICS = (InputTopic("sales", JsonDecoder(Sale)),)

FLOATS = np.array([[0.5], [-0.25]], dtype=np.float32)
CODES = {"north": 1.0, "south": 2.0}


def graph(**changes: Any) -> onnx.GraphProto:
    """`score` = sigmoid(0.5 mean_price - 0.25 price + code(shop) + 0.1 length), missing as 0."""
    made = helper.make_graph(
        [
            helper.make_node("IsNaN", ["x"], ["missing"]),
            helper.make_node("Where", ["missing", "zero", "x"], ["known"]),
            helper.make_node("MatMul", ["known", "weights"], ["linear"]),
            helper.make_node(
                "LabelEncoder", ["shop"], ["code"], domain="ai.onnx.ml",
                keys_strings=list(CODES), values_floats=list(CODES.values()), default_float=-1.0,
            ),
            helper.make_node("Cast", ["n"], ["length"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["length", "tenth"], ["scaled"]),
            helper.make_node("Sum", ["linear", "code", "scaled"], ["sum"]),
            helper.make_node("Sigmoid", ["sum"], ["column"]),
            helper.make_node("Squeeze", ["column", "axis"], ["score"]),
            helper.make_node("Greater", ["score", "tenth"], ["above"]),
            helper.make_node("Cast", ["above"], ["label"], to=TensorProto.INT64),
        ],
        "sales",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2]),
            helper.make_tensor_value_info("shop", TensorProto.STRING, ["rows", 1]),
            helper.make_tensor_value_info("n", TensorProto.INT64, [None, 1]),
        ],
        [
            helper.make_tensor_value_info("score", TensorProto.FLOAT, [None]),
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
        ],
        [
            onnx.numpy_helper.from_array(FLOATS, "weights"),
            onnx.numpy_helper.from_array(np.float32(0.0), "zero"),
            onnx.numpy_helper.from_array(np.float32(0.1), "tenth"),
            onnx.numpy_helper.from_array(np.array([1]), "axis"),
        ],
    )  # fmt: skip
    for name, value in changes.items():
        getattr(made, name).extend(value)
    return made


def to_bytes(made: onnx.GraphProto) -> bytes:
    """The graph as a model ONNX Runtime opens."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return bytes(helper.make_model(made, opset_imports=opsets, ir_version=8).SerializeToString())


def expected(mean_price: float | None, price: float | None, shop: str, length: int) -> float:
    """The score, computed without the graph."""
    total = 0.5 * (mean_price or 0.0) - 0.25 * (price or 0.0) + CODES.get(shop, -1.0) + 0.1 * length
    return float(1.0 / (1.0 + np.exp(-total)))


def vector(case: str, mean_price: float | None, price: float | None, shop: str) -> GoldenVector:
    """A golden vector with the score it must have."""
    return GoldenVector(
        case=case,
        columns={"mean_price": mean_price, "price": price, "shop": shop, "length": len(shop)},
        outputs={"score": expected(mean_price, price, shop, len(shop))},
    )


def sale(number: int, shop: str, price: float) -> dict[str, Any]:
    """A sale as JSON."""
    return {
        "event_id": f"s{number}",
        "event_time": f"2013-01-01T00:{number:02}:00Z",
        "shop": shop,
        "price": price,
    }


def manifest(**changes: Any) -> Manifest:
    """The manifest of the tiny model."""
    fields: dict[str, Any] = {
        "name": "sales",
        "version": "1",
        "inputs": (
            ModelInput(name="x", dtype="float32", columns=("mean_price", "price")),
            ModelInput(name="shop", dtype="string", columns=("shop",)),
            ModelInput(name="n", dtype="int64", columns=("length",)),
        ),
        "features_fingerprint": FEATURES.fingerprint(),
        "outputs": (ModelOutput(name="score", dtype="float32"),),
        "decision": {"threshold": 0.3},
        "training_data": TrainingData(
            start=datetime(2013, 1, 1, tzinfo=UTC),
            end=datetime(2013, 2, 1, tzinfo=UTC),
            rows=100,
            sha256="0" * 64,
        ),
        "code_commit": "unknown",
        "seed": 0,
        "metrics": {"auc": 0.5},
        "libraries": {"python": "3.11.0"},
        "created": datetime(2013, 2, 2, tzinfo=UTC),
    }
    return Manifest(**(fields | changes))


def _golden() -> tuple[GoldenVector, ...]:
    return (
        vector("a usual sale", 3.5, 2.0, "north"),
        vector("everything missing, a shop never seen", None, None, "nowhere"),
    )


def golden_events(*sales: Any) -> list[GoldenEvent]:
    """Golden events of these sales, with the columns that the feature code computes."""
    drafts = [GoldenEvent(topic="sales", value=each) for each in sales]
    decode = TOPICS[0].decoder
    return expect_columns(FEATURES, drafts, [decode(draft.record()) for draft in drafts])


def _events() -> list[GoldenEvent]:
    return golden_events(sale(1, "north", 2.0), sale(2, "north", 3.25), sale(3, "west", 0.1))


@dataclass
class Version:
    """The parts of a version's folder; tests replace one and load."""

    folder: Path
    manifest: Manifest = field(default_factory=manifest)
    model: bytes = field(default_factory=lambda: to_bytes(graph()))
    golden: tuple[GoldenVector, ...] = field(default_factory=_golden)
    events: list[GoldenEvent] = field(default_factory=_events)
    others: dict[str, bytes] = field(default_factory=dict)
    features: FeatureSet = FEATURES

    def but(self, **changes: Any) -> "Version":
        """The same version with other parts."""
        return replace(self, **changes)

    def write(self) -> Path:
        """Write the folder."""
        random = np.random.default_rng(0)
        prices = random.gamma(2.0, 2.0, 500).astype(np.float32)
        shops = random.choice(["north", "south"], 500)
        baseline = measure_baseline(
            {
                "mean_price": np.where(random.random(500) < 0.2, np.nan, prices),
                "price": prices,
                "shop": shops,
                "length": np.full(500, 5),
            },
            {"score": random.random(500)},
        )
        write_version(
            self.folder,
            self.manifest,
            model=self.model,
            baseline=baseline,
            golden=self.golden,
            golden_events=self.events,
            others=self.others,
        )
        return self.folder

    def load(self, **options: Any) -> Model:
        """Write the folder and load it."""
        return load_model(self.write(), self.features, TOPICS, **options)
