"""What pydantic refuses, as a reason that a producer understands and that quotes nothing.

It tells what was expected and which type the value has. A validator's own text may quote the value, so the
exception, its function and its line are told in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticKnownError

from stream_app.features.events.invalid import InvalidEventError
from stream_app.features.events.moments import MOMENT_MESSAGES
from stream_app.text.causes import cause_of
from stream_app.text.foreign import bounded

__all__ = [
    "errors_of",
    "explain",
    "explain_errors",
    "is_type_error",
    "message_of",
    "wire_name",
]

# pydantic's error types (https://docs.pydantic.dev/latest/errors/validation_errors/) to reasons.
_REASON_OF_TYPE: Final = {
    "missing": "missing-field",
    "finite_number": "not-finite",
    "literal_error": "bad-format",
    "union_tag_invalid": "wrong-event-type",
    "union_tag_not_found": "wrong-event-type",
    "model_type": "not-an-object",
    "model_attributes_type": "not-an-object",
    "dict_type": "not-an-object",
    "timezone_aware": "bad-time",
    "greater_than": "out-of-range",
    "greater_than_equal": "out-of-range",
    "less_than": "out-of-range",
    "less_than_equal": "out-of-range",
    "too_long": "out-of-range",
    "too_short": "out-of-range",
    "string_too_long": "out-of-range",
    "string_too_short": "out-of-range",
    "int_parsing_size": "out-of-range",
    "multiple_of": "out-of-range",
    "string_pattern_mismatch": "bad-format",
    "enum": "bad-format",
}
_TAG_KINDS: Final = frozenset({"union_tag_invalid", "union_tag_not_found"})

_OF_TYPE: Final = frozenset(
    {"wrong-type", "not-an-object", "bad-time", "bad-format", "wrong-event-type", "invalid-field"}
)
"""Reasons for which the value's type is told; for others it is plain."""
_TYPES: Final = (
    (bool, "a boolean"),
    (str, "a string"),
    (int, "an integer"),
    (float, "a number"),
    (dict, "an object"),
    (list, "an array"),
    (type(None), "null"),
)
_IN_JSON: Final = {
    "model_type": "Input should be an object",
    "dict_type": "Input should be an object",
    "list_type": "Input should be a valid array",
    "set_type": "Input should be a valid array",
    "frozen_set_type": "Input should be a valid array",
    "tuple_type": "Input should be a valid array",
    "time_delta_type": "Input should be a valid duration",
}
"""Messages of pydantic that are others where the value was JSON."""
_RULE: Final = "Input breaks a rule of the contract"
_UNTOLD: Final = frozenset({"error", "encoding_error", "tz_actual", "tag"})
"""What of pydantic's context may quote the value."""
_MOST_WITH_INPUTS: Final = 16
"""Values are looked at where so many are wrong at most: each is made anew to be looked at."""

_PATH_PARTS: Final = 32
"""Parts of a field's path that are told; a recursive contract allows very long ones."""


def explain(
    error: ValidationError,
    *,
    types: Sequence[type[BaseModel]] = (),
    type_fields: frozenset[str] = frozenset(),
    is_union: bool = False,
) -> InvalidEventError:
    """Say what was wrong: with the type of the event if that was wrong, else with its first field.

    `types` are the contract, of which a message may say more; `type_fields` the names on the wire of
    the fields that tell the type; `is_union`: whether paths begin with a union's tag.
    """
    return explain_errors(errors_of(error), types=types, type_fields=type_fields, is_union=is_union)


def errors_of(error: ValidationError) -> list[ErrorDetails]:
    """What pydantic says of a value, each error with its context."""
    return error.errors(include_url=False, include_input=error.error_count() <= _MOST_WITH_INPUTS)


