"""The contracts in docs/contracts/ are what the code says, and what goes out keeps them."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from features.flights import usecase
from stream_app.features.model_version.folder import read_version
from stream_app.generated_docs.contracts import contracts
from stream_app.models import Model, load_model
from stream_app.models.samples import golden_row
from stream_app.predictor.score import ScoreStage
from stream_app.records.item import Item
from stream_app.wire.dead_letter import DeadLetters
from stream_app.wire.outgoing import OutgoingRecords
from stream_app.wire.prediction import Predictions
from tests.unit.builders import NOW, batch, item, partition

ROOT = Path(__file__).parents[2]
ARTIFACTS = ROOT / "artifacts"
DOCUMENTED = ROOT / "docs" / "contracts"
CURRENT = contracts(usecase)
FILE = f"{usecase.predictions_topic}.schema.json"

DEAD = DeadLetters("dead", group="g", code_version="1", model_version="m/1")


@pytest.fixture(scope="module")
def models() -> list[Model]:
    """The champion and the fallbacks that the demo serves."""
    return [load_model(ARTIFACTS / m, usecase.features, usecase.topics) for m in usecase.models]


@pytest.mark.parametrize("name", CURRENT)
def test_a_documented_contract_is_current(name: str) -> None:
    """If this fails: `python -m stream_app.generated_docs.contracts` writes it anew."""
    assert (DOCUMENTED / name).read_text(encoding="utf-8") == CURRENT[name]


def test_every_topic_has_a_contract_and_no_contract_is_stale() -> None:
    """Each topic of events, and the predictions."""
    topics = [*(topic.name for topic in usecase.topics), usecase.predictions_topic]
    assert sorted(CURRENT) == sorted(f"{topic}.schema.json" for topic in topics)
    assert sorted(path.name for path in DOCUMENTED.iterdir()) == sorted(CURRENT)


def predicted(row: list[Any], model: Model, newest: float) -> bytes:
    """The value published for a row of features."""
    one: Item = item(partition(topic="flights.boarding"), 12)
    one.row, one.newest = row, newest
    scored = batch(1, [one])
    ScoreStage([model], usecase)(scored)
    OutgoingRecords([Predictions(usecase.predictions_topic), DEAD])(scored)
    (outgoing,) = scored.outgoing
    assert outgoing.topic == usecase.predictions_topic
    assert outgoing.value is not None
    return outgoing.value


def golden_rows(folder: str) -> list[list[Any]]:
    """The rows a model version was checked with when it was loaded."""
    version = read_version(ARTIFACTS / folder)
    return [list(golden_row(vector, usecase.features)) for vector in version.golden]


@pytest.mark.parametrize("newest", [NOW - 60.0, float("-inf")], ids=["with state", "without"])
def test_what_the_demo_publishes_keeps_its_contract(models: list[Model], newest: float) -> None:
    """By the champion and by each fallback, for every golden row."""
    for folder, model in zip(usecase.models, models, strict=True):
        for row in golden_rows(folder):
            value = predicted(row, model, newest)
            prediction = usecase.prediction.model_validate_json(value, strict=True)
            assert prediction.prediction_id == "flights.boarding-id-0-12"
            assert prediction.model.name == model.name
            required = json.loads(CURRENT[FILE])["required"]
            assert sorted(json.loads(value)) == sorted(required)


def test_the_contract_refuses_what_it_does_not_name(models: list[Model]) -> None:
    """A field more is a change of the contract, and is seen here first."""
    value = json.loads(predicted(golden_rows(usecase.champion)[0], models[0], NOW))
    with pytest.raises(ValidationError):
        usecase.prediction.model_validate(value | {"more": 1})
