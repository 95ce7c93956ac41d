"""The base of every event contract, and where an event has its id and its time from."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Final,
    Unpack,
)
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from stream_app.features.events.message import Message
from stream_app.features.events.moments import Moment, is_moment
from stream_app.features.events.record_fields import ID_CHARACTERS, RecordField

__all__ = ["Event", "complete", "taken_of_record", "takes_of_record", "where_held"]

_TEXTS_OF_ID: Final = (str, int, UUID)


class Event(BaseModel):
    """What every event carries: an id and a time.

    By default they are fields of the value, `event_id` and `event_time`. A class that has them from
    elsewhere says so, and its value then has no such fields:

        class Payment(Event, id_from="payment_id", time_from="created"):
            payment_id: str
            created: Moment

        class Login(Event, id_from=from_header("login-id"), time_from=from_timestamp()):
            card: int

    `id_from` is the name of a field (str, int or UUID), `from_key()` or `from_header(NAME)`; `time_from`
    is the name of a field (`Moment`, `EpochSeconds` or `EpochMilliseconds`), `from_header(NAME)` or
    `from_timestamp()`. Classes derived from such a class inherit both. Raises `TypeError` where a name is
    wrong.

    Strict where JSON allows it; unknown fields are tolerated, kept in `model_extra` and counted. Names
    on the wire may differ by way of pydantic aliases.
    """

    model_config = ConfigDict(
        strict=True,
        extra="allow",
        allow_inf_nan=False,
        frozen=False,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    if TYPE_CHECKING:
        # Properties to type checkers, for not every class takes them in its constructor.
        @property
        def event_id(self) -> str:
            """Identifies the event for its producer; unique per event type."""

        @property
        def event_time(self) -> float:
            """When it happened, in seconds since the epoch."""
    else:
        event_id: Annotated[str, Field(min_length=1, max_length=ID_CHARACTERS)]
        """Identifies the event for its producer; unique per event type."""
        event_time: Moment
        """When it happened, in seconds since the epoch (RFC 3339 on the wire)."""

    _taken: ClassVar[dict[str, str | RecordField]] = {}
    """What `event_id` and `event_time` are taken from, where it is not their own field."""

    def __init_subclass__(
        cls,
        *,
        id_from: str | RecordField | None = None,
        time_from: str | RecordField | None = None,
        **config: Unpack[ConfigDict],
    ) -> None:
        """See the class."""
        super().__init_subclass__(**config)

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        *,
        id_from: str | RecordField | None = None,
        time_from: str | RecordField | None = None,
        **config: Any,
    ) -> None:
        """Put what is taken from elsewhere in the place of the fields."""
        super().__pydantic_init_subclass__(**config)
        said = {"event_id": id_from, "event_time": time_from}
        taken = cls._taken | {name: source for name, source in said.items() if source is not None}
        if not taken:
            return
        cls._taken = taken
        for name, source in taken.items():
            if name in cls.__annotations__:
                raise TypeError(
                    f"{cls.__name__} declares the field {name} and takes it from elsewhere"
                )
            cls.__pydantic_fields__.pop(name, None)
            if isinstance(source, str):
                setattr(cls, name, property(_getter(cls, name, source)))
            elif name == "event_id" and source.is_timestamp:
                raise TypeError(f"{cls.__name__}: a timestamp identifies no event; see id_from")
        cls.model_rebuild(force=True)


def _getter(cls: type[Event], name: str, source: str) -> Callable[[Any], Any]:
    """What reads the id or the time of an event from a field of its own."""
    keyword = "id_from" if name == "event_id" else "time_from"
    field = cls.__pydantic_fields__.get(source)
    if field is None:
        known = ", ".join(cls.__pydantic_fields__) or "none"
        raise TypeError(
            f"{cls.__name__}: {keyword} names the field {source!r}; its fields are {known}"
        )
    if name == "event_time":
        if not any(map(is_moment, field.metadata)):
            raise TypeError(
                f"{cls.__name__}: time_from names the field {source!r}, which is no time that is always "
                "there: declare it Moment, EpochSeconds or EpochMilliseconds, and not optional"
            )
        return attrgetter(source)
    if field.annotation not in _TEXTS_OF_ID:
        raise TypeError(
            f"{cls.__name__}: id_from names the field {source!r}, which cannot be an id: declare it str, "
            "int or UUID, and not optional"
        )
    if field.annotation is str:
        _bound(field)
        return attrgetter(source)
    return lambda event: str(getattr(event, source))


def _bound(field: FieldInfo) -> None:
    """Give an id the bounds of `event_id`, where its own field has none."""
    for bound in Field(min_length=1, max_length=ID_CHARACTERS).metadata:
        if not any(isinstance(each, type(bound)) for each in field.metadata):
            field.metadata.append(bound)


def taken_of_record(event_type: type[Event]) -> dict[str, RecordField]:
    """What of `event_id` and `event_time` stands in the record and not in its value, and where."""
    taken = event_type._taken.items()
    return {name: source for name, source in taken if isinstance(source, RecordField)}


def takes_of_record(event_type: type[Event]) -> bool:
    """Whether an event's id or time stands in the record and not in its value."""
    return bool(taken_of_record(event_type))


def where_held(event_type: type[Event], name: str) -> str:
    """The attribute that holds the same as this field, without a property between."""
    source = event_type._taken.get(name)
    if not isinstance(source, str):
        return name
    # Of an id that is an int or a UUID the text is asked for.
    is_itself = name == "event_time" or event_type.model_fields[source].annotation is str
    return source if is_itself else name


def complete(event: Event, message: Message) -> None:
    """Give an event what it takes of its record; raises `InvalidEventError`."""
    for name, source in event._taken.items():
        if isinstance(source, RecordField):
            read = source.text if name == "event_id" else source.seconds
            # Not a field any more: pydantic would keep it among the unknown ones.
            event.__dict__[name] = read(message)
