"""Fields of an event by their names, in place of functions of the event.

A declaration may name a field wherever it takes a function that would give that field and nothing else.
What is named is known before the first event: it is checked when it is declared, it stands in the
fingerprint by its name, and it is read without a call of Python's for each event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, TypeAlias, TypeVar

from stream_app.features.events import Event
from stream_app.features.events.event import where_held
from stream_app.features.kinds import State, Update

__all__ = [
    "FieldOf", "Group", "Said", "UpdateOf", "field_or_function", "of_all", "told", "updates_of",
]  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])

#: An update as an author says it: fields after the time, or a function of the event.
Said: TypeAlias = str | tuple[str, ...] | Callable[[Any], Update | None]


@dataclass(frozen=True)
class FieldOf:
    """The function that gives a field of an event."""

    name: str

    def __call__(self, event: Any) -> Any:
        """The field's value."""
        return getattr(event, self.name)

    def __str__(self) -> str:
        """How a fingerprint and a sentence call it."""
        return f"the field {self.name}"


@dataclass(frozen=True)
class UpdateOf:
    """The function that gives an update made of an event's time and of fields of it."""

    names: tuple[str, ...]

    def __call__(self, event: Any) -> Update:
        """The update."""
        return event.event_time, *(getattr(event, name) for name in self.names)

    def __str__(self) -> str:
        """How a fingerprint and a sentence call it."""
        return f"({', '.join(('event_time', *self.names))})"


def field_or_function(said: str | F) -> FieldOf | F:
    """What stands for a field's name, or the function as it is."""
    return FieldOf(said) if isinstance(said, str) else said


def told(function: Any) -> str | None:
    """A field or an update of fields in words, None for a function."""
    return str(function) if isinstance(function, FieldOf | UpdateOf) else None


class Group:
    """Events of one type, of which each field is read once."""

    __slots__ = ("_columns", "_held", "_type", "events")

    def __init__(self, events: Sequence[Event]) -> None:
        """There is one at least."""
        self.events = events
        self._type = type(events[0])
        self._held: list[dict[str, Any]] | None = None
        self._columns: dict[str, list[Any]] = {}

    def column(self, name: str) -> list[Any]:
        """The field of all events, in their order; it belongs to all who ask for it."""
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = self._read(where_held(self._type, name))
        return column

    def _read(self, name: str) -> list[Any]:
        if hasattr(
            self._type, name
        ):  # a property; pydantic's fields are no attributes of their class
            return list(map(attrgetter(name), self.events))
        # A model's own attributes take twice as long: it has a `__getattr__`.
        if self._held is None:
            self._held = list(map(attrgetter("__dict__"), self.events))
        return list(map(itemgetter(name), self._held))


def of_all(function: Callable[[Any], Any], group: Group) -> list[Any]:
    """What a function gives for all events of a group; fields without a call of Python's for each."""
    if isinstance(function, FieldOf):
        return group.column(function.name)
    if isinstance(function, UpdateOf):
        return list(zip(*map(group.column, ("event_time", *function.names)), strict=True))
    return list(map(function, group.events))


def updates_of(
    where: str, state: State, on: type[Event] | Mapping[type[Event], Said]
) -> dict[type[Event], Callable[[Any], Update | None]]:
    """What gives the update, by event type; see `View`."""
    if isinstance(on, Mapping):
        return {event_type: _update(said) for event_type, said in on.items()}
    if not (isinstance(on, type) and issubclass(on, Event)):
        raise TypeError(
            f"{where}: on is {on!r}, and has to be an event type, or updates by event type"
        )
    fields = getattr(state, "fields", None)
    if fields is None:
        raise ValueError(
            f"{where}: {type(state).__name__} has no fields with names, so say which of the event's it takes: "
            f'on={{{on.__name__}: "..."}}'
        )
    return {on: UpdateOf(tuple(fields))}


def _update(said: Said) -> Callable[[Any], Update | None]:
    if callable(said):
        return said
    return UpdateOf((said,) if isinstance(said, str) else tuple(said))
