"""Train the demo's models: ``python -m features.flights.training.train``.

Fitted on January to June of 2013, judged on July to December. The matrix comes from the replay of
the log alone. Two versions are written below `artifacts/`: the champion, and a static model of the
schedule only, which serves when the state cannot be trusted. The same code and data give the same
bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import math
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version as installed
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import lightgbm
import numpy as np
import numpy.typing as npt
import onnxruntime
from pydantic import JsonValue
from sklearn.metrics import f1_score, log_loss, roc_auc_score

from features.flights import usecase
from features.flights.clock import local_date, local_midnight
from features.flights.data.year import events, records
from features.flights.training.graph import CATEGORIES, FEATURES, SCORE, Encoding, build_graph
from features.flights.training.matrix import Matrix, build_matrix
from stream_app import (
    GoldenVector,
    Manifest,
    ModelInput,
    ModelOutput,
    TrainingData,
    measure_baseline,
    record_golden_events,
    write_version,
)

__all__ = ["Trained", "fit", "main", "train"]

log = logging.getLogger(__name__)

SEED: Final = 2013
TREES: Final = 200
PARAMETERS: Final[dict[str, Any]] = {
    "objective": "binary",
    "num_leaves": 31,
    "learning_rate": 0.05,
    "min_data_in_leaf": 100,
    # One thread, fixed histograms: the same bytes each time.
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": SEED,
    "verbosity": -1,
}
#: A category's mean label counts as if so many rows of the general mean came with it.
ENCODING_WEIGHT: Final = 50.0
#: How far the graph may be from LightGBM: the graph adds its trees up in single precision.
PARITY: Final = 1e-6

FIRST_DAY: Final = date(2013, 1, 1)
#: The threshold is chosen on the rows from here on, by a model fitted on the rows before.
THRESHOLD_DAY: Final = date(2013, 5, 1)
SPLIT_DAY: Final = date(2013, 7, 1)
#: A busy day of the test half with a storm, and aircraft with four legs or more on it. The empty
#: name stands for the weather, which has none.
GOLDEN_DAY: Final = date(2013, 12, 5)
GOLDEN_AIRCRAFT: Final = ("", "N957UW", "N184JB", "N239JB", "N510JB")

_DATA = Path(__file__).parents[1] / "data"


@dataclass(frozen=True)
class Trained:
    """A fitted model: its graph, and the threshold of its answer."""

    graph: bytes
    booster: lightgbm.Booster
    encodings: Sequence[Encoding]
    threshold: float

    def score(self, rows: Matrix) -> npt.NDArray[np.float32]:
        """Scores by the graph, shape (rows,), as serving computes them."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            self.graph, options, providers=["CPUExecutionProvider"]
        )
        feed = {FEATURES: rows.numbers, CATEGORIES: rows.strings}
        (scores,) = session.run([SCORE], feed)
        return np.asarray(scores, dtype=np.float32)


def fit(rows: Matrix, threshold_from: float, trees: int = TREES) -> Trained:
    """Fit encodings, trees and threshold on labelled rows.

    The threshold is the best for the rows of `threshold_from` (seconds since the epoch) and later,
    by a model fitted on those before. Raises `ValueError` where the graph does not compute what
    LightGBM computes.
    """
    early = rows.times < threshold_from
    encodings, booster = _boost(rows.take(early), trees)
    late = rows.take(~early)
    threshold = _best_threshold(late.labels, _predict(booster, encodings, late))
    encodings, booster = _boost(rows, trees)
    graph = build_graph(booster, rows.numbers.shape[1], encodings)
    trained = Trained(graph.SerializeToString(deterministic=True), booster, encodings, threshold)
    difference = np.abs(trained.score(rows) - _predict(booster, encodings, rows)).max()
    if not difference <= PARITY:
        raise ValueError(f"the graph differs from LightGBM by {difference:.1e}")
    log.info("graph and LightGBM differ by at most %.1e", difference)
    return trained


