"""What a model version must prove before it may serve. Each check raises `ModelRefusedError`.

The sentences say what is wrong and what to do, for whoever just deployed it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stream_app.features.fingerprint.differences import differences
from stream_app.features.model_version.golden import GoldenVector, close
from stream_app.features.model_version.manifest import Manifest
from stream_app.features.views import Dtype, FeatureSet
from stream_app.models.errors import ModelRefusedError, ScoringError
from stream_app.models.model import Model, Outputs
from stream_app.models.session import Session
from stream_app.models.tensors import Rows

__all__ = [
    "BATCH_SIZES", "RETRAIN", "check_batches", "check_features", "check_golden", "check_graph",
    "one_line", "refusal",
]  # fmt: skip

_TOLD: Final = 5
"""So many differences are told in a sentence."""

#: A row must give the same bytes alone and in batches of these sizes.
BATCH_SIZES = (2, 7, 32, 64, 256)

_ROUNDING: Final = 1e-3
"""Relative; the order in which numbers are added changes single precision by less."""

RETRAIN = "train a version with this feature set, or serve it with the code it was trained with."

#: The dtypes of columns that a tensor of each dtype takes.
_TAKES: Mapping[Dtype, Sequence[Dtype]] = {
    "float32": ("float32", "float64", "int64", "bool"),
    "float64": ("float32", "float64", "int64", "bool"),
    "int64": ("int64", "bool"),
    "bool": ("bool",),
    "string": ("string",),
}

_GRAPH_TYPES: Mapping[Dtype, str] = {
    "float32": "tensor(float)",
    "float64": "tensor(double)",
    "int64": "tensor(int64)",
    "bool": "tensor(bool)",
    "string": "tensor(string)",
}


def refusal(manifest: Manifest, reason: str) -> ModelRefusedError:
    """The refusal of a version for `reason`, which ends in what to do."""
    return ModelRefusedError(f"Model {manifest.name} {manifest.version} is refused: {reason}")


def one_line(error: BaseException | None) -> str:
    """The message of a library's error, which may span lines, as part of a sentence."""
    return " ".join(str(error).split())


def check_features(manifest: Manifest, features: FeatureSet) -> None:
    """The columns it takes are declared, with its dtypes, by the feature set it was trained on."""
    for column, dtype in manifest.columns().items():
        declared = features.dtypes.get(column)
        if declared is None:
            raise refusal(
                manifest, f"it takes the column {column}, which is not declared: {RETRAIN}"
            )
        wanted = ("string",) if column in manifest.encodings else _TAKES[dtype]
        if declared not in wanted:
            raise refusal(
                manifest,
                f"it takes the column {column} as {wanted[0]}, which is declared as {declared}: "
                f"{RETRAIN}",
            )
    if manifest.features_fingerprint == features.fingerprint():
        return
    changes = f"its fingerprint is {manifest.features_fingerprint[:12]}, now {features.fingerprint()[:12]}"
    if manifest.features:
        found = differences(manifest.features, features.describe())
        if not found:  # a function's source was not to be had
            return
        more = f"; and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
        changes = "; ".join(found[:_TOLD]) + more
    raise refusal(
        manifest, f"the feature set has changed since it was trained ({changes}): {RETRAIN}"
    )


def check_graph(manifest: Manifest, session: Session) -> None:
    """The graph has the manifest's inputs, and its outputs with their dtypes and shapes.

    Outputs the manifest does not name are allowed and never computed.
    """
    inputs = {node.name: node for node in session.get_inputs()}
    declared = {tensor.name for tensor in manifest.inputs}
    if inputs.keys() != declared:
        raise refusal(
            manifest,
            f"the graph's inputs are {_names(inputs)}, the manifest's {_names(declared)}: "
            "write the version again from one graph.",
        )
    for tensor in manifest.inputs:
        width = manifest.width(tensor)
        shapes: list[tuple[int, ...]] = [(width,)]
        if width == 1:
            shapes.append(())
        _check_node(manifest, "input", inputs[tensor.name], tensor.dtype, shapes)
    outputs = {node.name: node for node in session.get_outputs()}
    for output in manifest.outputs:
        if output.name not in outputs:
            raise refusal(
                manifest,
                f"the graph has no output {output.name}, it has {_names(outputs)}: "
                "write the version again from one graph.",
            )
        _check_node(manifest, "output", outputs[output.name], output.dtype, [output.shape])


def check_golden(model: Model, vectors: Sequence[GoldenVector], rows: Rows) -> None:
    """Its outputs have the dtypes and shapes declared, and meet the golden vectors of `rows`."""
    outputs = _score(model, rows)
    for output in model.manifest.outputs:
        values = outputs[output.name]
        dtype = np.dtype(object if output.dtype == "string" else output.dtype)
        if values.dtype != dtype or values.shape != (len(rows), *output.shape):
            raise refusal(
                model.manifest,
                f"its output {output.name} is {values.dtype} of shape {values.shape[1:]} a row, "
                f"declared {dtype} of shape {output.shape}: write the version again from one graph.",
            )
        for vector, got in zip(vectors, values.tolist(), strict=True):
            expected = vector.outputs[output.name]
            if not close(got, expected):
                raise refusal(
                    model.manifest,
                    f"golden vector {vector.case!r} gives {output.name} {got} where {expected} is "
                    f"expected: {_why_not_golden(model, got, expected)}",
                )


