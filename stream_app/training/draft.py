"""A version before it is written: its golden vectors chosen, and held against every check of a start."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy.typing as npt

from stream_app.features.model_version.baseline import Baseline
from stream_app.features.model_version.folder import read_version, write_version
from stream_app.features.model_version.golden import GoldenEvent, GoldenVector
from stream_app.features.model_version.manifest import Manifest, ModelVersionError
from stream_app.features.usecase import UseCase
from stream_app.models.checks import check_batches, check_graph
from stream_app.models.errors import ModelRefusedError
from stream_app.models.loading import load_version, start_rows
from stream_app.models.model import Model
from stream_app.training.answer_reach import unreached_in_answer
from stream_app.training.golden_vectors import golden_vectors
from stream_app.training.matrix import Matrix
from stream_app.training.opened import OpenedGraph

__all__ = ["Draft"]

#: To how many decimals floats are rounded, in the order in which they are tried; None: not at all.
_DECIMALS: Final = (None, 6, 5, 4)


class Draft:
    """The parts of a version's folder."""

    def __init__(
        self,
        usecase: UseCase,
        graph: OpenedGraph,
        manifest: Manifest,
        baseline: Baseline,
        golden_events: Sequence[GoldenEvent],
    ) -> None:
        self.manifest = manifest
        self.vectors: list[GoldenVector] = []
        self._usecase = usecase
        self._graph = graph
        self._baseline = baseline
        self._golden_events = golden_events
        check_graph(manifest, graph.session)

    def choose_vectors(
        self,
        rows: Matrix,
        results: Mapping[str, npt.NDArray[Any]],
        score_decimals: int | None,
    ) -> None:
        """Make golden vectors, with outputs rounded as they will be served.

        Without `score_decimals` a model whose last bits vary with the batch is rounded as coarsely
        as it takes; `check` refuses what is left.
        """
        features = self._usecase.features
        for decimals in _DECIMALS if score_decimals is None else (score_decimals,):
            self.manifest = self.manifest.model_copy(update={"score_decimals": decimals})
            model = Model(self.manifest, self._baseline, self._graph.session, features.columns)
            self.vectors = golden_vectors(model, rows, results, features, self._baseline)
            try:
                check_batches(model, start_rows(self.vectors, self._baseline, features))
            except ModelRefusedError:
                continue
            return

    @property
    def without_answer(self) -> tuple[str, ...]:
        """The golden vectors for which the model gives no finite output."""
        return tuple(vector.case for vector in self.vectors if _is_empty(vector.outputs))

    def check(self) -> tuple[str, ...]:
        """Load it as the worker does, from a folder that nothing serves; raises `ModelRefusedError`.

        Returns the branches of the answer that no check runs through, in words.
        """
        with TemporaryDirectory() as elsewhere:
            folder = Path(elsewhere) / self.manifest.version
            self._write(folder)
            model = load_version(folder, self._usecase)
            return unreached_in_answer(self._usecase, model, read_version(folder))

    def write(self, folder: Path, *, renumber: bool) -> tuple[Path, Manifest, bool]:
        """Write the folder, or with `renumber` the next that is free or the same.

        Returns the folder, its manifest, and whether the same version stood there. Raises
        `ModelVersionError` where another one does.
        """
        while True:
            stood = folder.exists() and any(folder.iterdir())
            self.manifest = self.manifest.model_copy(update={"version": folder.name})
            try:
                return folder, self._write(folder), stood
            except ModelVersionError:
                if not renumber:
                    raise
            folder = folder.with_name(_next(folder.name))

    def _write(self, folder: Path) -> Manifest:
        return write_version(
            folder,
            self.manifest,
            model=self._graph.graph,
            baseline=self._baseline,
            golden=self.vectors,
            golden_events=self._golden_events,
        )


def _next(name: str) -> str:
    """``champion-2`` after ``champion-1``; ``first-2`` after ``first``."""
    stem, number = re.fullmatch(r"(.*?)(\d*)", name).groups()  # type: ignore[union-attr]
    return f"{stem}{int(number) + 1}" if number else f"{stem}-2"


def _is_empty(outputs: Mapping[str, Any]) -> bool:
    """Whether an output holds a number that is none: the worker then serves a fallback."""

    def empty(value: Any) -> bool:
        return any(map(empty, value)) if isinstance(value, list) else value is None

    return any(map(empty, outputs.values()))
