"""The demo's answer: will this flight arrive more than 15 minutes late?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import Field

from stream_app import Outputs, Prediction, Row, per_batch

__all__ = ["LatePrediction", "late_answers"]

#: Decimals of a score: more would only show the noise of single precision.
_SCORE_DECIMALS: Final = 6


class LatePrediction(Prediction):
    """Whether a flight will arrive more than 15 minutes late, told 60 minutes before it leaves."""

    score: Annotated[
        float,
        Field(ge=0.0, le=1.0, description="Probability of arriving more than 15 minutes late."),
    ]
    late: Annotated[
        bool, Field(description="Whether the score reaches the model version's threshold.")
    ]


@per_batch
def late_answers(
    events: Sequence[Any],  # noqa: ARG001
    rows: Sequence[Row],  # noqa: ARG001
    outputs: Outputs,
    decision: Mapping[str, Any],
) -> Sequence[Mapping[str, Any]]:
    """Score and answer of each row, from the output `score` and the decision's `threshold`."""
    threshold = float(decision["threshold"])
    scores = [round(score, _SCORE_DECIMALS) for score in outputs["score"].ravel().tolist()]
    return [{"score": score, "late": score >= threshold} for score in scores]
