"""CloudEvents 1.0, in both content modes of their Kafka protocol binding.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Union, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from stream_app.features.events.decoder import EventDecoder
from stream_app.features.events.event import Event, complete
from stream_app.features.events.explain import explain, is_type_error
from stream_app.features.events.invalid import InvalidEventError
from stream_app.features.events.json_decoder import JsonDecoder, not_json
from stream_app.features.events.message import LogRecord, Message, header_of
from stream_app.features.events.record_fields import from_header

__all__ = ["CloudEvent", "CloudEventsDecoder"]

_PREFIX: Final = "ce_"
_CONTENT_TYPE: Final = "content-type"
_MEDIA_TYPE: Final = "application/cloudevents"
_REQUIRED: Final = ("specversion", "id", "source", "type")
_VERSION: Final = "1.0"

_Text = Annotated[str, Field(min_length=1)]


class CloudEvent(Event, id_from=from_header("ce_id"), time_from=from_header("ce_time")):
    """The base of an event whose fields are the data of a CloudEvent.

    Its id and its time are the attributes `id` and `time`, in either content mode; a class derived from
    it may say otherwise, as any event type may.
    """

    @property
    def context(self) -> Mapping[str, str]:
        """The context attributes by name, extensions too: `source`, `type`, `subject` and so on."""
        return cast("Mapping[str, str]", self.__dict__["cloudevents.context"])


class _Envelope(BaseModel):
    """A CloudEvent of the JSON event format."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    specversion: Literal["1.0"]
    type: str
    id: _Text
    source: _Text
    time: _Text | None = None
    subject: _Text | None = None
    datacontenttype: _Text | None = None
    dataschema: _Text | None = None
    data_base64: str | None = None

    def context(self) -> dict[str, str]:
        """The attributes that are there, as text; extensions may be numbers and truth values too."""
        known = {**self.__dict__, **(self.model_extra or {})}
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in known.items()
            if name not in ("data", "data_base64") and isinstance(value, str | int)
        }


