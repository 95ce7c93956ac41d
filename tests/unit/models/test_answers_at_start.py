"""A use case whose answers cannot be made, or break its contract, is refused before it serves."""

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import Field

from stream_app.features.answer import per_batch
from stream_app.features.usecase import Prediction, UseCase
from stream_app.models import ModelRefusedError, load_models
from tests.unit.models.sales import FEATURES, TOPICS, Version


class Priced(Prediction):
    """The contract of the answers."""

    score: Annotated[float, Field(ge=0.0, le=1.0)]


def _made(event: Any, row: Any, outputs: Any, decision: Any) -> Mapping[str, Any]:
    return {"score": outputs["score"]}


def load(version: Version, answer: Any) -> Any:
    """Load the models of a use case that answers so."""
    folder = version.write()
    usecase = UseCase(
        name="sales",
        topics=TOPICS,
        features=FEATURES,
        prediction=Priced,
        answer=answer,
        champion=folder.name,
    )
    return load_models(usecase, folder.parent)


def test_answers_that_keep_their_contract_are_served(version: Version) -> None:
    """The model is loaded."""
    (model,) = load(version, _made)
    assert model.name == "sales"


BAD: dict[str, tuple[Any, str]] = {
    "raises": (
        lambda event, row, outputs, decision: decision["no such"],
        "The model gives score; the decision holds threshold.",
    ),
    "column": (
        lambda event, row, outputs, decision: {"score": row["no such"]}, "KeyError in <lambda>"
    ),
    "output": (
        lambda event, row, outputs, decision: {"score": outputs["no such"]}, "The model gives score;"
    ),
    "event": (
        lambda event, row, outputs, decision: {"score": event.no_such}, "AttributeError 'no_such' in <lambda>"
    ),
    "None": (lambda event, row, outputs, decision: None, "it gave None where a mapping"),
    "fewer": (
        per_batch(lambda events, rows, outputs, decision: []), "0 answers for 3 rows",
    ),
    "numpy": (
        lambda event, row, outputs, decision: {"score": np.float32(0.5)},
        "cannot be encoded as JSON",
    ),
    "range": (
        lambda event, row, outputs, decision: {"score": 2.0}, "for a golden event breaks",
    ),
    "golden vectors": (
        lambda event, row, outputs, decision: {
            "score": outputs["score"] + (outputs["score"] > 0.9)
        },
        "for a golden vector breaks its contract (field score",
    ),
    "own": (
        lambda event, row, outputs, decision: {"score": 0.5, "prediction_id": "mine"},
        "field prediction_id",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_answers_that_break_their_contract_are_refused(version: Version, name: str) -> None:
    """With one sentence that says what is wrong and what to mend; exit status 2."""
    answer, told = BAD[name]
    with pytest.raises(ModelRefusedError) as refused:
        load(version, answer)
    sentence = str(refused.value)
    assert sentence.startswith("Model sales 1 is refused: ")
    assert told in sentence
    assert "mend the use case's function" in sentence
    assert "\n" not in sentence
