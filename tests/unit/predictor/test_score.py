"""Stage score: the champion answers; where it cannot, a fallback does and says why."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from stream_app.features.usecase import Outputs, Prediction
from stream_app.predictor.score import ScoreStage
from stream_app.records.batch import Batch
from stream_app.records.item import Item, Served
from tests.unit.builders import FakeModel, batch, failed, item, partition

P = partition()


class Scored(Prediction):
    """The contract of the answers."""

    score: Annotated[float, Field(le=1.0)]
    label: bool


def fields(outputs: Outputs, decision: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """A prediction's own fields: the score, and whether it is above the threshold."""
    return [
        {"score": float(score), "label": bool(score > decision["threshold"])}
        for score in outputs["score"]
    ]


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
    ScoreStage([champion, fallback], fields, Scored)(scored)
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
    ScoreStage([champion, fallback], fields, Scored)(scored)
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
    ScoreStage([champion, fallback], fields, Scored)(scored)
    assert served(scored) == [
        (0.25, "champion", None),
        *[(0.5, "static", "non-finite-score")] * 2,
    ]


def test_fallbacks_are_tried_in_their_order() -> None:
    """The first that can, serves."""
    models = [FakeModel(name, broken=name != "last") for name in ("first", "second", "last")]
    scored = triggers(0.25)
    ScoreStage(models, fields, Scored)(scored)
    assert served(scored) == [(0.25, "last", "model-error")]


def test_a_record_that_no_model_can_answer_for_fails() -> None:
    """It leaves at this stage, as a bug; its neighbours are served."""
    scored = triggers("nan", 0.25)
    ScoreStage([FakeModel(), FakeModel("static")], fields, Scored)(scored)
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
    ScoreStage([FakeModel()], fields, Scored)(scored)
    assert [each.failure is None for each in scored.items] == [False, True]


def test_fields_that_raise_fail_their_record() -> None:
    """What the use case makes of the outputs may fail for a record, too."""

    def picky(outputs: Outputs, decision: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        if any(score > 0.9 for score in outputs["score"]):
            raise ValueError("too sure")
        return fields(outputs, decision)

    scored = triggers(0.25, 0.95)
    ScoreStage([FakeModel()], picky, Scored)(scored)
    assert [each.failure is None for each in scored.items] == [True, False]


def test_fields_of_another_number_than_rows_fail_the_records_not_the_worker() -> None:
    """A use case that leaves a row out has a bug; the worker goes on."""
    scored = triggers(0.25, 0.5)
    ScoreStage([FakeModel()], lambda outputs, decision: [], Scored)(scored)
    assert all(each.served is None and each.failure is not None for each in scored.items)


def test_only_triggers_that_have_not_failed_are_scored() -> None:
    """An event that only updates has no row; a failed one keeps its failure."""
    champion = FakeModel()
    bad = failed(P, 1)
    bad.row = [0.5]
    items: list[Item] = [item(P, 0), bad]
    failure = bad.failure
    ScoreStage([champion], fields, Scored)(batch(1, items))
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
    stage = ScoreStage([champion, static], fields, Scored)
    stage(batch(1, [rebuilt, usual]))
    assert rebuilt.served is not None
    assert usual.served is not None
    assert (rebuilt.served.served_by, rebuilt.served.degraded) == ("static", "state-rebuilding")
    assert (usual.served.served_by, usual.served.degraded) == ("champion", None)
