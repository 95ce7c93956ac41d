"""Stage score: the champion answers; where it cannot, a fallback does and says why."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import Field

from stream_app.features.answer import Outputs, Row, per_batch
from stream_app.features.usecase import Prediction
from stream_app.features.views import FeatureSet, RowFeature
from stream_app.models import ScoringError
from stream_app.predictor.score import ScoreStage
from stream_app.records.batch import Batch
from stream_app.records.item import Item, Served
from tests.unit.builders import FakeModel, batch, failed, item, partition, use_case

P = partition()


class Scored(Prediction):
    """The contract of the answers."""

    score: Annotated[float, Field(le=1.0)]
    label: bool


def answer(event: Any, row: Any, outputs: Any, decision: Mapping[str, Any]) -> Mapping[str, Any]:
    """A prediction's own fields: the score, and whether it is above the threshold."""
    return {"score": outputs["score"], "label": outputs["score"] > decision["threshold"]}


USECASE = use_case(Scored, answer)


def triggers(*firsts: Any) -> Batch:
    """A batch of triggers whose rows begin with these."""
    items = [item(P, offset) for offset in range(len(firsts))]
    for each, first in zip(items, firsts, strict=True):
        each.row = [first]
    return batch(1, items)


def served(one: Batch) -> list[tuple[Any, ...]]:
    """(score, served by, degraded) of each item."""
    assert all(each.served is not None for each in one.items)
    return [
        (each.served.fields["score"], each.served.served_by, each.served.degraded)
        for each in one.items
        if each.served is not None
    ]


def test_the_champion_serves() -> None:
    """In one call for the whole batch, and nothing is degraded."""
    champion, fallback = FakeModel(), FakeModel("static")
    scored = triggers(0.25, 0.75)
    ScoreStage([champion, fallback], USECASE)(scored)
    assert scored.items[0].served == Served(
        {"score": 0.25, "label": False}, "champion-model", "3", "champion", None
    )
    assert scored.items[1].served is not None
    assert scored.items[1].served.fields == {"score": 0.75, "label": True}
    assert champion.calls == [2]
    assert fallback.calls == []


def test_a_record_the_champion_raises_on_is_served_by_the_fallback_alone() -> None:
    """The others keep their champion: one record is found among many."""
    champion, fallback = FakeModel(), FakeModel("static")
    raising = champion.score
    fallback.score = lambda rows: {"score": raising([[0.5]])["score"]}  # type: ignore[method-assign]
    scored = triggers(0.25, "raise", 0.25, 0.25, 0.25)
    ScoreStage([champion, fallback], USECASE)(scored)
    assert served(scored) == [
        (0.25, "champion", None),
        (0.5, "static", "model-error"),
        *[(0.25, "champion", None)] * 3,
    ]
    assert scored.items[1].served is not None
    assert scored.items[1].served.model == "static"


def test_a_score_that_is_not_finite_is_replaced() -> None:
    """NaN is no answer."""
    champion, fallback = FakeModel(), FakeModel("static")
    fallback.score = lambda rows: FakeModel().score([[0.5] for _ in rows])  # type: ignore[method-assign]
    scored = triggers(0.25, "nan", "nan")
    ScoreStage([champion, fallback], USECASE)(scored)
    assert served(scored) == [
        (0.25, "champion", None),
        *[(0.5, "static", "non-finite-score")] * 2,
    ]


def test_fallbacks_are_tried_in_their_order() -> None:
    """The first that can, serves."""
    models = [FakeModel(name, broken=name != "last") for name in ("first", "second", "last")]
    scored = triggers(0.25)
    ScoreStage(models, USECASE)(scored)
    assert served(scored) == [(0.25, "last", "model-error")]


def test_a_record_that_no_model_can_answer_for_fails() -> None:
    """It leaves at this stage, as a bug; its neighbours are served."""
    scored = triggers("nan", 0.25)
    ScoreStage([FakeModel(), FakeModel("static")], USECASE)(scored)
    bad, good = scored.items
    assert bad.served is None
    assert bad.failure is not None
    assert (bad.failure.stage, bad.failure.reason) == ("score", "unscorable")
    assert bad.failure.disposition == "bug"
    assert good.served is not None
    assert good.failure is None


def test_without_fallbacks_the_champions_error_is_a_failure() -> None:
    """One record a failure, never the batch."""
    scored = triggers("raise", 0.25)
    ScoreStage([FakeModel()], USECASE)(scored)
    assert [each.failure is None for each in scored.items] == [False, True]


def _picky(event: Any, row: Any, outputs: Any, decision: Any) -> Mapping[str, Any]:
    if outputs["score"] > 0.9:
        raise ValueError("too sure")
    return answer(event, row, outputs, decision)


