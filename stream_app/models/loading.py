"""Loading a model version: every check before the first record is taken, then warm-up."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stream_app.features.model_version.baseline import Baseline
from stream_app.features.model_version.folder import read_version
from stream_app.features.model_version.golden import GoldenVector
from stream_app.features.model_version.manifest import ModelVersionError
from stream_app.features.usecase import InputTopic, UseCase
from stream_app.features.views import FeatureSet
from stream_app.models.answer_checks import check_answers
from stream_app.models.checks import (
    BATCH_SIZES,
    check_batches,
    check_features,
    check_golden,
    check_graph,
    refusal,
)
from stream_app.models.columns import check_columns
from stream_app.models.declaration_faults import check_declaration
from stream_app.models.errors import ModelRefusedError
from stream_app.models.model import Model
from stream_app.models.replay_check import check_replay, replayed
from stream_app.models.samples import golden_row, sample_rows
from stream_app.models.session import open_session, why_not_opened
from stream_app.models.tensors import Rows

__all__ = ["load_model", "load_models", "load_version", "start_rows"]


def load_models(usecase: UseCase, artifacts: Path) -> list[Model]:
    """Load every model that a use case serves by, the champion first; see `load_model`.

    Raises `ConfigurationError` for a part of another kind than it is declared, and a column that does not hold what it declares where nothing is
    known. Refused as well is a version of whose golden events and outputs the use case makes no valid
    prediction.
    """
    check_declaration(usecase)
    check_columns(usecase.features)
    return [load_version(artifacts / name, usecase) for name in usecase.models]


def load_version(folder: Path, usecase: UseCase) -> Model:
    """Load one version that a use case serves by; see `load_models`."""
    model = load_model(folder, usecase.features, usecase.topics)
    check_answers(model, usecase, read_version(folder))
    return model


def load_model(
    folder: Path, features: FeatureSet, topics: Iterable[InputTopic], *, threads: int = 1
) -> Model:
    """Load the version in `folder` for a use case's features and topics.

    Refused, by `ModelRefusedError` with one sentence, are: a file missing, unlisted or with another
    hash; columns, dtypes or a fingerprint other than the feature set's; inputs or outputs other
    than the graph's; golden vectors or golden events not met (see `stream_app.features.model_version.golden.RELATIVE`); and
    a row that gives other bytes alone than in a batch at `threads` threads.
    """
    try:
        version = read_version(folder)
    except ModelVersionError as error:
        raise ModelRefusedError(str(error)) from error
    manifest = version.manifest
    rows = replayed(manifest, features, topics, version.golden_events)
    check_features(manifest, features)
    try:
        session = open_session(version.model, threads)
    except Exception as error:  # ONNX Runtime's exceptions have no common class
        raise refusal(
            manifest,
            f"ONNX Runtime cannot open its graph ({why_not_opened(error)}): "
            "export it for the release and the machine that serve.",
        ) from error
    check_graph(manifest, session)
    check_replay(manifest, features, version.golden_events, rows)
    model = Model(manifest, version.baseline, session, features.columns)
    golden = [golden_row(vector, features) for vector in version.golden]
    check_golden(model, version.golden, golden)
    samples = start_rows(version.golden, version.baseline, features)
    check_batches(model, samples)
    _warm_up(model, samples)
    return model


def start_rows(
    golden: Iterable[GoldenVector], baseline: Baseline, features: FeatureSet
) -> list[list[Any]]:
    """The rows on which a version proves at each start that a batch changes no bytes."""
    rows = [golden_row(vector, features) for vector in golden]
    return rows + sample_rows(baseline, features, max(BATCH_SIZES))


def _warm_up(model: Model, rows: Rows) -> None:
    """Score as serving will, so that the first record does not wait for memory to be mapped.

    `check_batches` has scored batches of every size but this one.
    """
    model.score(rows)
