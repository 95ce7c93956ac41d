"""Fields that a declaration names, held against the event types that have them, before any event comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, NewType, Union, get_args, get_origin

from stream_app.features.dtypes import MISSING, Dtype
from stream_app.features.events import Event
from stream_app.features.fields import FieldOf, UpdateOf
from stream_app.features.kinds import InvalidUpdateError, State, plain_updates

__all__ = [
    "check_dtype", "check_exists", "check_key", "check_number", "check_update", "holds_text", "types_of",
]  # fmt: skip

#: Fields that each event has, wherever it takes them from.
_OF_EVERY_EVENT: Final = {"event_id": str, "event_time": float}

#: A value of each type, for trying what a kind of state takes; a share's part is no more than its whole.
_SAMPLES: Final = {float: 1.0, int: 1, bool: True, str: "a", NoneType: None}


def check_exists(where: str, event_type: type[Event], name: str) -> None:
    """Raise `ValueError` unless events of this type have the field."""
    fields = event_type.model_fields
    if name in fields or name in _OF_EVERY_EVENT:
        return
    if hasattr(event_type, name):
        raise ValueError(
            f"{where}: {name} of {event_type.__name__} is no field: write a function, lambda e: e.{name}"
        )
    known = ", ".join([*fields, *(each for each in _OF_EVERY_EVENT if each not in fields)])
    raise ValueError(f"{where}: {event_type.__name__} has no field {name}: its fields are {known}")


def check_key(where: str, event_type: type[Event], key: Any, *, may_be_none: bool = True) -> None:
    """Raise `ValueError` unless a field is there, and can be a key: text, an int, perhaps None."""
    if not isinstance(key, FieldOf):
        return
    check_exists(where, event_type, key.name)
    for each in types_of(event_type, key.name):
        if each is NoneType and not may_be_none:
            raise ValueError(
                f"{where}: the field {key.name} of {event_type.__name__} may be None, which joins nothing: "
                "declare it without None, or write a function"
            )
        if each not in (object, NoneType) and (not issubclass(each, str | int) or each is bool):
            raise ValueError(
                f"{where}: the field {key.name} of {event_type.__name__} is of type {each.__name__}, and a "
                f"key is a str or an int: write a function, for example lambda e: str(e.{key.name})"
            )


def check_number(where: str, event_type: type[Event], field: Any) -> None:
    """Raise `ValueError` unless a field is there, and holds numbers, bools or None."""
    if not isinstance(field, FieldOf):
        return
    check_exists(where, event_type, field.name)
    for each in types_of(event_type, field.name):
        if each not in (object, NoneType) and not hasattr(each, "__float__"):
            raise ValueError(
                f"{where}: the field {field.name} of {event_type.__name__} is of type {each.__name__}, and "
                "has to be a number: write a function that makes one of it"
            )


def check_dtype(where: str, event_type: type[Event], name: str, dtype: Dtype) -> None:
    """Raise `ValueError` unless a column of this dtype can hold every value of a field."""
    held = (str,) if dtype == "string" else (int,) if dtype in ("int64", "bool") else (float, int)
    for each in types_of(event_type, name):
        if each is object or (each is NoneType and dtype in MISSING) or issubclass(each, held):
            continue
        field = f"{where}: the field {name} of {event_type.__name__}"
        if each is NoneType:
            raise ValueError(
                f"{field} may be None, which {dtype} has no value for: declare it float32"
            )
        raise ValueError(
            f"{field} is of type {each.__name__}, which {dtype} does not hold: declare another dtype, or write "
            "a function"
        )


def holds_text(event_type: type[Event], name: str) -> bool:
    """Whether a field may hold text."""
    return any(issubclass(each, str) for each in types_of(event_type, name))


def check_update(where: str, event_type: type[Event], update: Any, state: State) -> None:
    """Raise `ValueError` unless fields are there, and an update of such values fits the kind of state."""
    if not isinstance(update, UpdateOf):
        return
    for name in update.names:
        check_exists(where, event_type, name)
    kinds = [_sampled(event_type, name) for name in update.names]
    if not all(kinds):
        return  # what a value of another type is good for shows when it comes
    usual = [next((each for each in kind if each is not NoneType), NoneType) for kind in kinds]
    taken = type(state).__name__
    wrong = _refusal(state, usual)
    if wrong is not None:
        for at, name in enumerate(update.names):
            others = ([*usual[:at], each, *usual[at + 1 :]] for each in (float, str))
            if any(_refusal(state, other) is None for other in others):
                raise ValueError(_misfit(where, event_type, name, usual[at], taken))
        raise ValueError(f"{where}: {update} is not what {taken} takes: {wrong}")
    for at, name in enumerate(update.names):
        for each in kinds[at]:
            if _refusal(state, [*usual[:at], each, *usual[at + 1 :]]) is not None:
                raise ValueError(_misfit(where, event_type, name, each, taken))


def types_of(event_type: type[Event], name: str) -> Iterable[type]:
    """The types that a field's values may have, as it is annotated; `object` stands for any."""
    field = event_type.model_fields.get(name)
    return [*dict.fromkeys(_types(field.annotation if field else _OF_EVERY_EVENT[name]))]


def _sampled(event_type: type[Event], name: str) -> list[type]:
    """The types of a field's values; empty where there is one that no sample stands for."""
    kinds = [*types_of(event_type, name)]
    return kinds if all(each in _SAMPLES for each in kinds) else []


def _types(annotation: Any) -> Iterator[type]:
    origin = get_origin(annotation)
    if annotation is None:
        yield NoneType
    elif isinstance(annotation, NewType):
        yield from _types(annotation.__supertype__)
    elif hasattr(annotation, "__value__"):  # of a statement `type`
        yield from _types(annotation.__value__)
    elif origin in (Union, UnionType):
        for each in get_args(annotation):
            yield from _types(each)
    elif origin is Annotated:
        yield from _types(get_args(annotation)[0])
    elif origin is Literal:
        yield from map(type, get_args(annotation))
    elif isinstance(origin or annotation, type):
        yield origin or annotation
    else:
        yield object


def _refusal(state: State, kinds: Iterable[type]) -> str | None:
    """Why a kind of state refuses an update of values of these types; None where it takes it."""
    try:
        state.check(plain_updates([(0.0, *(_SAMPLES[each] for each in kinds))]))
    except InvalidUpdateError as error:
        return str(error)
    except (TypeError, ValueError) as error:
        return f"it raises {type(error).__name__}"
    return None


def _misfit(where: str, event_type: type[Event], name: str, kind: type, taken: str) -> str:
    field = f"{where}: the field {name} of {event_type.__name__}"
    if kind is NoneType:
        return (
            f"{field} may be None, and {taken} takes no None: write a function that says what then, for "
            f"example lambda e: None if e.{name} is None else (e.event_time, e.{name})"
        )
    return f"{field} is of type {kind.__name__}, which {taken} does not take: name another, or write a function"
