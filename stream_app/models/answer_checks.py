"""Whether a use case can answer for what a model version was recorded with, before it serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import Any

import numpy as np

from stream_app.features.answer import Outputs
from stream_app.features.engine.replay import Row
from stream_app.features.model_version.folder import VersionFolder
from stream_app.features.model_version.golden import replay_golden
from stream_app.features.usecase import UseCase
from stream_app.models.answer_function import AnswerFunction, Made
from stream_app.models.answers import AnswerContract, AnswerError
from stream_app.models.checks import refusal
from stream_app.models.model import Model, finite
from stream_app.models.samples import golden_row
from stream_app.records.record_id import record_name
from stream_app.text.causes import cause_of
from stream_app.text.foreign import bounded
from stream_app.text.moments import rfc3339

__all__ = ["check_answers"]

_MEND = "mend the use case's function, or its contract of predictions."
_GIVE_ONE = (
    "the use case has no answer=, so an output of the model is the field of its name; give it one, or "
    "name the outputs by package(..., outputs={...})."
)


def check_answers(model: Model, usecase: UseCase, version: VersionFolder) -> None:
    """What the use case answers keeps its declared contract. Raises `ModelRefusedError`.

    Asked are the version's golden events with their own rows and outputs; and with the outputs of its
    golden vectors, which cover what is missing and never seen. Outputs that are not finite have no
    answer in service either.
    """
    rows_of = replay_golden(usecase.features, usecase.topics, version.golden_events)
    asked = [row for row in rows_of if row is not None]
    golden = [golden_row(vector, usecase.features) for vector in version.golden]
    answer, contract = AnswerFunction(usecase), AnswerContract(usecase.prediction)
    for rows, what in (([row.values for row in asked], "event"), (golden, "vector")):
        of = asked if what == "event" else [*islice(cycle(asked), len(rows))]
        outputs = model.score(rows)
        good = finite(outputs)
        chosen = [row for row, ok in zip(of, good.tolist(), strict=True) if ok]
        if chosen:
            mend = _MEND if usecase.answer is not None else _GIVE_ONE
            _check(model, answer, contract, chosen, _where(outputs, good), f"golden {what}", mend)


def _check(
    model: Model,
    answer: AnswerFunction,
    contract: AnswerContract,
    asked: Sequence[Row],
    outputs: Outputs,
    what: str,
    mend: str,
) -> None:
    events = [row.event for row in asked]
    try:
        made = answer(events, [row.values for row in asked], outputs, model.manifest.decision)
    except Exception as error:  # noqa: BLE001 - it is the use case's own code
        made = [error]
    for each in made:
        if isinstance(each, BaseException):
            given = "" if isinstance(each, AnswerError) else f"{_given(model, outputs)} "
            raise refusal(
                model.manifest,
                f"the use case's answer, {answer.name}, cannot be made for a {what} "
                f"({_told(each)}). {given}To do: {mend}",
            ) from each
    common = [_common(model, row) for row in asked]
    for why in contract.broken(_answers(made), common).values():
        raise refusal(
            model.manifest,
            f"the use case's answer, {answer.name}, for a {what} breaks its contract ({why}): "
            f"{mend}",
        )


def _answers(made: Sequence[Made]) -> list[dict[str, Any]]:
    return [each for each in made if isinstance(each, dict)]


def _told(error: BaseException) -> str:
    text = bounded(" ".join(str(error).split()))
    if isinstance(error, AnswerError):
        return text
    cause = cause_of(error)
    return f"{cause}: {text}" if text and text not in cause else cause


def _given(model: Model, outputs: Outputs) -> str:
    """What the function was given: most mistakes are a name that is not among it."""
    decision = ", ".join(model.manifest.decision) or "nothing (package(..., decision=...) fills it)"
    return f"The model gives {', '.join(outputs)}; the decision holds {decision}."


def _where(outputs: Outputs, good: Any) -> Mapping[str, Any]:
    return {name: np.asarray(values)[good] for name, values in outputs.items()}


def _common(model: Model, row: Row) -> dict[str, Any]:
    return {
        "prediction_id": record_name("A" * 22, 0, 0),
        "event_id": row.event.event_id,
        "event_time": rfc3339(row.event.event_time),
        "application": "golden",
        "model": {"name": model.name, "version": model.version},
        "served_by": "champion",
        "degraded": None,
        "state_freshness_seconds": row.freshness_seconds,
    }