def _why_not_golden(model: Model, got: Any, expected: Any) -> str:
    decimals = model.manifest.score_decimals
    step = 0.0 if decimals is None else 10.0**-decimals
    try:
        gap = float(np.max(np.abs(np.asarray(got, float) - np.asarray(expected, float))))
    except (TypeError, ValueError):
        gap = math.inf
    if decimals is not None and gap <= step:
        return (
            f"it was written without the rounding to score_decimals = {decimals}; write the version "
            "with stream_app.package, which rounds what it writes."
        )
    return (
        "the graph runs differently here than where it was trained; train it again with this "
        "release of ONNX Runtime."
    )


def check_batches(model: Model, rows: Rows) -> None:
    """Each row gives the same bytes alone and in batches of `BATCH_SIZES`."""
    alone = _in_batches(model, rows, 1)
    for size in BATCH_SIZES:
        together = _in_batches(model, rows, size)
        for name, values in alone.items():
            differs = _differs(values, together[name])
            if differs.any():
                largest, mend = _how_far(values[differs], together[name][differs])
                raise refusal(
                    model.manifest,
                    f"in batches of {size} its output {name} differs from that of the same row "
                    f"alone for {differs.sum()} of {len(rows)} rows{largest}: {mend}",
                )


def _how_far(alone: npt.NDArray[Any], together: npt.NDArray[Any]) -> tuple[str, str]:
    """By how much a row's answer varies with its batch, and what to do."""
    largest = ""
    if alone.dtype.kind == "f":
        gaps = np.abs(alone - together)
        largest = f", by up to {np.nanmax(gaps):.1e}"
        # A missing value on one side alone is no matter of rounding either.
        if (gaps <= _ROUNDING * np.maximum(1.0, np.abs(alone))).all():
            return largest, "serve it with one thread, or write the version with score_decimals."
    return largest, (
        "that is no matter of rounding; it answers by the other rows of a batch too, for example by "
        "their mean. Let it answer for each row alone."
    )


def _check_node(
    manifest: Manifest,
    kind: str,
    node: Any,
    dtype: Dtype,
    shapes: Sequence[tuple[int, ...]],
) -> None:
    """The node has the dtype and one of the trailing shapes; an input has a free first axis."""
    if node.type != _GRAPH_TYPES[dtype]:
        raise refusal(
            manifest,
            f"its {kind} {node.name} is {_GRAPH_TYPES[dtype]} in the manifest, and {node.type} in "
            f"the graph: {_mend_type(node.type)}",
        )
    shape = node.shape
    if kind == "output" and not shape:
        return  # not inferred: the golden vectors will tell
    # Of outputs converters state a first axis that is wrong (onnxmltools: 1); scoring tells.
    if not shape or (kind == "input" and isinstance(shape[0], int)):
        raise refusal(
            manifest,
            f"its {kind} {node.name} has the fixed shape {shape}: export the graph with a free "
            "first axis, for the rows.",
        )
    rest = shape[1:]
    for wanted in shapes:
        if len(rest) == len(wanted) and all(
            not isinstance(is_, int) or is_ == want for is_, want in zip(rest, wanted, strict=True)
        ):
            return
    raise refusal(
        manifest,
        f"its {kind} {node.name} is declared with shape {shapes[0]} a row, the graph has "
        f"{tuple(rest)}: write the version again from one graph.",
    )


def _mend_type(found: str) -> str:
    if "map(" in found:
        return "export the model without ZipMap."
    known = next((dtype for dtype, name in _GRAPH_TYPES.items() if name == found), None)
    if known is None:
        return f"cast it in the graph to one of {', '.join(_GRAPH_TYPES)}."
    return f"write the version again; stream_app.package takes dtypes from the graph, here {known}."


def _score(model: Model, rows: Rows) -> Outputs:
    try:
        return model.score(rows)
    except ScoringError as error:
        raise refusal(
            model.manifest,
            f"the graph fails on a row of its own columns ({one_line(error.__cause__)}): train it again.",
        ) from error


def _in_batches(model: Model, rows: Rows, size: int) -> Outputs:
    batches = [_score(model, rows[at : at + size]) for at in range(0, len(rows), size)]
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def _differs(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Rows with other bytes, bool of shape (rows,)."""

    def flat(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        values = np.ascontiguousarray(values).reshape(len(values), -1)
        return values if values.dtype == object else values.view(np.uint8)

    mask: npt.NDArray[np.bool_] = (flat(left) != flat(right)).any(axis=1)
    return mask


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
