"""What a model version must prove before it may serve. Each check raises `ModelRefusedError`.

The sentences say what is wrong and what to do, for whoever just deployed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_app.features.events import InvalidEventError
from stream_app.features.model_version.golden import GoldenEvent, GoldenVector, close, replay_rows
from stream_app.features.model_version.manifest import Manifest
from stream_app.features.usecase import InputTopic
from stream_app.features.views import FeatureSet
from stream_app.models.errors import ModelRefusedError, ScoringError
from stream_app.models.model import Model, Outputs
from stream_app.models.session import Session
from stream_app.models.tensors import Rows
from stream_app.text.causes import FeatureError

__all__ = [
    "BATCH_SIZES", "check_batches", "check_features", "check_golden", "check_graph", "check_replay",
    "one_line", "refusal",
]  # fmt: skip

#: A row must give the same bytes alone and in batches of these sizes.
BATCH_SIZES = (2, 7, 32, 64, 256)

_RETRAIN = "train a version with this feature set, or serve it with the code it was trained with."

_GRAPH_TYPES = {
    "float32": "tensor(float)",
    "float64": "tensor(double)",
    "int64": "tensor(int64)",
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
                manifest, f"it takes the column {column}, which is not declared: {_RETRAIN}"
            )
        if declared != dtype:
            raise refusal(
                manifest,
                f"it takes the column {column} as {dtype}, which is declared as {declared}: "
                f"{_RETRAIN}",
            )
    if manifest.features_fingerprint != features.fingerprint():
        raise refusal(
            manifest,
            "the feature set has changed since it was trained (its fingerprint is "
            f"{manifest.features_fingerprint[:12]}, now {features.fingerprint()[:12]}): {_RETRAIN}",
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
        shapes: list[tuple[int, ...]] = [(len(tensor.columns),)]
        if len(tensor.columns) == 1:
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
                    "expected: the graph runs differently here than where it was trained; train "
                    "it again with this release of ONNX Runtime.",
                )


def check_replay(
    manifest: Manifest,
    features: FeatureSet,
    topics: Iterable[InputTopic],
    events: Sequence[GoldenEvent],
) -> None:
    """The feature code computes for the golden events the columns it computed in training."""
    try:
        rows = replay_rows(features, topics, events)
    except KeyError as error:
        raise refusal(
            manifest, f"its golden events come from an unknown topic, {error}: {_RETRAIN}"
        ) from None
    except InvalidEventError as error:
        raise refusal(
            manifest, f"a golden event is no longer a valid event ({error}): {_RETRAIN}"
        ) from None
    except FeatureError as error:
        raise refusal(
            manifest,
            f"the feature code fails on its golden events ({error}; "
            f"{one_line(error.__cause__)}): mend the use case.",
        ) from error
    except Exception as error:  # a decoder may raise anything
        raise refusal(
            manifest,
            f"replaying its golden events raised {type(error).__name__} ({one_line(error)}): {_RETRAIN}",
        ) from error
    for number, (event, row) in enumerate(zip(events, rows, strict=True), start=1):
        if (event.columns is None) != (row is None):
            asks = "no longer asks" if row is None else "now asks"
            raise refusal(manifest, f"golden event {number} {asks} for a prediction: {_RETRAIN}")
        for column, expected in (event.columns or {}).items():
            got = (row or {}).get(column)
            if not close(got, expected):
                raise refusal(
                    manifest,
                    f"golden event {number} gives the column {column} as {got} where "
                    f"{'nothing' if expected is None else expected} is expected, so its feature "
                    f"code has changed: {_RETRAIN}",
                )


def check_batches(model: Model, rows: Rows) -> None:
    """Each row gives the same bytes alone and in batches of `BATCH_SIZES`."""
    alone = _in_batches(model, rows, 1)
    for size in BATCH_SIZES:
        together = _in_batches(model, rows, size)
        for name, values in alone.items():
            differs = _differs(values, together[name])
            if differs.any():
                largest = ""
                if values.dtype.kind == "f":
                    gap = np.nanmax(np.abs(values[differs] - together[name][differs]))
                    largest = f", by up to {gap:.1e}"
                raise refusal(
                    model.manifest,
                    f"in batches of {size} its output {name} differs from that of the same row "
                    f"alone for {differs.sum()} of {len(rows)} rows{largest}: serve it with one "
                    "thread, or write the version with score_decimals.",
                )


def _check_node(
    manifest: Manifest,
    kind: str,
    node: Any,
    dtype: str,
    shapes: Sequence[tuple[int, ...]],
) -> None:
    """The node has the dtype and one of the trailing shapes; an input has a free first axis."""
    if node.type != _GRAPH_TYPES[dtype]:
        hint = "convert it without ZipMap" if "map(" in node.type else "declare that dtype"
        raise refusal(
            manifest,
            f"its {kind} {node.name} is declared {dtype}, the graph has {node.type}: {hint}.",
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
