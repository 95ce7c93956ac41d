"""Train the demo's models: ``python -m features.flights.training.train``.

Fitted on January to June of 2013, judged on July to December. Two models: the champion, and a static
one of the schedule only, which serves when the state cannot be trusted. The same code and data give
the same bytes. A version that stands is never written over: a new one gets the next number.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import lightgbm
import numpy as np
import numpy.typing as npt

from features.flights import usecase
from features.flights.clock import local_midnight
from features.flights.training.evaluation import best_threshold, evaluate
from features.flights.training.log import YearLog
from stream_app import Matrix, Packaged, fit_target_mean, make_matrix, package

__all__ = ["MODELS", "Fitted", "fit", "main", "train"]

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
    "seed": 2013,
    "verbosity": -1,
}
#: A category's mean label counts as if so many rows of the general mean came with it.
ENCODING_WEIGHT: Final = 50.0
#: The threshold is chosen on the rows from here on, by a model fitted on the rows before.
THRESHOLD_DAY: Final = date(2013, 5, 1)
SPLIT_DAY: Final = date(2013, 7, 1)

#: Each model's name, and the folder of the version that serves.
MODELS: Final[Mapping[str, str]] = {
    "flights-late": usecase.champion,
    "flights-late-static": usecase.fallbacks[0],
}


class Fitted:
    """Trees over numbers and encoded categories."""

    def __init__(self, rows: Matrix, trees: int) -> None:
        """Fit both on labelled rows."""
        texts = [name for name in rows.columns if rows.dtypes[name] == "string"]
        self.encodings = [fit_target_mean(rows, name, weight=ENCODING_WEIGHT) for name in texts]
        data = lightgbm.Dataset(self.encoded(rows).array(), rows.labels)
        self.booster = lightgbm.train(PARAMETERS, data, trees)

    def encoded(self, rows: Matrix) -> Matrix:
        """The rows as the trees take them."""
        return rows.encode(*self.encodings)

    def score(self, rows: Matrix) -> npt.NDArray[np.float64]:
        """Probability of being late, shape (rows,)."""
        return np.asarray(self.booster.predict(self.encoded(rows).array()))


def fit(rows: Matrix, threshold_from: float, trees: int = TREES) -> tuple[Fitted, float]:
    """A model of labelled rows and its threshold.

    The threshold is the best for the rows of `threshold_from` (seconds since the epoch) and later,
    by a model fitted on those before.
    """
    early, late = rows.split(at=threshold_from)
    threshold = best_threshold(late.labels, Fitted(early, trees).score(late))
    return Fitted(rows, trees), threshold


def train(artifacts: Path, names: Sequence[str] = tuple(MODELS)) -> list[Packaged]:
    """Write a version of each model below `artifacts`."""
    matrix = make_matrix(usecase, YearLog())
    print(matrix)
    of_schedule = [feature.name for feature in usecase.features.row_features]
    columns = {"flights-late": usecase.features.columns, "flights-late-static": of_schedule}
    split = local_midnight(SPLIT_DAY)
    packaged = []
    for name in names:
        rows = matrix.only(*columns[name])
        fitted_on, test = rows.split(at=split)
        fitted, threshold = fit(fitted_on, local_midnight(THRESHOLD_DAY))
        packaged.append(
            package(
                artifacts / MODELS[name],
                usecase,
                fitted.booster,
                fitted.encoded(fitted_on),
                test=fitted.encoded(test),
                # Cancelled flights too: what serving will see.
                baseline=fitted.encoded(rows.take(rows.times < split)),
                outputs={"probability": "score"},
                decision={"threshold": threshold},
                metrics=evaluate(test, fitted.score(test), threshold),
                parameters={**PARAMETERS, "trees": TREES, "encoding_weight": ENCODING_WEIGHT},
                seed=PARAMETERS["seed"],
                libraries=("scikit-learn", "tzdata"),
                name=name,
                renumber=True,
            )
        )
        print(packaged[-1])
    return packaged


def main(arguments: Sequence[str]) -> int:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m features.flights.training.train")
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(MODELS)}; all")
    parser.add_argument(
        "--artifacts", type=Path, default=Path("artifacts"), help="root of the model versions"
    )
    options = parser.parse_args(arguments)
    strange = [name for name in options.models if name not in MODELS]
    if strange:
        parser.error(f"there is no model {strange[0]}, there are {', '.join(MODELS)}")
    train(options.artifacts, options.models or tuple(MODELS))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
