"""What an answer function costs a record: called for each, or for a batch.

python -m benchmarks.answers
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stream_app import FeatureSet, Outputs, Prediction, Row, RowFeature, UseCase, per_batch
from stream_app.models.answer_function import AnswerFunction

_ROWS = 128
_COLUMNS = 33
_ROUNDS = 500


class _Scored(Prediction):
    score: float
    late: bool
    country: str


def _answer(
    event: str, _row: Row, outputs: Mapping[str, Any], decision: Mapping[str, Any]
) -> Mapping[str, Any]:
    score = outputs["score"]
    return {"score": score, "late": score > decision["threshold"], "country": event}


@per_batch
def _answers(
    events: Sequence[str], _rows: Sequence[Row], outputs: Outputs, decision: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    threshold = decision["threshold"]
    return [
        {"score": score, "late": score > threshold, "country": event}
        for event, score in zip(events, outputs["score"].tolist(), strict=True)
    ]


def _microseconds(answer: Any) -> float:
    """The best round, a record."""
    usecase = UseCase(
        name="answers",
        topics=(),
        features=FeatureSet(
            row_features=tuple(
                RowFeature(f"column_{at}", lambda _: 0.0, "", "") for at in range(_COLUMNS)
            )
        ),
        prediction=_Scored,
        answer=answer,
        champion="answers/1",
    )
    function = AnswerFunction(usecase)
    outputs: dict[str, Any] = {
        "score": np.linspace(0, 1, _ROWS, dtype=np.float32),
        "label": np.arange(_ROWS),
    }
    rows = [[0.0] * _COLUMNS] * _ROWS
    best = float("inf")
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        function(["NL"] * _ROWS, rows, outputs, {"threshold": 0.5})
        best = min(best, time.perf_counter() - started)
    return best / _ROWS * 1e6


if __name__ == "__main__":
    print(f"called for each record: {_microseconds(_answer):.2f} us a record")
    print(f"called for a batch of {_ROWS}: {_microseconds(_answers):.2f} us a record")
