"""A use case whose answers cannot be made, or break its contract, is refused before it serves."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import Field

from stream_app.features.usecase import Prediction, UseCase
from stream_app.models import ModelRefusedError, load_models
from tests.unit.models.sales import FEATURES, TOPICS, Version


class Priced(Prediction):
    """The contract of the answers."""

    score: Annotated[float, Field(ge=0.0, le=1.0)]


def _made(outputs: Any, _decision: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [{"score": score} for score in outputs["score"].tolist()]


def load(version: Version, fields: Callable[..., Any]) -> Any:
    """Load the models of a use case that makes its answers by `fields`."""
    folder = version.write()
    usecase = UseCase(
        name="sales",
        topics=TOPICS,
        predictions_topic="predictions",
        dead_letters_topic="dead-letters",
        features=FEATURES,
        prediction=Priced,
        fields=fields,
        champion=folder.name,
    )
    return load_models(usecase, folder.parent)


def test_answers_that_keep_their_contract_are_served(version: Version) -> None:
    """The model is loaded."""
    (model,) = load(version, _made)
    assert model.name == "sales"


BAD: dict[str, tuple[Callable[..., Any], str]] = {
    "raises": (lambda outputs, decision: decision["no such"], "KeyError in <lambda>"),
    "fewer": (lambda outputs, decision: _made(outputs, decision)[:1], "1 answers for 2 rows"),
    "numpy": (
        lambda outputs, decision: [{"score": np.float32(0.5)} for _ in outputs["score"]],
        "cannot be encoded as JSON",
    ),
    "range": (
        lambda outputs, decision: [{"score": 2.0} for _ in outputs["score"]], "field score",
    ),
    "own": (
        lambda outputs, decision: [
            {**own, "prediction_id": "mine"} for own in _made(outputs, decision)
        ],
        "field prediction_id",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_answers_that_break_their_contract_are_refused(version: Version, name: str) -> None:
    """With one sentence that says what is wrong and what to mend; exit status 2."""
    fields, told = BAD[name]
    with pytest.raises(ModelRefusedError) as refused:
        load(version, fields)
    sentence = str(refused.value)
    assert sentence.startswith("Model sales 1 is refused: ")
    assert told in sentence
    assert "mend the use case's function" in sentence
    assert "\n" not in sentence
