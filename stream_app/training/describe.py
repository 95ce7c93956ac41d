"""The manifest of a version: what it takes and gives, and where it came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt
from pydantic import ValidationError

from stream_app.features.model_version.manifest import Manifest, TrainingData
from stream_app.features.usecase import UseCase
from stream_app.training.errors import PackageError
from stream_app.training.matrix import Matrix
from stream_app.training.provenance import code_commit, commit_time, versions_of

if TYPE_CHECKING:
    from stream_app.training.opened import OpenedGraph

__all__ = ["describe"]


def describe(
    usecase: UseCase,
    graph: OpenedGraph,
    matrix: Matrix,
    results: Mapping[str, npt.NDArray[Any]],
    *,
    libraries: Iterable[str],
    commit: str | None,
    created: datetime | None,
    **given: Any,
) -> Manifest:
    """The manifest of a graph trained on `matrix`; `given`: its fields as they are.

    Raises `PackageError` for a field that breaks the manifest's contract.
    """
    here = Path.cwd()
    taken = {*graph.columns}
    try:
        return Manifest(
            inputs=graph.inputs,
            encodings={name: e for name, e in matrix.encodings.items() if name in taken},
            features_fingerprint=usecase.features.fingerprint(),
            features=usecase.features.describe(),
            outputs=graph.outputs(results),
            training_data=TrainingData(
                start=datetime.fromtimestamp(float(matrix.times.min()), UTC),
                end=_end(matrix),
                rows=len(matrix),
                sha256=matrix.sha256(),
            ),
            code_commit=commit or code_commit(here),
            libraries=versions_of(libraries),
            created=created or commit_time(here) or _end(matrix),
            **given,
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the manifest"
        raise PackageError(f"{where} of the version: {first['msg']}.") from None


def _end(matrix: Matrix) -> datetime:
    """The first moment after all rows."""
    return datetime.fromtimestamp(float(matrix.times.max()), UTC) + timedelta(microseconds=1)