@per_batch
def _picky_of_batches(events: Any, rows: Any, outputs: Outputs, decision: Any) -> Any:
    own = [{"score": score} for score in outputs["score"].tolist()]
    return [_picky(*each, decision) for each in zip(events, rows, own, strict=True)]


@pytest.mark.parametrize("picky", [_picky, _picky_of_batches])
def test_an_answer_that_raises_fails_its_record(picky: Any) -> None:
    """The dead letter says so, names function, file and line, and quotes nothing."""
    scored = triggers(0.25, 0.95, 0.5)
    model = FakeModel()
    ScoreStage([model], use_case(Scored, picky))(scored)  # type: ignore[list-item]
    assert [each.failure is None for each in scored.items] == [True, False, True]
    failure = scored.items[1].failure
    assert failure is not None
    assert (failure.stage, failure.reason) == ("score", "answer-error")
    assert "neither the champion nor a fallback could answer: " in failure.message
    assert re.search(
        r"the answer of _picky\w* \(unit/predictor/test_score.py:\d+\): "
        r"ValueError in _picky \(unit/predictor/test_score.py:\d+\)$",
        failure.message,
    )
    if picky is _picky:
        assert model.calls == [3], "the model is asked once"


NO_ANSWERS = {
    "None": (lambda event, row, outputs, decision: None, "it gave None where a mapping"),
    "a number": (lambda event, row, outputs, decision: 0.5, "it gave a float where a mapping"),
    "fewer": (per_batch(lambda events, rows, outputs, decision: []), "0 answers for 1 rows"),
    "no list": (
        per_batch(lambda events, rows, outputs, decision: None),  # type: ignore[arg-type,return-value]
        "it gave None where a mapping a record",
    ),
}


@pytest.mark.parametrize("what", NO_ANSWERS)
def test_what_is_no_answer_fails_the_records_not_the_worker(what: str) -> None:
    """A use case that leaves a record out has a bug; the worker goes on and says which bug."""
    given, told = NO_ANSWERS[what]
    scored = triggers(0.25, 0.5)
    ScoreStage([FakeModel()], use_case(Scored, given))(scored)  # type: ignore[list-item]
    for each in scored.items:
        assert each.served is None
        assert each.failure is not None
        assert told in each.failure.message


def test_without_an_answer_function_each_output_is_the_field_of_its_name() -> None:
    """Whatever its shape; outputs that no field is named after are left out."""

    class Plain(Prediction):
        score: float
        parts: list[float]

    model = FakeModel()
    outputs = {
        "score": np.array([[0.25], [0.5]], dtype=np.float32),
        "parts": np.array([[1.0, 2.0], [3.0, 4.0]]),
        "more": np.array([1, 2]),
    }
    model.score = lambda rows: outputs  # type: ignore[method-assign]
    scored = triggers(0.25, 0.5)
    ScoreStage([model], use_case(Plain))(scored)  # type: ignore[list-item]
    assert [each.served and each.served.fields for each in scored.items] == [
        {"score": 0.25, "parts": [1.0, 2.0]},
        {"score": 0.5, "parts": [3.0, 4.0]},
    ]


def test_outputs_that_no_field_is_named_after_are_told() -> None:
    """With the names of both, for there is nothing else to go by."""
    scored = triggers(0.25)

    class Other(Prediction):
        risk: float

    ScoreStage([FakeModel()], use_case(Other))(scored)  # type: ignore[list-item]
    failure = scored.items[0].failure
    assert failure is not None
    assert "no output of the model (score) has the name of a field of the prediction (risk)" in (
        failure.message
    )


@pytest.mark.parametrize("whole", [False, True])
def test_an_answer_sees_the_question(whole: bool) -> None:
    """The event, its columns by name, the outputs of its record, and the decision."""

    class Told(Prediction):
        known_at: float
        amount: float
        text: str
        parts: list[float]

    features = FeatureSet(
        row_features=(
            RowFeature("amount", lambda event: 1.0, "", ""),
            RowFeature("text", lambda event: "", "", "", "string"),
        )
    )

    def told(event: Any, row: Row, outputs: Any, decision: Any) -> dict[str, Any]:
        assert dict(row) == {"amount": row["amount"], "text": row["text"]}
        with pytest.raises(KeyError, match="amuont"):
            row["amuont"]
        return {
            "known_at": event.event_time + decision["threshold"], **row, "parts": [*outputs["parts"]]
        }  # fmt: skip

    @per_batch
    def told_of_all(events: Any, rows: Sequence[Row], outputs: Outputs, decision: Any) -> Any:
        assert len(rows) == len(events) == len(outputs["parts"])
        assert rows[-1]["amount"] == [*rows][-1]["amount"] == rows[1:][-1]["amount"]
        return [
            told(event, row, {"parts": parts}, decision)
            for event, row, parts in zip(events, rows, outputs["parts"], strict=True)
        ]

    model = FakeModel()
    model.score = lambda rows: {"parts": np.array([[row[0], 2.0] for row in rows])}  # type: ignore[method-assign]
    scored = triggers(0.0, 0.0)
    for at, each in enumerate(scored.items):
        each.row = [float(at), f"row {at}"]
    answered = use_case(Told, told_of_all if whole else told, features=features)
    ScoreStage([model], answered)(scored)  # type: ignore[list-item]
    assert [each.served and each.served.fields for each in scored.items] == [
        {"known_at": each.event.event_time + 0.5, "amount": float(at), "text": f"row {at}",
         "parts": [float(at), 2.0]}
        for at, each in enumerate(scored.items)
    ]  # fmt: skip


