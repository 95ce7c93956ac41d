"""Fields of an event by their names, in place of functions of the event.

A declaration may name a field wherever it takes a function that would give that field and nothing else.
What is named is known before the first event: it is checked when it is declared, it stands in the
fingerprint by its name, and it is read without a call of Python's for each event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeAlias, TypeVar

from stream_app.features.events import Event
from stream_app.features.events.event import where_held
from stream_app.features.kinds import State, Update

__all__ = ["FieldOf", "Said", "UpdateOf", "field_or_function", "of_all", "told", "updates_of"]

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


def of_all(
    function: Callable[[Any], Any], event_type: type[Event]
) -> Callable[[Sequence[Event]], list[Any]]:
    """What gives the values of many events of a type at once: the same as a call for each."""
    if isinstance(function, FieldOf):
        return _each(attrgetter(where_held(event_type, function.name)))
    if isinstance(function, UpdateOf):
        names = [where_held(event_type, name) for name in ("event_time", *function.names)]
        read = _each(attrgetter(*names))
        # Of one name it gives the value itself, where an update is a tuple.
        return read if len(names) > 1 else lambda events: list(zip(read(events), strict=True))
    return _each(function)


def _each(function: Callable[[Any], Any]) -> Callable[[Iterable[Event]], list[Any]]:
    return lambda events: list(map(function, events))


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
