"""The ONNX graph of a model version: fitted encodings and trees in one, nothing left outside.

features (rows, numbers) ------------------------------+
categories (rows, strings) -> a column -> LabelEncoder +-> Concat -> trees -> score (rows)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import lightgbm
import numpy as np
import numpy.typing as npt
import onnx
import onnxmltools
from onnx import TensorProto, helper, numpy_helper
from onnxmltools.convert.common.data_types import FloatTensorType

__all__ = ["CATEGORIES", "FEATURES", "SCORE", "Encoding", "build_graph"]

FEATURES: Final = "features"
CATEGORIES: Final = "categories"
SCORE: Final = "score"

#: Opsets that every ONNX Runtime since 1.10 knows.
_OPSET: Final = 15
_ML_OPSET: Final = 2
_IR_VERSION: Final = 8


class Encoding:
    """A fitted number for each value of a string column, and one for values never seen."""

    def __init__(self, values: Mapping[str, float], unseen: float) -> None:
        self.values = dict(sorted(values.items()))
        self.unseen = unseen

    @classmethod
    def target_mean(
        cls, column: npt.NDArray[Any], label: npt.NDArray[np.float64], weight: float
    ) -> Encoding:
        """Mean label of each value, drawn towards the mean of all by `weight` rows; exact in
        float32, as the graph keeps it.
        """
        prior = float(label.mean())
        names, index = np.unique(column, return_inverse=True)
        rows = np.bincount(index)
        sums = np.bincount(index, weights=label)
        means = ((sums + weight * prior) / (rows + weight)).astype(np.float32)
        unseen = float(np.float32(prior))
        return cls(dict(zip(names.tolist(), means.tolist(), strict=True)), unseen)

    def __call__(self, column: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The numbers of a column: what the graph computes, for fitting."""
        names, index = np.unique(column, return_inverse=True)
        numbers = [self.values.get(name, self.unseen) for name in names.tolist()]
        return np.array(numbers, dtype=np.float32)[index]


def build_graph(
    booster: lightgbm.Booster, numbers: int, encodings: Sequence[Encoding]
) -> onnx.ModelProto:
    """The graph of a binary booster over `numbers` numeric columns, then the encoded ones."""
    width = numbers + len(encodings)
    nodes = []
    constants = []
    encoded = []
    for i, encoding in enumerate(encodings):
        constants.append(numpy_helper.from_array(np.array([i], dtype=np.int64), f"column_{i}"))
        nodes.append(
            helper.make_node("Gather", [CATEGORIES, f"column_{i}"], [f"category_{i}"], axis=1)
        )
        nodes.append(
            helper.make_node(
                "LabelEncoder",
                [f"category_{i}"],
                [f"encoded_{i}"],
                domain="ai.onnx.ml",
                keys_strings=list(encoding.values),
                values_floats=list(encoding.values.values()),
                default_float=encoding.unseen,
            )
        )
        encoded.append(f"encoded_{i}")
    nodes.append(helper.make_node("Concat", [FEATURES, *encoded], ["matrix"], axis=1))
    nodes.append(_trees(booster, width))
    # The second of two probabilities, as a vector: the shape is what every call returns, so that
    # ONNX Runtime has nothing to warn of.
    constants.append(numpy_helper.from_array(np.array(1, dtype=np.int64), "late"))
    nodes.append(helper.make_node("Gather", ["probabilities", "late"], [SCORE], axis=1))
    graph = helper.make_graph(
        nodes,
        "flights",
        [
            helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["rows", numbers]),
            helper.make_tensor_value_info(CATEGORIES, TensorProto.STRING, ["rows", len(encodings)]),
        ],
        [helper.make_tensor_value_info(SCORE, TensorProto.FLOAT, ["rows"])],
        constants,
    )
    model = helper.make_model(
        graph,
        opset_imports=[
            helper.make_opsetid("", _OPSET),
            helper.make_opsetid("ai.onnx.ml", _ML_OPSET),
        ],
        ir_version=_IR_VERSION,
        producer_name="features.flights",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _trees(booster: lightgbm.Booster, width: int) -> onnx.NodeProto:
    converted = onnxmltools.convert_lightgbm(
        _in_single_precision(booster),
        initial_types=[("matrix", FloatTensorType([None, width]))],
        zipmap=False,
        target_opset=_OPSET,
    )
    (trees,) = (n for n in converted.graph.node if n.op_type == "TreeEnsembleClassifier")
    node = onnx.NodeProto()
    node.CopyFrom(trees)
    del node.input[:]
    del node.output[:]
    node.input.append("matrix")
    # The label stays inside: it would be a second answer, at another threshold.
    node.output.extend(["label", "probabilities"])
    return node


def _in_single_precision(booster: lightgbm.Booster) -> lightgbm.Booster:
    """The same trees with thresholds that single precision holds exactly.

    LightGBM's thresholds are doubles between two values of a column. Rounded to the nearest single,
    some land on the upper value and send its rows the other way. Rounded down, a single x is below
    or at the threshold exactly when it was before.
    """
    # The sizes are those of the trees as text, which changes; without them the text is parsed.
    lines = [
        line for line in booster.model_to_string().split("\n") if not line.startswith("tree_sizes=")
    ]
    for i, line in enumerate(lines):
        name, _, values = line.partition("=")
        if name == "threshold" and values:
            thresholds = np.array(values.split(), dtype=np.float64)
            nearest = thresholds.astype(np.float32)
            below = np.nextafter(nearest, np.float32(-np.inf))
            down = np.where(nearest > thresholds, below, nearest)
            lines[i] = f"threshold={' '.join(repr(float(value)) for value in down)}"
    return lightgbm.Booster(model_str="\n".join(lines))
