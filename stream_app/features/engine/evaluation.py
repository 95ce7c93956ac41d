"""Evaluates the pure functions of a declaration: entity keys, updates and row features.

For a batch at once; where that raises, record by record, so that the one which does it is found and
the function that did it is named. Nothing is evaluated twice that went well alone: a function that
raises now and then must not get past.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from stream_app.features.fields import Group, of_all, told
from stream_app.features.kinds import InvalidUpdateError, Update, plain_updates
from stream_app.text.causes import FeatureError, unless_told_to_end

if TYPE_CHECKING:
    from stream_app.features.engine.arrival import Arrival
    from stream_app.features.engine.plans import Plan

__all__ = ["KEY_CHARACTERS", "evaluate", "evaluate_alone"]

KEY_CHARACTERS: Final = 4_096
"""Most that an entity's key may have: stores keep it, and memory holds it, as long as they live."""


def evaluate(plan: Plan, group: Sequence[Arrival]) -> list[set[str | None]]:
    """Set keys, updates and row features of the arrivals; return the keys, one set an entity."""
    events = Group([arrival.event for arrival in group])
    keys_of_entities = [_keys(of_all(key, events)) for key in plan.keys]
    updates = []
    evaluated: dict[Any, list[Update | None]] = {}
    for update, state in plan.updates:
        # Views that differ in their entity alone share the function of their updates.
        taken = evaluated.get((update, id(state)))
        if taken is None:
            taken = evaluated[update, id(state)] = plain_updates(of_all(update, events))
            state.check(taken)
        updates.append(taken)
    rows = _row_features(plan, events)
    if keys_of_entities:
        columns = zip(*(column for column, _ in keys_of_entities), strict=True)
        for arrival, keys in zip(group, columns, strict=True):
            arrival.keys = keys
    if updates:
        for arrival, each in zip(group, zip(*updates, strict=True), strict=True):
            arrival.updates = each
    if plan.trigger:
        values: Iterable[Sequence[Any]] = zip(*rows, strict=True) if rows else ((),) * len(group)
        for arrival, row in zip(group, values, strict=True):
            arrival.row = list(row)
    return [distinct for _, distinct in keys_of_entities]


def evaluate_alone(plan: Plan, group: Sequence[Arrival]) -> list[set[str | None]]:
    """The same, record by record: sets `error` of those that fail."""
    distinct: list[set[str | None]] = [set() for _ in plan.keys]
    for arrival in group:
        try:
            keys = [_key(entity.name, entity.key, arrival) for entity in plan.entities]
            updates = [_update(plan, number, arrival) for number in range(len(plan.updates))]
            row = [
                _feature(f"row feature {feature.name}", feature.compute, arrival)
                for feature in plan.row_features
            ]
        except FeatureError as error:
            arrival.error, arrival.row = error, None
            continue
        for number, missing in plan.missing:
            if row[number] is None:
                row[number] = missing
        arrival.keys, arrival.updates = tuple(keys), tuple(updates)
        if plan.trigger:
            arrival.row = row
        for keys_of_entity, key in zip(distinct, keys, strict=True):
            keys_of_entity.add(key)
    return distinct


def _keys(column: list[Any]) -> tuple[list[str | None], set[str | None]]:
    """The keys of events, integers as text, and the different ones among them."""
    distinct = set(column)
    try:
        _check_keys(distinct)
    except TypeError:  # integers, or what is no key
        column = [str(key) if type(key) is int else key for key in column]
        distinct = set(column)
        _check_keys(distinct)
    return column, distinct


def _row_features(plan: Plan, events: Group) -> list[list[Any]]:
    """The values of all events, a list a row feature."""
    rows: list[list[Any]] = [of_all(compute, events) for compute in plan.row]
    for number, missing in plan.missing:
        if None in rows[number]:
            rows[number] = [missing if value is None else value for value in rows[number]]
    return rows


def _check_keys(keys: set[str | None]) -> None:
    """Raise unless each key is text that a store can keep, or None."""
    texts = keys.difference(_NO_KEY)
    joined = "".join(texts)  # type: ignore[arg-type]
    joined.encode()
    if len(joined) > KEY_CHARACTERS and max(map(len, texts)) > KEY_CHARACTERS:  # type: ignore[arg-type]
        raise ValueError("a key is too long")


_NO_KEY: Final = frozenset({None})


def _key(name: str, key: Callable[[Any], Any], arrival: Arrival) -> str | None:
    where = f"the key of entity {name}"
    found = _feature(where, key, arrival)
    why = ""
    if found is None:
        return None
    with suppress(ValueError):  # of more digits than Python writes out
        found = str(found) if type(found) is int else found
    if not isinstance(found, str):
        why = f"it is of type {type(found).__name__}, and has to be a str, an int or None"
        if type(found) is int:
            why = f"it has more than {KEY_CHARACTERS} digits"
    elif len(found) > KEY_CHARACTERS:
        why = f"it has {len(found)} characters, at most {KEY_CHARACTERS} are kept"
    else:
        try:
            found.encode()
        except UnicodeEncodeError:
            why = "it holds a lone surrogate, which no UTF-8 has"
    if why:
        raise FeatureError("invalid-key", where, ValueError(why), why)
    return found  # type: ignore[no-any-return]


def _update(plan: Plan, number: int, arrival: Arrival) -> Update | None:
    function, state = plan.updates[number]
    where = plan.update_of(number)
    update: Update | None = _feature(where, function, arrival)
    try:
        (update,) = plain_updates([update])
        state.check([update])
    except InvalidUpdateError as error:
        named = told(function)
        why = f"{error}: it is {named} of {type(arrival.event).__name__}" if named else str(error)
        raise FeatureError("invalid-update", where, error, why) from error
    except BaseException as error:
        unless_told_to_end(error)
        raise FeatureError("invalid-update", where, error) from error
    return update


def _feature(where: str, function: Callable[[Any], Any], arrival: Arrival) -> Any:
    try:
        return function(arrival.event)
    except BaseException as error:
        unless_told_to_end(error)
        raise FeatureError("feature-error", where, error) from error
