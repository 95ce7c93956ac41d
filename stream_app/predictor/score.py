"""Stage score: the champion answers; where it cannot, the declared fallbacks do, and say so.

A fallback serves a record for which the champion raised or gave no finite output, and all records of a
batch for which `enrich` notes that a state is being rebuilt (`Item.degraded`). Whether records go on at
all while that lasts, or wait, is decided in `recovery/recovery.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from stream_app.features.usecase import Outputs, Prediction
from stream_app.models import Model, ScoringError, finite
from stream_app.models.answers import AnswerContract, as_answers
from stream_app.records.batch import Batch
from stream_app.records.failure import Failure
from stream_app.records.item import Item, Served
from stream_app.text.causes import cause_of, unless_told_to_end
from stream_app.text.moments import rfc3339

__all__ = ["ScoreStage"]

Fields = Callable[[Outputs, Mapping[str, Any]], Sequence[Mapping[str, Any]]]


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
        self,
        models: Sequence[Model],
        fields: Fields,
        prediction: type[Prediction],
    ) -> None:
        """`models`: the champion first, then the fallbacks in the order in which they are asked.

        `fields` makes answers of outputs; with the worker's own fields they are a `prediction`.
        """
        self._ladder = [
            (model.name if place else "champion", model) for place, model in enumerate(models)
        ]
        self._fields = fields
        self._contract = AnswerContract(prediction)

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
                unserved = self._serve(model, name, unserved, blames)
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
        self, model: Model, served_by: str, items: Sequence[Item], blames: dict[Item, _Blame]
    ) -> list[Item]:
        """Serve what this model can; return the rest, marked with the reason."""
        tried = self._answers(model, items)
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
                blame = _Blame("invalid-answer", f"its answer breaks the contract: {broken[at]}")
                at += 1
            else:
                assert isinstance(answer, _Blame)
                blame = answer
            item.degraded = blame.degraded
            blames.setdefault(item, blame._replace(why=f"{model}: {blame.why}"))
            unserved.append(item)
        return unserved

    def _answers(self, model: Model, items: Sequence[Item]) -> list[_Answer | _Blame]:
        """What the model answers for each record, or why it does not."""
        reason = "model-error"
        try:
            outputs = model.score([item.row for item in items])  # type: ignore[misc]
            good = finite(outputs)
            reason = "fields-error"
            if good.all():
                return [*as_answers(self._fields(outputs, model.manifest.decision), len(items))]
            outputs = {name: values[good] for name, values in outputs.items()}
            count = int(good.sum())
            answers = (
                iter(as_answers(self._fields(outputs, model.manifest.decision), count))
                if count
                else iter(())
            )
            return [next(answers) if ok else _NOT_FINITE for ok in good.tolist()]
        except BaseException as error:  # noqa: BLE001 - one record may make a model raise: find it
            unless_told_to_end(error)
            if len(items) == 1:
                return [_Blame(reason, _why(error, reason))]
        half = len(items) // 2
        return [*self._answers(model, items[:half]), *self._answers(model, items[half:])]


def _why(error: BaseException, reason: str) -> str:
    if isinstance(error, ScoringError):
        return error.why or cause_of(error.__cause__ or error)
    return f"fields: {cause_of(error)}" if reason == "fields-error" else cause_of(error)


def _common(item: Item, model: Model, served_by: str) -> Mapping[str, Any]:
    """The worker's own fields of a prediction, as far as a contract may narrow them."""
    return {
        "prediction_id": "topic-0-0",
        "event_id": item.event.event_id,
        "event_time": rfc3339(item.event.event_time),
        "model": {"name": model.name, "version": model.version},
        "served_by": served_by,
        "degraded": item.degraded,
        "state_freshness_seconds": None,
    }
