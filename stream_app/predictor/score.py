"""Stage score: the champion answers; where it cannot, the declared fallbacks do, and say so.

A fallback serves a record where the champion raised or gave an output that is not finite, where the use
case's answer for the champion's outputs raised, and where that answer breaks the contract of the
predictions (`models/answers.py`). It also serves all records of a batch for which `enrich` notes that a
state is being rebuilt (`Item.degraded`). A record that no fallback can serve either becomes a dead letter.

Whether records wait while a state is rebuilt, instead of being served by a fallback, is decided by the
setting `while_rebuilding` and, where there is no fallback, in `worker/assembly.py`;
`recovery/recovery.py` lets them wait.

What each model gave for the records of a batch is kept in `Batch.scored`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from stream_app.features.answer import Outputs
from stream_app.features.usecase import UseCase
from stream_app.models import Model, ScoringError, finite
from stream_app.models.answer_function import AnswerFunction
from stream_app.models.answers import AnswerContract, AnswerError
from stream_app.models.columns import places_of_columns
from stream_app.records.batch import Batch, Scored
from stream_app.records.failure import Failure
from stream_app.records.item import Item, Served
from stream_app.text.causes import cause_of, unless_told_to_end
from stream_app.text.exception_texts import UNTOLD, ExceptionTexts
from stream_app.text.moments import rfc3339
from stream_app.wire.prediction import prediction_id

__all__ = ["ScoreStage"]


class _Blame(NamedTuple):
    """Why a model could not serve a record: what `degraded` says, and words for a person."""

    degraded: str
    why: str


_Answer = dict[str, Any]

_NOT_FINITE: Final = _Blame("non-finite-score", "its output is not finite")
_REASONS: Final = {"model-error": "unscorable", "non-finite-score": "unscorable"}
"""Reasons of dead letters, where they differ from what `degraded` says."""


class ScoreStage:
    """Sets `served` of each trigger."""

    def __init__(
        self, models: Sequence[Model], usecase: UseCase, *, texts: ExceptionTexts = UNTOLD
    ) -> None:
        """`models`: the champion first, then the fallbacks in the order in which they are asked.

        `texts`: whether a failure tells the text of an exception.
        """
        self._ladder = [
            (model.name if place else "champion", model) for place, model in enumerate(models)
        ]
        self._answer = AnswerFunction(usecase)
        self._contract = AnswerContract(usecase.prediction, texts=texts)
        self._features = usecase.features
        self._texts = texts

    def __call__(self, batch: Batch) -> None:
        """Score the batch's triggers; a record no model can answer for gets a failure."""
        unserved = [item for item in batch.items if item.row is not None and item.failure is None]
        # A record that already has a reason not to use the champion goes to the fallbacks.
        barred = [item for item in unserved if item.degraded is not None]
        if barred:
            unserved = [item for item in unserved if item.degraded is None]
        blames: dict[Item, _Blame] = {}
        for name, model in self._ladder:
            if unserved:
                unserved = self._serve(model, name, unserved, blames, batch.scored)
            if barred:
                unserved, barred = [*unserved, *barred], []
        for item in unserved:
            blame = blames.get(item)
            message = "neither the champion nor a fallback could answer"
            if blame is not None:
                message = f"{message}: {blame.why}"
            degraded = blame.degraded if blame else "model-error"
            reason = _REASONS.get(degraded, degraded)
            item.failure = Failure("score", reason, message, disposition="bug")

    def _serve(
        self,
        model: Model,
        served_by: str,
        items: Sequence[Item],
        blames: dict[Item, _Blame],
        scored: list[Scored],
    ) -> list[Item]:
        """Serve what this model can; return the rest, marked with the reason."""
        tried = self._answers(model, items, scored)
        answered = [answer for answer in tried if type(answer) is dict]
        common = [_common(item, model, served_by) for item, answer in zip(items, tried, strict=True)
                  if type(answer) is dict] if self._contract.whole else ()  # fmt: skip
        broken = self._contract.broken(answered, common) if answered else {}
        unserved = []
        at = 0
        for item, answer in zip(items, tried, strict=True):
            if type(answer) is dict:
                if at not in broken:
                    item.served = Served(
                        answer, model.name, model.version, served_by, item.degraded
                    )
                    at += 1
                    continue
                blame = _Blame(
                    "invalid-answer",
                    f"the answer of {self._answer.name} breaks the contract: {broken[at]}",
                )
                at += 1
            else:
                assert isinstance(answer, _Blame)
                blame = answer
            item.degraded = blame.degraded
            blames.setdefault(item, blame._replace(why=f"{model}: {blame.why}"))
            unserved.append(item)
        return unserved

    def _answers(
        self, model: Model, items: Sequence[Item], scored: list[Scored]
    ) -> list[_Answer | _Blame]:
        """What the use case answers for each record, or why it does not; `scored` gets the outputs."""
        answering = False
        try:
            outputs = model.score([item.row for item in items])  # type: ignore[misc]
            good = finite(outputs)
            answering = True
            if good.all():
                answers = self._made(model, items, outputs)
            else:
                asked = [item for item, ok in zip(items, good.tolist(), strict=True) if ok]
                finite_ones = {name: values[good] for name, values in outputs.items()}
                made = iter(self._made(model, asked, finite_ones) if asked else ())
                answers = [next(made) if ok else _NOT_FINITE for ok in good.tolist()]
        except BaseException as error:  # noqa: BLE001 - one record may make a model raise: find it
            unless_told_to_end(error)
            if len(items) == 1:
                return [self._blame(error) if answering else self._unscored(error)]
        else:
            scored.append(Scored(model.name, model.version, items, outputs))
            return answers
        half = len(items) // 2
        return [
            *self._answers(model, items[:half], scored),
            *self._answers(model, items[half:], scored),
        ]

    def _made(
        self, model: Model, items: Sequence[Item], outputs: Outputs
    ) -> list[_Answer | _Blame]:
        rows: list[Any] = [item.row for item in items]
        events = [item.event for item in items]
        made = self._answer(events, rows, outputs, model.manifest.decision)
        return [each if isinstance(each, dict) else self._blame(each) for each in made]

    def _blame(self, error: BaseException) -> _Blame:
        """Why the use case's function did not answer for a record."""
        why = str(error) if isinstance(error, AnswerError) else self._cause(error)
        return _Blame("answer-error", f"the answer of {self._answer.name}: {why}")

    def _unscored(self, error: BaseException) -> _Blame:
        """Why a model did not take a record."""
        if isinstance(error, ScoringError) and error.column:
            place = places_of_columns(self._features)[error.column]
            return _Blame("invalid-column", f"{error.why}; it is made by {place}")
        return _Blame("model-error", self._cause(error.__cause__ or error))

    def _cause(self, error: BaseException) -> str:
        return self._texts.after(cause_of(error), error)


def _common(item: Item, model: Model, served_by: str) -> Mapping[str, Any]:
    """The worker's own fields of a prediction, as far as a contract may narrow them.

    `application` and `state_freshness_seconds` are added when the prediction is written; here something
    stands for them.
    """
    return {
        "prediction_id": prediction_id(item),
        "event_id": item.event.event_id,
        "event_time": rfc3339(item.event.event_time),
        "application": "application",
        "model": {"name": model.name, "version": model.version},
        "served_by": served_by,
        "degraded": item.degraded,
        "state_freshness_seconds": None,
    }
