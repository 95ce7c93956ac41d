"""Whether answers keep the contract that the use case declares."""

import math
import re
from itertools import count
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from pydantic import Field, create_model, model_validator

from stream_app.features.usecase import Prediction
from stream_app.models.answers import AnswerContract, as_answers
from stream_app.predictor.score import ScoreStage
from stream_app.text.exception_texts import ExceptionTexts
from tests.unit.builders import FakeModel, use_case
from tests.unit.predictor.test_score import answer, triggers


class Scored(Prediction):
    """A contract of fields alone."""

    score: Annotated[float, Field(ge=0.0, le=1.0)]
    label: bool | None = None


class Checked(Scored):
    """A contract with a rule of its own."""

    @model_validator(mode="after")
    def _agree(self) -> "Checked":
        if self.label and self.score < 0.5:
            raise ValueError("label and score disagree")
        return self


class Narrow(Scored):
    """A contract that narrows what every prediction has."""

    served_by: Literal["champion"]


COMMON = {
    "prediction_id": "t-0-0", "event_id": "e", "event_time": "1970-01-01T00:00:01Z",
    "model": {"name": "m", "version": "1"}, "served_by": "champion", "degraded": None,
    "state_freshness_seconds": None,
}  # fmt: skip

BAD: dict[str, Any] = {
    "text": {"score": "0.5"},
    "NaN": {"score": math.nan},
    "infinite": {"score": math.inf},
    "too large": {"score": 1.5},
    "numpy": {"score": np.float32(0.5)},
    "bytes": {"score": b"\xff"},
    "missing": {"label": True},
    "surplus": {"score": 0.5, "more": 1},
    "surrogate": {"score": 0.5, "label": "\ud800"},
    "the worker's own": {"score": 0.5, "event_id": "mine"},
    "itself": {"score": object()},
}


@pytest.mark.parametrize("contract", [Scored, Checked, Narrow])
@pytest.mark.parametrize("name", BAD)
def test_an_answer_that_breaks_its_contract_is_found_among_good_ones(
    contract: type[Prediction], name: str
) -> None:
    """By its place, with what is wrong; the others pass."""
    good = {"score": 0.5, "label": None}
    broken = AnswerContract(contract).broken([good, BAD[name], good], [COMMON] * 3)
    assert list(broken) == [1]
    assert 0 < len(broken[1]) <= 500


def test_a_rule_of_the_contracts_own_is_kept() -> None:
    """It is validated whole."""
    contract = AnswerContract(Checked)
    assert contract.whole
    broken = contract.broken(
        [{"score": 0.1, "label": True}, {"score": 0.9, "label": True}], [COMMON] * 2
    )
    assert list(broken) == [0]
    assert re.search(r"breaks a rule of the contract: ValueError in _agree \(\S+:\d+\)$", broken[0])
    telling = AnswerContract(Checked, texts=ExceptionTexts(are_told=True))
    told = telling.broken([{"score": 0.1, "label": True}], [COMMON])
    assert told[0].endswith(": Value error, label and score disagree")


def test_a_narrowed_common_field_is_kept() -> None:
    """A fallback's name may be what the contract does not allow."""
    broken = AnswerContract(Narrow).broken([{"score": 0.1}], [{**COMMON, "served_by": "static"}])
    assert "served_by" in broken[0]


@pytest.mark.parametrize("contract", [Scored, Checked])
def test_a_contract_may_have_the_name_of_the_application(contract: type[Prediction]) -> None:
    """The worker fills it in: an answer that does is refused."""
    named = create_model("Named", __base__=contract, application=(str, ...))
    common = [{**COMMON, "application": "mine"}]
    assert AnswerContract(named).broken([{"score": 0.5}], common) == {}
    (why,) = AnswerContract(named).broken([{"score": 0.5, "application": "other"}], common).values()
    assert "application" in why


def test_a_bad_answer_of_the_champion_is_replaced_by_a_fallbacks() -> None:
    """And the prediction says why; where no model gives a good one, the record fails."""

    def spoiled(*question: Any) -> Any:
        own = answer(*question)
        return {**own, "score": own["score"] * 4}

    scored = triggers(0.2, 0.5)
    ScoreStage([FakeModel()], use_case(Scored, spoiled))(scored)  # type: ignore[list-item]
    good, bad = scored.items
    assert good.served is not None
    assert bad.served is None
    assert bad.failure is not None
    assert (bad.failure.stage, bad.failure.reason) == ("score", "invalid-answer")
    assert "field score" in bad.failure.message

    fallback = FakeModel("static")
    fallback.score = lambda rows: FakeModel().score([[0.1] for _ in rows])  # type: ignore[method-assign]
    again = triggers(0.2, 0.5)
    ScoreStage([FakeModel(), fallback], use_case(Scored, spoiled))(again)  # type: ignore[list-item]
    served = again.items[1].served
    assert served is not None
    assert (served.served_by, served.degraded) == ("static", "invalid-answer")


def test_answers_are_copied_before_they_are_looked_at() -> None:
    """What was held against the contract is what is published, whatever the use case keeps."""
    kept: list[dict[str, Any]] = []

    def keeping(*question: Any) -> Any:
        kept.append(dict(answer(*question)))
        return kept[-1]

    scored = triggers(0.2)
    ScoreStage([FakeModel()], use_case(Scored, keeping))(scored)  # type: ignore[list-item]
    kept[0]["score"] = 7.0
    assert scored.items[0].served is not None
    assert scored.items[0].served.fields["score"] == pytest.approx(0.2)


def test_what_can_be_read_once_is_published_as_it_was_looked_at() -> None:
    """A generator within an answer was valid, and would be empty when it is encoded again."""

    def generating(*question: Any) -> Any:
        return {"parts": (part for part in (0.25, 0.75))}

    class Parts(Prediction):
        parts: list[float]

    scored = triggers(0.2)
    ScoreStage([FakeModel()], use_case(Parts, generating))(scored)  # type: ignore[list-item]
    served = scored.items[0].served
    assert served is not None
    assert served.fields == {"parts": [0.25, 0.75]}


def test_answers_without_end_are_refused() -> None:
    """They would take all memory there is."""
    with pytest.raises(ValueError, match="more answers for 2 rows"):
        as_answers(({"score": 0.5} for _ in count()), 2)  # type: ignore[arg-type]