def _boost(rows: Matrix, trees: int) -> tuple[list[Encoding], lightgbm.Booster]:
    encodings = [
        Encoding.target_mean(column, rows.labels, ENCODING_WEIGHT) for column in rows.strings.T
    ]
    data = lightgbm.Dataset(_encoded(encodings, rows), rows.labels)
    return encodings, lightgbm.train(PARAMETERS, data, trees)


def _encoded(encodings: Sequence[Encoding], rows: Matrix) -> npt.NDArray[np.float32]:
    columns = [encoding(column) for encoding, column in zip(encodings, rows.strings.T, strict=True)]
    return np.column_stack([rows.numbers, *columns])


def _predict(
    booster: lightgbm.Booster, encodings: Sequence[Encoding], rows: Matrix
) -> npt.NDArray[np.float64]:
    return np.asarray(booster.predict(_encoded(encodings, rows)))


def _best_threshold(labels: npt.NDArray[np.float64], scores: npt.NDArray[np.float64]) -> float:
    candidates = np.arange(5, 96) / 100
    best = max(candidates, key=lambda threshold: f1_score(labels, scores >= threshold))
    return float(best)


def evaluate(rows: Matrix, trained: Trained) -> dict[str, float]:
    """How good it is on rows it was not fitted on, in all and by month."""
    labels = rows.labels
    scores = trained.score(rows).astype(np.float64)
    answers = scores >= trained.threshold
    metrics = {
        "test_rows": float(len(labels)),
        "test_share_late": float(labels.mean()),
        "test_auc": float(roc_auc_score(labels, scores)),
        "test_log_loss": float(log_loss(labels, scores)),
        "test_calibration_error": _calibration_error(labels, scores),
        "test_f1": float(f1_score(labels, answers)),
        "test_precision": float(labels[answers].mean()),
        "test_recall": float(answers[labels == 1.0].mean()),
    }
    months = np.array([local_date(time).month for time in rows.times.tolist()])
    for month in np.unique(months).tolist():
        those = months == month
        metrics[f"test_auc_2013_{month:02}"] = float(roc_auc_score(labels[those], scores[those]))
    return {name: round(value, 6) for name, value in metrics.items()}


