"""How good a model is on flights that it was not fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score, log_loss, roc_auc_score

from features.flights.clock import local_date
from stream_app import Matrix

__all__ = ["best_threshold", "evaluate"]


def evaluate(test: Matrix, scores: npt.NDArray[Any], threshold: float) -> dict[str, float]:
    """Metrics of all rows, and the area under the curve by month."""
    labels = test.labels
    answers = scores >= threshold
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
    months = np.array([local_date(time).month for time in test.times.tolist()])
    for month in np.unique(months).tolist():
        those = months == month
        metrics[f"test_auc_2013_{month:02}"] = float(roc_auc_score(labels[those], scores[those]))
    return {name: round(value, 6) for name, value in metrics.items()}


def best_threshold(labels: npt.NDArray[np.float64], scores: npt.NDArray[Any]) -> float:
    """The threshold, in whole percent, with the highest F1 score."""
    candidates = np.arange(5, 96) / 100
    best = max(candidates, key=lambda threshold: f1_score(labels, scores >= threshold))
    return float(best)


def _calibration_error(
    labels: npt.NDArray[np.float64], scores: npt.NDArray[Any], bins: int = 10
) -> float:
    """Mean distance of score and share late over bins of equal score width, weighted by rows."""
    which = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = np.bincount(which, weights=scores - labels, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))
