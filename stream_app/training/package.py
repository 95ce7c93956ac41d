"""From a model to the folder of a version, in one call, with every check that serving makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue, ValidationError

from stream_app.features.model_version.baseline import measure_baseline
from stream_app.features.model_version.folder import write_version
from stream_app.features.model_version.manifest import Manifest, TrainingData
from stream_app.features.usecase import UseCase
from stream_app.training.errors import PackageError
from stream_app.training.export import export
from stream_app.training.golden_events import golden_events
from stream_app.training.graph_contract import (
    Feed,
    check_output_types,
    inputs_of,
    make_feed,
    outputs_of,
)
from stream_app.training.matrix import Matrix
from stream_app.training.parity import compare
from stream_app.training.provenance import code_commit, commit_time, libraries
from stream_app.training.report import Packaged

__all__ = ["package"]

#: To how many decimals floats are rounded, in the order in which they are tried; None: not at all.
_DECIMALS: Final = (None, 6, 5, 4)


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
    name: str | None = None,
    inputs: Mapping[str, Sequence[str]] | None = None,
    outputs: Iterable[str] | None = None,
    score_decimals: int | None = None,
    baseline: Matrix | None = None,
    parameters: Mapping[str, JsonValue] | None = None,
    seed: int = 0,
    training_libraries: Iterable[str] = (),
    commit: str | None = None,
    created: datetime | None = None,
) -> Packaged:
    """Write the folder of a model version, and check it as the worker does when it starts.

    `model`: an ONNX file (a path, its bytes, or a `ModelProto`; weights outside the file are taken in),
    or a fitted model of scikit-learn, LightGBM, XGBoost or PyTorch, which is exported and compared
    with the original row by row. `matrix`: the rows it was fitted on; `test`: rows it was not, on
    which export and original are compared and the golden vectors picked (by default the matrix).

    `decision`: handed to the use case's answer. `expected`: what the original of an ONNX file gives for
    the rows of `test`, by output, each within `tolerance`. `inputs`: the columns of each input, where
    names and order do not say it; `outputs`: those of the graph that serve, by default all.
    `score_decimals`: round float outputs; by default only of a model whose last bits vary with the
    batch, to six decimals or less. `baseline`: the rows that drift is judged against, by default the matrix.
    `created`: by default the commit's time, so that the same code and data give the same bytes.

    Nothing is written unless every check passes. A version that stands already is left as it is
    where it is the same, and never written over. Raises `PackageError`, `ModelRefusedError` of a
    check that failed, and `ModelVersionError` where another version stands in the folder.
    """
    from stream_app.models.checks import check_batches, check_graph
    from stream_app.models.errors import ModelRefusedError
    from stream_app.models.loading import load_version, start_rows
    from stream_app.models.model import Model
    from stream_app.models.session import open_session
    from stream_app.training.golden_vectors import golden_vectors

    folder, features = Path(folder), usecase.features
    rows = matrix if test is None else test
    exported = export(model, matrix)
    try:
        session = open_session(exported.graph)
    except Exception as error:  # ONNX Runtime's exceptions have no common class
        why = " ".join(str(error).split())
        raise PackageError(f"ONNX Runtime cannot open the graph: {why}") from error
    computed = check_output_types(session, exported.outputs if outputs is None else outputs)
    tensors = inputs_of(session, matrix, inputs or exported.inputs)
    results = _run(session, computed, make_feed(session, tensors, rows))
    parity = compare(
        exported.predict(rows) if expected is None else expected, results, rows, tolerance
    )
    known = baseline or matrix
    measured = measure_baseline(
        {column: known.columns[column] for tensor in tensors for column in tensor.columns},
        _finite(_run(session, computed, make_feed(session, tensors, known))),
    )
    here = Path.cwd()
    taken = {column for tensor in tensors for column in tensor.columns}
    try:
        manifest = Manifest(
            name=name or usecase.name,
            version=folder.name,
            inputs=tensors,
            encodings={c: e for c, e in matrix.encodings.items() if c in taken},
            features_fingerprint=features.fingerprint(),
            outputs=outputs_of(session, results, computed),
            decision=decision or {},
            score_decimals=score_decimals,
            training_data=_training_data(matrix),
            code_commit=commit or code_commit(here),
            parameters=parameters or {},
            seed=seed,
            metrics={name: float(value) for name, value in (metrics or {}).items()},
            libraries=libraries((*exported.libraries, *training_libraries)),
            created=created or commit_time(here) or _end(matrix),
        )
    except ValidationError as error:
        raise PackageError(f"the manifest of {folder}: {_first(error)}") from None
    check_graph(manifest, session)
    golden = golden_events(usecase, matrix.golden)
    # A model whose last bits vary with the batch is rounded, as coarsely as it takes.
    for decimals in _DECIMALS if score_decimals is None else (score_decimals,):
        manifest = manifest.model_copy(update={"score_decimals": decimals})
        served = Model(manifest, measured, session, features.columns)
        vectors = golden_vectors(served, rows, results, features, measured)
        try:
            check_batches(served, start_rows(vectors, measured, features))
            break
        except ModelRefusedError:
            if decimals == _DECIMALS[-1] or score_decimals is not None:
                raise
    write = partial(
        write_version,
        manifest=manifest,
        model=exported.graph,
        baseline=measured,
        golden=vectors,
        golden_events=golden.events,
    )
    # Written elsewhere first: what the worker would refuse never stands where it looks.
    with TemporaryDirectory() as elsewhere:
        draft = Path(elsewhere) / folder.name
        write(draft)
        load_version(draft, usecase)
    stood = folder.exists()
    manifest = write(folder)
    return Packaged(
        folder=folder,
        manifest=manifest,
        stood_already=stood,
        parity=parity,
        unreached=golden.unreached,
        golden_events=len(golden.events),
        without_answer=tuple(v.case for v in vectors if _is_empty(v.outputs)),
        is_served=any(Path(served).name == folder.name for served in usecase.models),
    )


def _run(session: Any, names: list[str], feed: Feed) -> dict[str, npt.NDArray[Any]]:
    try:
        results = session.run(names, feed)
    except Exception as error:  # ONNX Runtime's exceptions have no common class
        why = " ".join(str(error).split())
        raise PackageError(f"the graph fails on the rows of the matrix: {why}") from error
    found = dict(zip(names, results, strict=True))
    rows = len(next(iter(feed.values())))
    for name, values in found.items():
        if values.shape[:1] != (rows,):
            raise PackageError(
                f"the graph's output {name} has the shape {values.shape} for {rows} rows: export it "
                "with a free first axis, for the rows."
            )
    return found


def _finite(outputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """What a baseline is made of: numbers, with infinity as missing."""
    return {
        name: np.where(np.isinf(values), np.nan, values) if values.dtype.kind == "f" else values
        for name, values in outputs.items()
    }


def _training_data(matrix: Matrix) -> TrainingData:
    return TrainingData(
        start=datetime.fromtimestamp(float(matrix.times.min()), UTC),
        end=_end(matrix),
        rows=len(matrix),
        sha256=matrix.sha256(),
    )


def _end(matrix: Matrix) -> datetime:
    """The first moment after all rows."""
    return datetime.fromtimestamp(float(matrix.times.max()), UTC) + timedelta(microseconds=1)


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _is_empty(outputs: Mapping[str, Any]) -> bool:
    """Whether an output holds a number that is none: the worker then serves a fallback."""

    def empty(value: Any) -> bool:
        return any(map(empty, value)) if isinstance(value, list) else value is None

    return any(map(empty, outputs.values()))