def test_a_column_that_its_dtype_cannot_hold_is_named() -> None:
    """With what it holds and where it is made; its own reason, for the model is not to blame."""
    features = FeatureSet(row_features=(RowFeature("amount", lambda event: "cold", "", ""),))
    model = FakeModel()

    def score(rows: Any) -> Any:
        raise ScoringError("no", "column amount holds a str that is no float32", "amount")

    model.score = score  # type: ignore[method-assign]
    scored = triggers(0.25)
    ScoreStage([model], use_case(Scored, answer, features=features))(scored)  # type: ignore[list-item]
    failure = scored.items[0].failure
    assert failure is not None
    assert failure.reason == "invalid-column"
    assert "column amount holds a str that is no float32; it is made by <lambda> (unit/" in (
        failure.message
    )


def test_only_triggers_that_have_not_failed_are_scored() -> None:
    """An event that only updates has no row; a failed one keeps its failure."""
    champion = FakeModel()
    bad = failed(P, 1)
    bad.row = [0.5]
    items: list[Item] = [item(P, 0), bad]
    failure = bad.failure
    ScoreStage([champion], USECASE)(batch(1, items))
    assert champion.calls == []
    assert [each.served for each in items] == [None, None]
    assert bad.failure is failure


def test_a_record_whose_state_is_rebuilt_is_for_the_fallback() -> None:
    """The champion answers for the others of its batch."""
    champion, static = FakeModel(), FakeModel("static")
    rebuilt, usual = item(partition(), 0), item(partition(), 1)
    for each in (rebuilt, usual):
        each.row = [0.25]
    rebuilt.degraded = "state-rebuilding"
    stage = ScoreStage([champion, static], USECASE)
    stage(batch(1, [rebuilt, usual]))
    assert rebuilt.served is not None
    assert usual.served is not None
    assert (rebuilt.served.served_by, rebuilt.served.degraded) == ("static", "state-rebuilding")
    assert (usual.served.served_by, usual.served.degraded) == ("champion", None)


def test_a_contract_that_narrows_the_prediction_id_is_held_against_the_one_that_goes_out() -> None:
    """It is the name of the record, whose offset is part of it."""

    class Even(Prediction):
        prediction_id: Annotated[str, Field(pattern="[02468]$")]
        score: float
        label: bool

    scored = triggers(0.25, 0.25)
    ScoreStage([FakeModel()], use_case(Even, answer))(scored)
    assert [each.served is not None for each in scored.items] == [True, False]
    assert scored.items[1].failure is not None
    assert scored.items[1].failure.reason == "invalid-answer"


def outputs(one: Batch) -> list[tuple[str, list[int], list[float]]]:
    """Model, offsets and scores of what the models gave."""
    return [
        (each.model, [i.offset for i in each.items], each.outputs["score"].tolist())
        for each in one.scored
    ]


def test_the_outputs_of_each_model_are_kept_with_the_batch() -> None:
    """Those that are not finite too; the fallback was asked for that record alone."""
    scored = triggers(0.25, "nan", 0.75)
    fallback = FakeModel("static")
    fallback.score = lambda rows: {"score": np.full(len(rows), 0.5)}  # type: ignore[method-assign]
    ScoreStage([FakeModel(), fallback], USECASE)(scored)
    (champion, offsets, given), static = outputs(scored)
    assert (champion, offsets) == ("champion-model", [0, 1, 2])
    assert given == pytest.approx([0.25, math.nan, 0.75], nan_ok=True)
    assert static == ("static", [1], [0.5])


def test_a_row_has_its_outputs_once_where_its_neighbour_makes_the_model_raise() -> None:
    """The model is asked again for fewer records, until the one to blame is alone."""
    scored = triggers(0.25, "raise", 0.5, 0.75)
    ScoreStage([FakeModel()], USECASE)(scored)
    assert outputs(scored) == [
        ("champion-model", [0], [0.25]),
        ("champion-model", [2, 3], [0.5, 0.75]),
    ]