class CloudEventsDecoder(EventDecoder):
    """Decodes CloudEvents whose data are JSON, structured (the JSON event format) or binary.

    Where the header `content-type` begins with `application/cloudevents`, the value is the whole event;
    where it does not, attributes stand in headers `ce_...` and the value is the data. A record with
    neither is read as a structured one.

    >>> from stream_app import CloudEvent, CloudEventsDecoder, LogRecord
    >>> class Paid(CloudEvent):
    ...     amount: float
    >>> decode = CloudEventsDecoder({"com.example.paid": Paid})
    >>> binary = LogRecord(
    ...     b'{"amount": 12.5}',
    ...     headers=(
    ...         ("ce_specversion", "1.0"), ("ce_id", "e1"), ("ce_source", "/shop"),
    ...         ("ce_type", "com.example.paid"), ("ce_time", "2025-07-01T12:00:00Z"),
    ...     ),
    ... )
    >>> event = decode(binary)
    >>> event.event_id, event.event_time, event.amount
    ('e1', 1751371200.0, 12.5)
    """

    def __init__(self, types: Mapping[str, type[Event]], *, skip_others: bool = False) -> None:
        """`types`: the attribute `type` to the event type of the data; see `CloudEvent`.

        `skip_others`: events of other types are none of the use case's; else they are dead letters.
        """
        self.event_types = tuple(dict.fromkeys(types.values()))
        self._skip_others = skip_others
        self._data = {name: JsonDecoder(each) for name, each in types.items()}
        self._envelopes = [_envelope(name, each) for name, each in types.items()]
        contract: Any = self._envelopes[0]
        if len(self._envelopes) > 1:
            contract = Annotated[Union[tuple(self._envelopes)], Field(discriminator="type")]  # noqa: UP007
        self._structured: TypeAdapter[Any] = TypeAdapter(contract)

    def __call__(self, message: Message) -> Event | None:
        """Return the event; raises `InvalidEventError`."""
        content = (header_of(message, _CONTENT_TYPE) or b"").decode("latin-1").strip().lower()
        if content.startswith(_MEDIA_TYPE):
            if not content.startswith(f"{_MEDIA_TYPE}+json"):
                raise _no_json(f"header {_CONTENT_TYPE}", "the event's format is not JSON")
            return self._of_value(message)
        if not content and header_of(message, "ce_specversion") is None:
            return self._of_value(message)
        return self._of_headers(message, content)

    def json_schema(self) -> dict[str, Any]:
        """The contract of the structured mode as a JSON Schema, for producers."""
        return self._structured.json_schema()

    def ways(self) -> Iterator[tuple[type[Event], str | None]]:
        """Those of the data in the binary mode; in the structured one all is pydantic's."""
        for decoder in self._data.values():
            yield from decoder.ways()

    def _of_value(self, message: Message) -> Event | None:
        value = message.value or b""
        try:
            envelope = self._structured.validator.validate_json(value)
        except ValidationError as error:
            refused = self._refused(value, error)
            if refused is None:
                return None
            raise refused from None
        context = envelope.context()
        kind = context.get("datacontenttype")
        if kind is not None and not _is_json(kind):
            raise _no_json("datacontenttype", "the data are not JSON")
        headers = [(f"{_PREFIX}{name}", text.encode()) for name, text in context.items()]
        # As if it had come in the binary mode: there is one place where an attribute is looked for.
        record = _message_with(message, value=b"{}", headers=[*message.headers, *headers])
        event: Event | None = envelope.data
        if event is not None:
            complete(event, record)
            return _in_context(event, context)
        if envelope.data_base64 is not None:
            record = record._replace(value=_bytes_of(envelope.data_base64))
        return _in_context(self._data[envelope.type](record), context)

    def _of_headers(self, message: Message, content: str) -> Event | None:
        context = _context_of(message)
        for name in _REQUIRED:
            if not context.get(name):
                field = f"header {_PREFIX}{name}"
                raise InvalidEventError("missing-field", f"the record has no {field}", field)
        if context["specversion"] != _VERSION:
            field = f"header {_PREFIX}specversion"
            told = f"{field}: CloudEvents {_VERSION} are understood"
            raise InvalidEventError("bad-format", told, field)
        decoder = self._data.get(context["type"])
        if decoder is None:
            if self._skip_others:
                return None
            field = f"header {_PREFIX}type"
            raise InvalidEventError("wrong-event-type", f"{field}: it is no expected type", field)
        if content and not _is_json(content):
            raise _no_json(f"header {_CONTENT_TYPE}", "the data are not JSON")
        return _in_context(decoder(message), context)

    def _refused(self, value: bytes, error: ValidationError) -> InvalidEventError | None:
        """Why a value is no CloudEvent of the contract, or None where it is to be skipped."""
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        if errors[0]["type"] == "json_invalid":
            return not_json(value, errors[0]["msg"])
        fields = frozenset({"type"})
        if self._skip_others and any(is_type_error(each, fields) for each in errors):
            return None
        return explain(
            error, types=self._envelopes, type_fields=fields, is_union=len(self._envelopes) > 1
        )


def _envelope(name: str, data: type[Event]) -> type[_Envelope]:
    """The contract of a structured event of one type."""
    fields: dict[str, Any] = {"type": (Literal[name], ...), "data": (data | None, None)}
    return create_model(f"{data.__name__}CloudEvent", __base__=_Envelope, **fields)


def _message_with(message: Message, *, value: bytes, headers: list[Any]) -> LogRecord:
    """The record with another value and other headers."""
    return LogRecord(value, message.key, headers, message.timestamp, message.topic)


def _context_of(message: Message) -> dict[str, str]:
    """The attributes that stand in headers."""
    context = {}
    for name, value in message.headers:
        if name.startswith(_PREFIX) and value is not None:
            try:
                text = value if isinstance(value, str) else value.decode()
            except UnicodeDecodeError:
                field = f"header {name}"
                raise InvalidEventError("bad-format", f"{field}: it is not UTF-8", field) from None
            context[name.removeprefix(_PREFIX)] = text
    kind = header_of(message, _CONTENT_TYPE)
    if kind is not None:
        context["datacontenttype"] = kind.decode("latin-1")
    return context


def _in_context(event: Event | None, context: dict[str, str]) -> Event | None:
    if event is not None:
        event.__dict__["cloudevents.context"] = context
    return event


def _is_json(content: str) -> bool:
    media_type = content.partition(";")[0].strip().lower()
    return media_type.endswith(("/json", "+json"))


def _no_json(field: str, why: str) -> InvalidEventError:
    return InvalidEventError("bad-format", f"{field}: {why}", field)


def _bytes_of(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        told = "field data_base64: it is not base64"
        raise InvalidEventError("bad-format", told, "data_base64") from None
