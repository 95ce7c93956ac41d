"""A graph that is open, with the columns that its inputs take: what a matrix can be run through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy.typing as npt

from stream_app.features.model_version.manifest import ModelOutput
from stream_app.models.session import open_session, why_not_opened
from stream_app.training.errors import PackageError
from stream_app.training.graph_contract import dtype_of, inputs_of, make_feed
from stream_app.training.matrix import Matrix

__all__ = ["OpenedGraph"]


class OpenedGraph:
    """A graph on the runtime that serves, one thread, as the worker opens it."""

    def __init__(
        self,
        graph: bytes,
        matrix: Matrix,
        inputs: Mapping[str, Sequence[str]] | None,
        outputs: Iterable[str] | None,
    ) -> None:
        """`inputs`: the columns of each; `outputs`: the names of those that serve; None: find out.

        Raises `PackageError` where the graph cannot be opened or does not go with the matrix.
        """
        self.graph = graph
        try:
            self.session = open_session(graph)
        except Exception as error:  # ONNX Runtime's exceptions have no common class
            raise PackageError(
                f"ONNX Runtime cannot open the graph: {why_not_opened(error)}."
            ) from error
        nodes = {node.name: node for node in self.session.get_outputs()}
        self._outputs = list(nodes if outputs is None else outputs)
        for name in self._outputs:
            if name not in nodes:
                raise PackageError(f"the graph has no output {name}, it has {', '.join(nodes)}.")
        self._dtypes = {name: dtype_of(nodes[name], "output") for name in self._outputs}
        self.inputs = inputs_of(self.session, matrix, inputs)

    @property
    def columns(self) -> list[str]:
        """The columns that its inputs take."""
        return [column for tensor in self.inputs for column in tensor.columns]

    def run(self, matrix: Matrix) -> dict[str, npt.NDArray[Any]]:
        """The outputs for each row, by name; raises `PackageError`."""
        feed = make_feed(self.session, self.inputs, matrix)
        try:
            results = self.session.run(self._outputs, feed)
        except Exception as error:  # ONNX Runtime's exceptions have no common class
            raise PackageError(
                f"the graph fails on the rows of the matrix: {_line(error)}"
            ) from error
        for name, values in zip(self._outputs, results, strict=True):
            if values.shape[:1] != (len(matrix),):
                raise PackageError(
                    f"the graph's output {name} has the shape {values.shape} for {len(matrix)} rows: "
                    "export it with a free first axis, for the rows."
                )
        return dict(zip(self._outputs, results, strict=True))

    def outputs(self, results: Mapping[str, npt.NDArray[Any]]) -> tuple[ModelOutput, ...]:
        """Its outputs, with the dtypes it declares and the shapes that `results` have."""
        return tuple(
            ModelOutput(name=name, dtype=self._dtypes[name], shape=values.shape[1:])
            for name, values in results.items()
        )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
