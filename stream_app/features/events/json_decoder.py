"""Values that are JSON: one event type a topic, or several that a field tells apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from stream_app.features.events.decoder import EventDecoder
from stream_app.features.events.event import Event, complete, takes_of_record
from stream_app.features.events.explain import (
    errors_of,
    explain_errors,
    is_type_error,
    wire_name,
)
from stream_app.features.events.fast_json import NotExactError, fast_decode
from stream_app.features.events.invalid import InvalidEventError
from stream_app.features.events.message import Message

__all__ = ["EventContract", "JsonDecoder", "is_contract", "not_json"]

_FRAME_BYTES: Final = 5
"""A schema registry's serializers put a zero byte and the schema's id, four bytes, before a value."""


class EventContract:
    """An event type, or a union of event types that a field tells apart; validates and explains."""

    def __init__(self, contract: Any, by: str | None = None) -> None:
        """`by`: the field that tells the type of an event. Without it, it is the field that pydantic's
        `Field(discriminator=...)` names, or the required field whose `Literal` allows one text only.

        Raises `TypeError` for what is no event type, and where nothing tells the types of a union apart.
        """
        self.types, named = _members(contract)
        self.is_union = len(self.types) > 1
        chosen = by or named
        tags = _tags(self.types) if chosen is None else [chosen]
        if self.is_union:
            if len(tags) != 1:
                raise TypeError(_UNDECIDED.format(", ".join(each.__name__ for each in self.types)))
            contract = Annotated[Union[self.types], Field(discriminator=tags[0])]  # noqa: UP007
        for tag in tags:
            if lacking := [each for each in self.types if tag not in each.model_fields]:
                raise TypeError(
                    f"{lacking[0].__name__} has no field {tag}, which is to tell its type"
                )
        self.tag = tags[0] if self.is_union else None
        """The field that tells the types of a union apart."""
        self.type_fields = frozenset(wire_name(self.types[0], tag) for tag in tags)
        self.adapter: TypeAdapter[Event] = TypeAdapter(contract)
        self.takes_of_record = any(map(takes_of_record, self.types))

    def json_schema(self) -> dict[str, Any]:
        """The contract as a JSON Schema, for producers."""
        return self.adapter.json_schema()

    def is_other_type(self, error: ValidationError) -> bool:
        """Whether a value was refused for an event of another type."""
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        return any(is_type_error(each, self.type_fields) for each in errors)

    def explained(self, errors: Sequence[ErrorDetails]) -> InvalidEventError:
        """Why a value was refused, of what `errors_of` gave."""
        return explain_errors(
            errors, types=self.types, type_fields=self.type_fields, is_union=self.is_union
        )


_UNDECIDED: Final = (
    "nothing tells {} apart: give each of them one field of the same name whose Literal allows its own "
    "text only, or name the field with JsonDecoder(..., by=FIELD)"
)


class JsonDecoder(EventDecoder):
    """Decodes a JSON value by a pydantic model, or by a union of models that a field tells apart.

    >>> from stream_app import Event, InvalidEventError, JsonDecoder, LogRecord, Moment
    >>> class Order(Event, id_from="order", time_from="placed"):
    ...     order: str
    ...     placed: Moment
    ...     amount: float
    >>> decode = JsonDecoder(Order)
    >>> event = decode(
    ...     LogRecord(b'{"order": "o1", "placed": "2025-07-01T12:00:00Z", "amount": 12.5}')
    ... )
    >>> event.event_id, event.event_time, event.amount
    ('o1', 1751371200.0, 12.5)
    >>> try:
    ...     decode(LogRecord(b'{"order": "o1", "placed": "2025-07-01T12:00:00Z"}'))
    ... except InvalidEventError as error:
    ...     error.reason, error.field
    ('missing-field', 'amount')
    """

    def __init__(self, contract: Any, *, by: str | None = None, skip_others: bool = False) -> None:
        """`contract`: an `Event` class, or a union of them; `by`: the field that tells the type, where
        it cannot be seen (see `EventContract`).

        `skip_others`: records of other types are none of the use case's; else they are dead letters.
        Raises `TypeError` for a contract that cannot be decoded by.
        """
        self._contract = EventContract(contract, by)
        self.event_types = self._contract.types
        self._skip_others = skip_others
        self._validate = self._contract.adapter.validator.validate_json
        self.why_pydantic: str | None = None
        """Why every value is validated by pydantic; None where those that are valid need it not."""
        self._fast: Callable[[bytes], Event | None] = _to_pydantic
        try:
            self._fast = fast_decode(self.event_types, self._contract.tag)
        except NotExactError as error:
            self.why_pydantic = str(error)
        self._takes_of_record = self._contract.takes_of_record

    def __call__(self, message: Message) -> Event | None:
        """Return the event; raises `InvalidEventError`."""
        value = message.value or b""
        event = self._fast(value)
        if event is None:
            try:
                event = self._validate(value)
            except ValidationError as error:
                if self._skip_others and self._contract.is_other_type(error):
                    return None
                raise self._explained(value, error) from None
        if self._takes_of_record:
            complete(event, message)
        return event

    def json_schema(self) -> dict[str, Any]:
        """The contract as a JSON Schema, for producers."""
        return self._contract.json_schema()

    def ways(self) -> Iterator[tuple[type[Event], str | None]]:
        """Each of its types."""
        return ((each, self.why_pydantic) for each in self.event_types)

    def _explained(self, value: bytes, error: ValidationError) -> InvalidEventError:
        errors = errors_of(error)
        if errors[0]["type"] == "json_invalid":
            return not_json(value, errors[0]["msg"])
        return self._contract.explained(errors)


def _to_pydantic(_: bytes) -> None:
    """Leaves every value to pydantic."""


def not_json(value: bytes, message: str) -> InvalidEventError:
    """Why a value is no JSON document; `message` is what the parser said."""
    if value[:1] == b"\x00" and len(value) > _FRAME_BYTES:
        schema = int.from_bytes(value[1:_FRAME_BYTES])
        return InvalidEventError(
            "framed-value",
            f"the value begins with a zero byte and what may be the id of a schema, {schema}: it looks as "
            "if a schema registry's serializer had written it, and plain JSON is declared",
        )
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return InvalidEventError(
            "invalid-utf8", f"byte {error.start} of the value is not UTF-8: {error.reason}"
        )
    if "recursion" in message:
        return InvalidEventError("nesting-too-deep", message)
    return InvalidEventError("invalid-json", message)


def is_contract(value: Any) -> bool:
    """Whether this is an event type or a union of such, and no decoder."""
    if isinstance(value, type):
        return issubclass(value, Event)
    return get_origin(value) in (Annotated, Union, UnionType)


def _members(contract: Any) -> tuple[tuple[type[Event], ...], str | None]:
    """The event types of a contract, and the field that pydantic is told to tell them apart by."""
    discriminator = None
    if get_origin(contract) is Annotated:
        contract, *metadata = get_args(contract)
        found = [each.discriminator for each in metadata if isinstance(each, FieldInfo)]
        discriminator = next((each for each in found if isinstance(each, str)), None)
    members = get_args(contract) if get_origin(contract) in (Union, UnionType) else (contract,)
    for member in members:
        if not (isinstance(member, type) and issubclass(member, Event)):
            raise TypeError(f"{member!r} is no event type: derive a class from stream_app.Event")
    return members, discriminator


def _tags(types: Sequence[type[Event]]) -> list[str]:
    """The required fields that allow one text only, in all of some event types."""
    return [
        name
        for name, field in types[0].model_fields.items()
        if all(map(_tells_type, [each.model_fields.get(name) for each in types]))
        and field.is_required()
    ]


def _tells_type(field: FieldInfo | None) -> bool:
    if field is None or get_origin(field.annotation) is not Literal:
        return False
    texts = get_args(field.annotation)
    return len(texts) == 1 and isinstance(texts[0], str)
