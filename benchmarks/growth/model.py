"""A model version of a generated use case, trained once and kept in `.cache/growth`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

from benchmarks.growth.feed import readings
from benchmarks.growth.shape import MLP, TOPIC, Shape, make_usecase
from demo.worker import ROOT
from stream_app import LogRecord, make_matrix, package

__all__ = ["ARTIFACTS", "artifacts_of"]

_ROWS: Final = 3_000
ARTIFACTS: Final = ROOT / ".cache" / "growth"


def artifacts_of(shape: Shape, folder: Path = ARTIFACTS) -> Path:
    """The folder of the versions that a use case of this shape names; made if it is not there."""
    usecase = make_usecase(shape)
    known = f"{shape.trees} {usecase.features.fingerprint()}"
    artifacts = folder / hashlib.sha256(known.encode()).hexdigest()[:16]
    if not (artifacts / usecase.champion).exists():
        log = [
            LogRecord(value, key, timestamp=1.7e9 + at, topic=TOPIC)
            for at, (key, value) in enumerate(readings(_ROWS, meters=50, at=1.7e9, every=1.0))
        ]
        matrix = make_matrix(usecase, log, label=lambda e: e.amount)
        model = _model(shape.trees).fit(matrix.array(), matrix.labels)
        package(artifacts / usecase.champion, usecase, model, matrix)
    return artifacts


def _model(trees: int) -> Any:
    # Here: a worker imports the use case and not what trains its model.
    if trees == MLP:
        from sklearn.impute import SimpleImputer
        from sklearn.neural_network import MLPRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        # A meter's first event reads no state, and a network takes no missing number.
        network = MLPRegressor(hidden_layer_sizes=(64, 64), max_iter=10, random_state=1)
        return make_pipeline(SimpleImputer(), StandardScaler(), network)
    from lightgbm import LGBMRegressor

    # Leaves of few rows, so that every tree is grown to its 31 leaves.
    return LGBMRegressor(
        n_estimators=trees,
        num_leaves=31,
        min_child_samples=2,
        learning_rate=0.02,
        n_jobs=1,
        verbosity=-1,
    )
