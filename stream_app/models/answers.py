"""Whether answers keep the contract of the predictions topic, held against what goes on the wire.

A batch's answers are encoded and read again as a consumer would, all in two calls: about 1 us a
prediction. A contract with validators of its own, or one that narrows a field that every
prediction has, is validated whole, which takes 6 us.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from inspect import get_annotations
from itertools import islice
from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError, create_model
from pydantic_core import from_json, to_json

from stream_app.features.events.explain import message_of
from stream_app.features.usecase import Prediction, own_fields
from stream_app.text.exception_texts import UNTOLD, ExceptionTexts
from stream_app.text.foreign import bounded

__all__ = ["AnswerContract", "AnswerError", "as_answer", "as_answers"]

_COMMON = frozenset(Prediction.model_fields)
#: The fields that the worker adds to an answer.
Common = Mapping[str, Any]


class AnswerError(ValueError):
    """An answer function gave no answers; the text quotes nothing of a record."""


def as_answers(made: Sequence[Mapping[str, Any]], count: int) -> list[dict[str, Any]]:
    """What an answer function made for a batch, as plain dicts.

    Raises `AnswerError` unless it is one a record.
    """
    if not isinstance(made, Iterable):
        raise AnswerError(f"it gave {_kind(made)} where a mapping a record is asked for")
    # One that never ends is seen by its first that is too many.
    answers = [as_answer(answer) for answer in islice(made, count + 1)]
    if len(answers) != count:
        raise AnswerError(
            f"{'more' if len(answers) > count else len(answers)} answers for {count} rows"
        )
    return answers


def as_answer(made: Mapping[str, Any]) -> dict[str, Any]:
    """What an answer function made for a record, as a plain dict; raises `AnswerError`.

    A copy, so that what was held against the contract is what is published: of a generator within
    an answer nothing would be left.
    """
    try:
        answer = dict(made)
    except (TypeError, ValueError):
        raise AnswerError(
            f"it gave {_kind(made)} where a mapping of the prediction's fields is asked for"
        ) from None
    if not _PLAIN.issuperset(map(type, answer.values())):
        _make_plain(answer)
    return answer


def _kind(value: object) -> str:
    return "None" if value is None else f"a {bounded(type(value).__qualname__)}"


_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


def _make_plain(answer: dict[str, Any]) -> None:
    for name, value in answer.items():
        if type(value) not in _PLAIN:
            # What has no form in JSON stays, to be told of with its name.
            with suppress(Exception):
                answer[name] = from_json(to_json(value, inf_nan_mode="constants"))


class AnswerContract:
    """The contract of a use case's predictions."""

    def __init__(self, prediction: type[Prediction], *, texts: ExceptionTexts = UNTOLD) -> None:
        """`texts`: whether `broken` tells texts of validators, which may quote the answer."""
        self._texts = texts
        self._common = frozenset(prediction.model_fields) - own_fields(prediction)
        self.whole = _is_whole(prediction)
        """Whether `broken` needs the fields that the worker adds."""
        contract = prediction if self.whole else _own_part(prediction)
        self._validate = TypeAdapter(list[contract]).validator.validate_json  # type: ignore[valid-type]

    def broken(
        self, answers: Sequence[Mapping[str, Any]], common: Sequence[Common] = ()
    ) -> dict[int, str]:
        """Which answers break the contract, by position, each with what is wrong.

        `common`: of each answer the fields that the worker adds, where the contract is `whole`.
        """
        rows = answers
        if self.whole:
            # A use case's field must not stand for one of the worker's.
            if any(not self._common.isdisjoint(own) for own in answers):
                return self._broken_alone(answers, common)
            rows = [
                {**own, **{name: ours[name] for name in self._common}}
                for own, ours in zip(answers, common, strict=True)
            ]
        try:
            self._validate(to_json(rows, inf_nan_mode="null"), strict=True)
        except ValidationError as error:
            return self._explain(error)
        except Exception as error:  # noqa: BLE001 - one answer holds what JSON has no form for: find it
            if len(rows) == 1:
                told = f"it cannot be encoded as JSON ({type(error).__qualname__})"
                return {0: self._texts.after(told, error)}
            return self._broken_alone(answers, common)
        return {}

    def _explain(self, error: ValidationError) -> dict[int, str]:
        broken: dict[int, str] = {}
        for each in error.errors(include_url=False, include_input=False):
            at, *path = each["loc"]
            field = ".".join(map(str, path)) or "the answer"
            message, quoting = message_of(each)
            told = self._texts.quoting(message, quoting)
            whose = ""
            if path and path[0] in self._common:
                whose = ", which the worker fills in (call one of your own otherwise)"
            broken.setdefault(int(at), f"field {bounded(field)}{whose}: {bounded(told)}")
        return broken

    def _broken_alone(
        self, answers: Sequence[Mapping[str, Any]], common: Sequence[Common]
    ) -> dict[int, str]:
        broken = {}
        for at, own in enumerate(answers):
            if self.whole and (taken := self._common.intersection(own)):
                broken[at] = f"it has fields of the worker's own: {', '.join(sorted(taken))}"
            else:
                why = self.broken([own], common[at : at + 1])
                broken |= {at + position: text for position, text in why.items()}
        return broken


def _is_whole(prediction: type[Prediction]) -> bool:
    decorators = prediction.__pydantic_decorators__
    validators = decorators.validators, decorators.field_validators, decorators.root_validators
    redeclared = _COMMON & _declared(prediction)
    return any((*validators, decorators.model_validators, redeclared))


def _declared(prediction: type[Prediction]) -> set[str]:
    """Fields that classes below `Prediction` declare."""
    below = prediction.__mro__[: prediction.__mro__.index(Prediction)]
    return {name for kind in below for name in get_annotations(kind)}


def _own_part(prediction: type[Prediction]) -> Any:
    fields: dict[str, Any] = {
        name: (field.annotation, field)
        for name, field in prediction.model_fields.items()
        if name in own_fields(prediction)
    }
    config = ConfigDict(**{**prediction.model_config, "extra": "forbid"})
    return create_model(f"{prediction.__name__}Answer", __config__=config, **fields)
