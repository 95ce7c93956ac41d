"""From a model to the folder of a version, in one call, with every check that serving makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from stream_app.features.model_version.baseline import measure_baseline
from stream_app.features.usecase import UseCase
from stream_app.training.describe import describe
from stream_app.training.export import export
from stream_app.training.golden_events import golden_events
from stream_app.training.matrix import Matrix
from stream_app.training.parity import compare
from stream_app.training.report import Packaged
from stream_app.training.served import is_served, name_to_serve, served_version

__all__ = ["package"]


def package(
    folder: str | Path,
    usecase: UseCase,
    model: Any,
    matrix: Matrix,
    *,
    decision: Mapping[str, JsonValue] | None = None,
    metrics: Mapping[str, float] | None = None,
    test: Matrix | None = None,
    expected: Mapping[str, npt.NDArray[Any]] | None = None,
    tolerance: float = 1e-5,
    inputs: Mapping[str, Sequence[str]] | None = None,
    outputs: Iterable[str] | Mapping[str, str] | None = None,
    score_decimals: int | None = None,
    baseline: Matrix | None = None,
    name: str | None = None,
    parameters: Mapping[str, JsonValue] | None = None,
    seed: int = 0,
    libraries: Iterable[str] = (),
    commit: str | None = None,
    created: datetime | None = None,
    renumber: bool = False,
) -> Packaged:
    """Write the folder of a model version, and check it as the worker does when it starts.

    `model`: an ONNX file (a path, its bytes, or a `ModelProto`; weights outside the file are taken in),
    or a fitted model of scikit-learn, LightGBM, XGBoost or PyTorch, which is exported and compared
    with the original row by row. `matrix`: the rows it was fitted on; `test`: rows it was not, on
    which export and original are compared and the golden vectors picked (by default the matrix).

    What a version serves by:

    - `decision`: handed to the use case's answer.
    - `inputs`: the columns of each input, where names and order do not say it.
    - `outputs`: those of the graph that serve, by default all; a mapping gives them other names.
    - `score_decimals`: round float outputs; by default only of a model whose last bits vary with the
      batch, to six decimals or less.

    What it is judged by:

    - `expected`: what the original of an ONNX file gives for the rows of `test`, by output.
    - `tolerance`: how far graph and original may differ, relative where they are above 1.
    - `baseline`: the rows that drift is measured from, by default the matrix.

    What is kept of it: `metrics`, `parameters`, `seed`, `libraries` (distributions that trained it),
    `commit` and `created`, by default the commit's time, so that the same code and data give the
    same bytes. `name`: of the model, by default the use case's.

    Nothing is written unless every check passes. Where the same version stands in the folder it is left
    as it is; another one is never written over: with `renumber` the next folder that is free or the
    same is taken (``fraud/1``, ``fraud/2``). Raises `PackageError`, `ModelRefusedError` for a check
    that failed, and `ModelVersionError` where another version stands in the folder.
    """
    # Here, so that importing the surface loads no runtime.
    from stream_app.training.draft import Draft
    from stream_app.training.opened import OpenedGraph

    folder = Path(folder)
    rows = matrix if test is None else test
    names = outputs if isinstance(outputs, Mapping) else None
    exported = export(model, matrix, names)
    serving = exported.outputs if outputs is None or names is not None else outputs
    graph = OpenedGraph(exported.graph, matrix, inputs or exported.inputs, serving)
    results = graph.run(rows)
    parity = compare(expected or exported.predict(rows), results, rows, tolerance)
    known = baseline or matrix
    measured = measure_baseline(
        {column: known.columns[column] for column in graph.columns}, _finite(graph.run(known))
    )
    manifest = describe(
        usecase,
        graph,
        matrix,
        results,
        name=name or usecase.name,
        version=folder.name,
        decision=decision or {},
        metrics={name: float(value) for name, value in (metrics or {}).items()},
        parameters=parameters or {},
        seed=seed,
        libraries=(*exported.libraries, *libraries),
        commit=commit,
        created=created,
    )
    golden = golden_events(usecase, matrix.golden)
    draft = Draft(usecase, graph, manifest, measured, golden.events)
    draft.choose_vectors(rows, results, score_decimals)
    unreached_in_answer = draft.check()
    folder, manifest, stood = draft.write(folder, renumber=renumber)
    return Packaged(
        folder=folder,
        manifest=manifest,
        stood_already=stood,
        parity=parity,
        unreached=(*golden.unreached, *unreached_in_answer),
        golden_events=len(golden.events),
        without_answer=draft.without_answer,
        name=name_to_serve(folder, usecase),
        is_served=is_served(folder, usecase),
        served=served_version(folder, usecase, manifest.name),
    )


def _finite(outputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """What a baseline is made of: numbers, with infinity as missing."""
    return {
        name: np.where(np.isinf(values), np.nan, values) if values.dtype.kind == "f" else values
        for name, values in outputs.items()
    }
