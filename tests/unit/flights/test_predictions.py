"""The use case's answer and its model versions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from features.flights import usecase
from features.flights.events import Arrived, Boarding
from features.flights.predictions import LatePrediction
from stream_app.features.events import Event
from stream_app.features.model_version.folder import read_version
from stream_app.models import load_model

ARTIFACTS = Path(__file__).parents[3] / "artifacts"
VERSIONS = (usecase.champion, *usecase.fallbacks)


def test_fields_give_score_and_answer() -> None:
    """The answer follows from the score as published, rounded, and the version's threshold."""
    outputs = {"score": np.array([0.29, 0.2999999, 0.3000001], dtype=np.float32)}
    fields = usecase.fields(outputs, {"threshold": 0.3})
    assert [f["late"] for f in fields] == [False, True, True]
    assert [f["score"] for f in fields] == [0.29, 0.3, 0.3]


def test_a_prediction_is_a_valid_message() -> None:
    """The contract takes the engine's fields and the use case's together."""
    prediction = LatePrediction.model_validate(
        {
            "prediction_id": "t-0-1",
            "event_id": "20131201-UA1-EWR/boarding",
            "event_time": "2013-12-01T17:00:00Z",
            "model": {"name": "flights-late", "version": "champion-1"},
            "served_by": "champion",
            "degraded": None,
            "state_freshness_seconds": 60.0,
            "score": 0.5,
            "late": True,
        }
    )
    assert prediction.late


def test_outcomes_join_their_predictions(three_days: list[Event]) -> None:
    """An arrival has the key of its boarding; it is late from the sixteenth minute on."""
    outcome = usecase.outcome
    assert outcome is not None
    boarded = {outcome.join_key(e) for e in three_days if isinstance(e, Boarding)}
    arrivals = [e for e in three_days if isinstance(e, Arrived)]
    joined = [e for e in arrivals if outcome.join_key(e) in boarded]
    assert len(joined) > 0.95 * len(arrivals)
    for arrival in arrivals:
        assert outcome.label(arrival) == (1.0 if arrival.arrival_delay_minutes > 15 else 0.0)


@pytest.mark.parametrize("folder", VERSIONS)
def test_versions_load_as_the_worker_loads_them(folder: str) -> None:
    """Hashes, columns, golden vectors, golden events and batches are all in order."""
    model = load_model(ARTIFACTS / folder, usecase.features, usecase.topics)
    assert model.version == Path(folder).name


def test_the_champion_is_worth_its_state() -> None:
    """On the half year it has not seen it is far better than the schedule alone."""
    champion, static = (read_version(ARTIFACTS / folder).manifest for folder in VERSIONS)
    assert champion.metrics["test_rows"] == static.metrics["test_rows"] == 166_668
    assert champion.metrics["test_auc"] > 0.78
    assert static.metrics["test_auc"] > 0.65
    assert champion.metrics["test_log_loss"] < 0.43
    assert champion.metrics["test_calibration_error"] < 0.02


def test_the_static_fallback_reads_no_state() -> None:
    """It takes row features only, so it can serve while the state is away."""
    inputs = read_version(ARTIFACTS / usecase.fallbacks[0]).manifest.inputs
    taken = {column for tensor in inputs for column in tensor.columns}
    assert taken == {feature.name for feature in usecase.features.row_features}