def explain_errors(
    errors: Sequence[ErrorDetails],
    *,
    types: Sequence[type[BaseModel]] = (),
    type_fields: frozenset[str] = frozenset(),
    is_union: bool = False,
) -> InvalidEventError:
    """As `explain`, of what `errors_of` gave."""
    first = errors[0]
    if len(errors) > 1:
        first = next((each for each in errors if is_type_error(each, type_fields)), first)
    kind, path = first["type"], first["loc"]
    tag = path[0] if is_union and path else None
    path = path[1:] if is_union else path
    if kind in _TAG_KINDS and not path and type_fields:
        path = (min(type_fields),)
    # Of a mapping with free keys, parts of the path are the producer's own text.
    field = ".".join([bounded(str(part)) for part in path[:_PATH_PARTS]]) or None
    if is_type_error(first, type_fields):
        reason = "wrong-event-type"
    elif kind.startswith(("datetime", "timezone")):
        reason = "bad-time"
    elif kind.endswith("_type") and kind not in _REASON_OF_TYPE:
        reason = "wrong-type"
    else:
        reason = _REASON_OF_TYPE.get(kind, "invalid-field")
    message, quoting = _told(first, path, types, tag)
    if reason in _OF_TYPE and "input" in first and kind not in ("missing", *_TAG_KINDS):
        message = f"{message}; it is {_type_of(first['input'])}"
    more = len(errors) - 1
    suffix = f" (and {more} more)" if more else ""
    where = f"field {bounded(field)}: " if field else ""
    return InvalidEventError(reason, f"{where}{message}{suffix}", field, quoting=quoting)


def is_type_error(error: Any, type_fields: frozenset[str]) -> bool:
    """Whether one of pydantic's errors says that an event is of another type than the contract's."""
    if error["type"] in _TAG_KINDS:
        return True
    path = error["loc"]
    return error["type"] == "literal_error" and len(path) == 1 and path[0] in type_fields


def _told(
    error: Any, path: tuple[int | str, ...], types: Sequence[type[BaseModel]], tag: object
) -> tuple[str, str]:
    """What is wrong, in words that quote nothing, and the text that may quote the value."""
    kind = error["type"]
    if kind == "union_tag_invalid":
        return "Input is of no expected type", error["msg"]
    if kind == "union_tag_not_found":
        return "Field required: it tells the type of the event", ""
    message, quoting = message_of(error)
    if kind == "finite_number":
        holders = [each for each in types if tag is None or _is_tagged(each, tag)]
        if any(_may_be_missing(holder, path) for holder in holders):
            return f"{message}; null says that it is missing", quoting
    return message, quoting


def message_of(error: Any) -> tuple[str, str]:
    """What one of pydantic's errors says, in words that quote no value, and the text that may quote it.

    `error`: of `ValidationError.errors()`, with its context.
    """
    message, context = error["msg"], error.get("ctx")
    if message in MOMENT_MESSAGES or (not context and message == _plain_message(error["type"])):
        return message, ""
    context = context or {}
    raised = context.get("error")
    if isinstance(raised, BaseException):  # of a validator
        return f"{_RULE}: {cause_of(raised)}", message
    try:
        known = PydanticKnownError(error["type"], context)
    except (KeyError, TypeError, ValueError):  # an error that somebody made up, in words of his own
        return _RULE, message
    if message not in (known.message(), _IN_JSON.get(error["type"])):
        return _RULE, message
    if untold := _UNTOLD.intersection(context):
        beginning = known.message_template.partition(f"{{{min(untold)}}}")[0]
        return beginning.rstrip(" ,:").removesuffix(" required, got").removesuffix(", got"), message
    return message, ""


@lru_cache(maxsize=1_024)
def _plain_message(kind: str) -> str | None:
    """What pydantic says of an error of a kind that has no context; None where it has, or is not pydantic's."""
    try:
        return PydanticKnownError(kind).message()  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError):
        return None


def _type_of(value: object) -> str:
    """The type of a value as JSON calls it, else as Python does."""
    for kind, name in _TYPES:
        if isinstance(value, kind):
            return name
    return f"a {bounded(type(value).__qualname__)}"


def _is_tagged(holder: type[BaseModel], tag: object) -> bool:
    return any(tag in get_args(field.annotation) for field in holder.model_fields.values())


def _may_be_missing(holder: type[BaseModel], path: tuple[int | str, ...]) -> bool:
    """Whether the contract allows null at the end of a path."""
    named = {wire_name(holder, name): field for name, field in holder.model_fields.items()}
    field = named.get(str(path[0])) if path else None
    if field is None:
        return False
    choices = get_args(field.annotation)
    if len(path) == 1:
        return type(None) in choices
    inner = [each for each in (field.annotation, *choices) if isinstance(each, type)]
    return any(_may_be_missing(each, path[1:]) for each in inner if issubclass(each, BaseModel))


def wire_name(holder: type[BaseModel], name: str) -> str:
    """What a field is called in the value, as paths of errors say it."""
    alias = holder.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else name
