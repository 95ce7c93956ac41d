"""The regression with state and a fallback, in code that fails on some records or for one model alone.

A request whose `event_id` begins with `raises` fails in a row feature, so no model can answer it. One that
begins with `champion` fails where the champion's outputs become an answer, so the fallback serves it.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stream_app import Outputs, Row, UseCase, package, per_batch
from tests.usecases import regression
from tests.usecases.regression import Request, iso, topic_of

__all__ = ["iso", "make_usecase", "topic_of", "train", "usecase"]

_CHAMPION_PEAK, _FALLBACK_PEAK = 3.0, 2.5


def _celsius(request: Request) -> float:
    if request.event_id.startswith("raises"):
        raise LookupError("no thermometer")
    return request.celsius


FEATURES = replace(
    regression.FEATURES,
    row_features=tuple(
        replace(feature, compute=_celsius) if feature.name == "celsius" else feature
        for feature in regression.FEATURES.row_features
    ),
)


@per_batch
def _answers(
    events: Sequence[Any], rows: Sequence[Row], outputs: Outputs, decision: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    is_champion = decision["peak_kilowatts"] == _CHAMPION_PEAK
    if is_champion and any(event.event_id.startswith("champion") for event in events):
        raise LookupError("no answer for the champion")
    return regression._answers(events, rows, outputs, decision)


def make_usecase(suffix: str = "") -> UseCase:
    """The use case, on topics whose names end in `suffix`."""
    plain = regression.make_usecase(suffix)
    return replace(plain, features=FEATURES, answer=_answers, fallbacks=("meters/fallback-1",))


usecase = make_usecase(os.environ.get("TEST_TOPIC_SUFFIX", ""))


def train(artifacts: Path, usecase: UseCase = usecase) -> None:
    """Write the two model versions that `usecase` serves."""
    matrix = regression._matrix(usecase).only(*regression.COLUMNS)
    peaks = {usecase.champion: _CHAMPION_PEAK, usecase.fallbacks[0]: _FALLBACK_PEAK}
    for folder, peak in peaks.items():
        package(
            artifacts / folder,
            usecase,
            regression._fitted(),
            matrix,
            outputs={"prediction": "kilowatts"},
            decision={"peak_kilowatts": peak},
            name="meters",
        )
