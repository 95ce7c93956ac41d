"""A loaded model version: rows in, named outputs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_app.features.model_version.baseline import Baseline
from stream_app.features.model_version.manifest import Manifest
from stream_app.models.errors import ScoringError
from stream_app.models.session import Session
from stream_app.models.tensors import Rows, to_tensor

__all__ = ["Model", "Outputs", "finite"]

#: Named outputs, each of shape (rows, ...).
Outputs = dict[str, npt.NDArray[Any]]


class Model:
    """A model version that can score.

    `load_model` makes one, all checks done. `columns` are the feature set's, in its order: what
    a row given to `score` holds.
    """

    def __init__(
        self,
        manifest: Manifest,
        baseline: Baseline,
        session: Session,
        columns: Sequence[str],
    ) -> None:
        self.manifest = manifest
        self.baseline = baseline
        """How columns and outputs were distributed in training."""
        self.name = manifest.name
        self.version = manifest.version
        self.inputs = manifest.inputs
        """The graph's input tensors: name, dtype and columns, in order."""
        self._run = session.run
        self._names = [output.name for output in manifest.outputs]
        at = self._at = {column: i for i, column in enumerate(columns)}
        self._encoded = {at[c]: encoding.table() for c, encoding in manifest.encodings.items()}
        ranks = {node.name: len(node.shape) for node in session.get_inputs()}
        self._tensors = [
            (
                tensor.name,
                to_tensor(
                    tensor.dtype,
                    [at[c] for c in tensor.columns],
                    flat=ranks[tensor.name] == 1,
                    encoded=self._encoded,
                ),
            )
            for tensor in manifest.inputs
        ]
        self._rounded = [
            (output.name, np.dtype(output.dtype))
            for output in manifest.outputs
            if manifest.score_decimals is not None and output.dtype.startswith("float")
        ]
        self._decimals = manifest.score_decimals or 0

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def score(self, rows: Rows) -> Outputs:
        """Score rows of the feature set's columns; at least one, at most a few thousand.

        Returns the manifest's outputs, each of its dtype (strings: object) and of shape
        (rows, *trailing shape), rounded where the manifest says so. A row gives the same bytes in
        any batch. Raises `ScoringError`.
        """
        try:
            feed = {name: tensor(rows) for name, tensor in self._tensors}
            results = self._run(self._names, feed)
        except Exception as error:  # ONNX Runtime's exceptions have no common class
            why = self._misfit(rows[0]) if len(rows) == 1 else ""
            raise ScoringError(f"{self} cannot score {len(rows)} row(s): {error}", why) from error
        outputs: Outputs = dict(zip(self._names, results, strict=True))
        for name, dtype in self._rounded:
            # In double, where a decimal step is far from the last bit; + 0.0 turns -0.0 into 0.0.
            exact = outputs[name].astype(np.float64)
            outputs[name] = (np.round(exact, self._decimals) + 0.0).astype(dtype)
        return outputs

    def _misfit(self, row: Sequence[Any]) -> str:
        """Which column of a row holds what its input does not take; empty if none does."""
        for tensor in self.inputs:
            for column in tensor.columns:
                try:
                    to_tensor(tensor.dtype, [self._at[column]], encoded=self._encoded)([row])
                except Exception:  # noqa: BLE001 - it may hold anything
                    held = type(row[self._at[column]]).__name__
                    wanted = "string" if column in self.manifest.encodings else tensor.dtype
                    return f"column {column} holds a {held} that is no {wanted}"
        return ""


def finite(outputs: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.bool_]:
    """Which rows have only finite numbers in all outputs: bool, of shape (rows,)."""
    masks = [
        np.isfinite(array).reshape(len(array), -1).all(axis=1)
        if array.ndim > 1
        else np.isfinite(array)
        for array in outputs.values()
        if array.dtype.kind == "f"
    ]
    if not masks:
        return np.ones(len(next(iter(outputs.values()))), dtype=np.bool_)
    mask: npt.NDArray[np.bool_] = masks[0] if len(masks) == 1 else np.logical_and.reduce(masks)
    return mask
