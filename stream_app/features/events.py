"""Events: the base of every event contract, and how bytes become one.

A use case declares one pydantic model per event type, derived from `Event`. A `Decoder` turns the
value of a record into an event or raises `InvalidEventError`, which says what was wrong in terms a
producer understands; it never quotes the payload.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, GetPydanticSchema, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError, core_schema

from stream_app.text.foreign import bounded

__all__ = ["Decoder", "Event", "InvalidEventError", "JsonDecoder", "Moment"]

_MOMENT_CHARACTERS: Final = 64
"""Most that a moment has: thirty with nanoseconds. A fraction of a megabyte of digits is valid too,
and would be kept by the cache."""

_NOT_A_MOMENT = PydanticCustomError(
    "datetime_moment", "Input should be a moment of RFC 3339 with an offset"
)


# Times of a stream repeat: many events fall into the same instant of their clock.
@lru_cache(maxsize=4_096)
def _seconds(text: str) -> float:
    # pydantic's own parser takes bare numbers, padded digits and dates, and its zones make
    # `timestamp` slow; the standard library's takes a few forms more than RFC 3339 has.
    shape = text[4:5] + text[7:8] + text[13:14] + text[16:17]
    if shape != "--::" or text[10] not in "T " or not (text[-1] == "Z" or text[-3] == ":"):
        raise _NOT_A_MOMENT
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _NOT_A_MOMENT from None
    if moment.tzinfo is None:
        raise _NOT_A_MOMENT
    return moment.timestamp()


#: A moment on the wire: an RFC 3339 string with an offset. In Python: seconds since the epoch.
#: Naive times and bare numbers are refused: a number does not say whether it means seconds.
Moment = Annotated[
    float,
    GetPydanticSchema(
        lambda _source, _handler: core_schema.no_info_after_validator_function(
            _seconds,
            core_schema.chain_schema(
                [
                    core_schema.str_schema(strict=True),
                    core_schema.custom_error_schema(
                        core_schema.str_schema(max_length=_MOMENT_CHARACTERS),
                        _NOT_A_MOMENT.type,
                        custom_error_message=_NOT_A_MOMENT.message_template,
                    ),
                ]
            ),
        ),
        lambda _schema, _handler: {"type": "string", "format": "date-time"},
    ),
]


class Event(BaseModel):
    """What every event carries. Field names on the wire may differ by way of pydantic aliases.

    Strict where JSON allows it; unknown fields are tolerated, kept in `model_extra` and counted.
    """

    model_config = ConfigDict(
        strict=True,
        extra="allow",
        allow_inf_nan=False,
        frozen=False,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    event_id: Annotated[str, Field(min_length=1, max_length=128)]
    """Identifies the event for its producer; unique per event type."""
    event_time: Moment
    """When it happened: RFC 3339 with an offset on the wire, seconds since the epoch in Python."""


_MESSAGE_CHARACTERS: Final = 500


class InvalidEventError(Exception):
    """The bytes are not an event of the contract.

    `reason` is a code of `docs/reasons.md`, or one that a decoder of the use case's own makes up; `field`
    is a dotted path or None, `str(error)` a sentence. Names of fields may be the producer's, so all three are bounded here, where they are made.
    """

    def __init__(self, reason: str, message: str, field: str | None = None) -> None:
        super().__init__(bounded(message, _MESSAGE_CHARACTERS))
        self.reason = bounded(reason)
        self.field = None if field is None else bounded(field)


#: Bytes of a record's value to an event; raises `InvalidEventError`.
Decoder = Callable[[bytes], Event]

# pydantic's error types (https://docs.pydantic.dev/latest/errors/validation_errors/) to reasons.
_REASON_OF_TYPE = {
    "missing": "missing-field",
    "finite_number": "not-finite",
    "literal_error": "wrong-event-type",
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


_PATH_PARTS: Final = 32
"""Parts of a field's path that are told; a recursive contract allows very long ones."""


class JsonDecoder:
    """Decode a JSON value into `contract`: an `Event` class, or a union discriminated by a field."""

    def __init__(self, contract: Any) -> None:
        self.contract = contract
        self._adapter: TypeAdapter[Event] = TypeAdapter(contract)
        self._validate = self._adapter.validator.validate_json

    def __call__(self, value: bytes) -> Event:
        """Return the event; raises `InvalidEventError`."""
        try:
            event: Event = self._validate(value)
        except ValidationError as error:
            raise _explain(value, error) from None
        return event

    def json_schema(self) -> dict[str, Any]:
        """The contract as a JSON Schema, for producers."""
        return self._adapter.json_schema()


def _explain(value: bytes, error: ValidationError) -> InvalidEventError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    kind = first["type"]
    # The one message of pydantic's own that quotes the payload is that of an unknown union tag.
    message = first["msg"] if kind != "union_tag_invalid" else "Input is of no expected type"
    # Of a mapping with free keys, parts of the path are the producer's own text.
    field = ".".join(bounded(str(part)) for part in first["loc"][:_PATH_PARTS]) or None
    if kind == "json_invalid":
        return _explain_json(value, message)
    if kind.startswith(("datetime", "timezone")):
        reason = "bad-time"
    elif kind.endswith("_type") and kind not in _REASON_OF_TYPE:
        reason = "wrong-type"
    else:
        reason = _REASON_OF_TYPE.get(kind, "invalid-field")
    more = error.error_count() - 1
    suffix = f" (and {more} more)" if more else ""
    where = f"field {bounded(field)}: " if field else ""
    return InvalidEventError(reason, f"{where}{message}{suffix}", field)


def _explain_json(value: bytes, message: str) -> InvalidEventError:
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return InvalidEventError(
            "invalid-utf8", f"byte {error.start} of the value is not UTF-8: {error.reason}"
        )
    if "recursion" in message:
        return InvalidEventError("nesting-too-deep", message)
    return InvalidEventError("invalid-json", message)