def _calibration_error(
    labels: npt.NDArray[np.float64], scores: npt.NDArray[np.float64], bins: int = 10
) -> float:
    """Mean distance of score and share late over bins of equal score width, weighted by rows."""
    which = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = np.bincount(which, weights=scores - labels, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def train(artifacts: Path, code_commit: str, created: datetime) -> None:
    """Write both versions below `artifacts`, in place of what was there."""
    log.info("replaying the year")
    matrix = build_matrix(usecase, events())
    state_free = [f.name for f in usecase.features.row_features if f.name in matrix.number_columns]
    for folder, name, rows in (
        (usecase.champion, "flights-late", matrix),
        (usecase.fallbacks[0], "flights-late-static", matrix.only(state_free)),
    ):
        log.info("fitting %s on %d columns", folder, rows.numbers.shape[1])
        _write(artifacts / folder, name, rows, code_commit, created)


def _write(folder: Path, name: str, matrix: Matrix, code_commit: str, created: datetime) -> None:
    window = matrix.take(matrix.times < local_midnight(SPLIT_DAY))
    fitted = window.take(~np.isnan(window.labels))
    test = matrix.take((matrix.times >= local_midnight(SPLIT_DAY)) & ~np.isnan(matrix.labels))
    trained = fit(fitted, local_midnight(THRESHOLD_DAY))
    metrics = evaluate(test, trained)
    log.info("%s: %s", folder.name, metrics)
    manifest = Manifest(
        name=name,
        version=folder.name,
        inputs=(
            ModelInput(name=FEATURES, dtype="float32", columns=matrix.number_columns),
            ModelInput(name=CATEGORIES, dtype="string", columns=matrix.string_columns),
        ),
        features_fingerprint=usecase.features.fingerprint(),
        outputs=(ModelOutput(name=SCORE, dtype="float32"),),
        decision={"threshold": trained.threshold},
        training_data=TrainingData(
            start=_moment(FIRST_DAY),
            end=_moment(SPLIT_DAY),
            rows=len(fitted.labels),
            sha256=_data_sha256(),
        ),
        code_commit=code_commit,
        parameters={**PARAMETERS, "trees": TREES, "encoding_weight": ENCODING_WEIGHT},
        seed=SEED,
        metrics=metrics,
        libraries=_libraries(),
        created=created,
    )
    if folder.exists():
        shutil.rmtree(folder)
    write_version(
        folder,
        manifest,
        model=trained.graph,
        # Of all rows of the window, cancelled flights too: what serving will see.
        baseline=measure_baseline(window.by_column(), {SCORE: trained.score(window)}),
        golden=golden_vectors(trained, test),
        golden_events=record_golden_events(usecase.features, usecase.topics, golden_log()),
    )


def golden_vectors(trained: Trained, rows: Matrix) -> list[GoldenVector]:
    """Rows of the test half that stand for something, and made-up ones at the edges."""
    scores = trained.score(rows)
    order = np.argsort(scores, kind="stable")
    missing = np.isnan(rows.numbers).sum(axis=1)
    picked = {
        "the lowest score": order[0],
        "a middling score": order[len(order) // 2],
        "the highest score": order[-1],
        "the most numbers missing": int(missing.argmax()),
        "the first row of the test half": 0,
        "the last row of the test half": len(scores) - 1,
    }
    usual = rows.take(np.arange(len(scores)) == order[len(order) // 2])
    unseen = np.full_like(usual.strings, "never seen")
    cases = [(case, rows.numbers[[at]], rows.strings[[at]]) for case, at in picked.items()]
    cases += [
        ("every number missing", np.full_like(usual.numbers, math.nan), usual.strings),
        ("every category unseen", usual.numbers, unseen),
        ("nothing known", np.full_like(usual.numbers, math.nan), unseen),
    ]
    numbers = np.concatenate([number for _, number, _ in cases])
    strings = np.concatenate([string for _, _, string in cases])
    together = Matrix(
        np.zeros(len(cases)),
        numbers,
        rows.number_columns,
        strings,
        rows.string_columns,
        np.zeros(len(cases)),
    )
    columns = together.by_column()
    return [
        GoldenVector(
            case=case,
            columns={name: column[i] for name, column in columns.items()},
            outputs={SCORE: float(score)},
        )
        for i, ((case, _, _), score) in enumerate(zip(cases, trained.score(together), strict=True))
    ]


def golden_log() -> list[tuple[str, JsonValue | bytes]]:
    """A day of a few busy aircraft, with the weather: every view is updated and read."""
    day_after = local_midnight(GOLDEN_DAY + timedelta(days=1))
    day = takewhile(lambda record: record.known_at < day_after, records(GOLDEN_DAY))
    log = ((record.topic, json.loads(record.value)) for record in day)
    return [
        (topic, event) for topic, event in log if event.get("tail_number", "") in GOLDEN_AIRCRAFT
    ]


def _moment(day: date) -> datetime:
    return datetime.fromtimestamp(local_midnight(day), UTC)


def _data_sha256() -> str:
    """Of the vendored files, one after the other in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(_DATA.glob("*.xz")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _libraries() -> Mapping[str, str]:
    names = ("lightgbm", "numpy", "onnx", "onnxmltools", "onnxruntime", "scikit-learn", "tzdata")
    return {"python": platform.python_version(), **{name: installed(name) for name in names}}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", *arguments],  # noqa: S607 - whichever git the trainer has
            cwd=Path(__file__).parent,
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _code() -> tuple[str, datetime]:
    """Commit of the training code and its time; outside a repository the end of the log."""
    commit = _git("rev-parse", "HEAD")
    time = _git("show", "-s", "--format=%cI", "HEAD")
    if not commit or not time:
        return "unknown", datetime(2014, 1, 1, tzinfo=UTC)
    changed = _git("status", "--porcelain", "--", "..")
    return f"{commit}-dirty" if changed else commit, datetime.fromisoformat(time)


def main(arguments: Sequence[str]) -> int:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m features.flights.training.train")
    parser.add_argument(
        "--artifacts", type=Path, default=Path("artifacts"), help="root of the model versions"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train(options.artifacts, *_code())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
