"""What differs between two descriptions of a feature set, in words for whoever deploys one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from stream_app.features.fingerprint.functions import NO_SOURCE

__all__ = ["differences"]

Described = Mapping[str, Any]

_COLUMNS: Final = {"columns": "column", "row_features": "row feature", "derived": "derived column"}


def differences(old: Described, new: Described) -> list[str]:
    """What differs between two results of `FeatureSet.describe`, a line each; empty if nothing does.

    A function whose source could not be had, then or now, is not held against the other.
    """
    return [*_differences(old, new)]


def _differences(old: Described, new: Described) -> Iterator[str]:
    yield from _named("view", old["views"], new["views"], _view)
    for field in ("row_features", "derived"):
        yield from _named(_COLUMNS[field], old[field], new[field], _column)
    yield from _members("the events that ask for a prediction", old["triggers"], new["triggers"])


def _named(kind: str, old: Any, new: Any, compare: Any) -> Iterator[str]:
    """Compare what is listed under names."""
    before, now = ({each["name"]: each for each in listed} for listed in (old, new))
    for name in [*before, *(name for name in now if name not in before)]:
        where = f"{kind} {name}"
        if name not in now:
            yield f"{where} is gone"
        elif name not in before:
            yield f"{where} is new"
        else:
            yield from compare(where, before[name], now[name])


def _view(where: str, old: Described, new: Described) -> Iterator[str]:
    yield from _value(where, "entity", old["entity"], new["entity"])
    if old["entity"] == new["entity"]:
        yield from _function(f"{where}: the key of entity {new['entity']}", old["key"], new["key"])
    yield from _state(where, old["state"], new["state"])
    yield from _value(where, "ttl_seconds", old["ttl_seconds"], new["ttl_seconds"])
    yield from _members(f"{where}: the events that update it", [*old["on"]], [*new["on"]])
    for event in sorted(old["on"].keys() & new["on"].keys()):
        yield from _function(f"{where}: the update by {event}", old["on"][event], new["on"][event])
    yield from _named("column", old["columns"], new["columns"], _column)


def _state(where: str, old: Described, new: Described) -> Iterator[str]:
    if old.get("kind") != new.get("kind"):
        yield f"{where}: its state was {old.get('kind')}, is {new.get('kind')}"
        return
    for name in [*old, *(name for name in new if name not in old)]:
        if name == "code":
            before, now = old.get(name, NO_SOURCE), new.get(name, NO_SOURCE)
            yield from _function(f"{where}: the code of its state", before, now)
        else:
            yield from _value(where, name, old.get(name), new.get(name))


def _column(where: str, old: Described, new: Described) -> Iterator[str]:
    for name in ("dtype", "unit"):
        yield from _value(where, name, old[name], new[name])
    yield from _function(f"{where}: its function", old["function"], new["function"])


def _function(where: str, old: str, new: str) -> Iterator[str]:
    if old == new or NO_SOURCE in (old, new):
        return
    if _is_hash(old) and _is_hash(new):
        yield f"{where} changed"
    else:
        before, now = ("a function" if _is_hash(each) else each for each in (old, new))
        yield f"{where} was {before}, is {now}"


def _is_hash(told: str) -> bool:
    """Whether it stands for a function; a field, or an update of fields, is told by its name."""
    return " " not in told and "(" not in told


def _value(where: str, name: str, old: Any, new: Any) -> Iterator[str]:
    if old != new:
        yield f"{where}: {name} was {_shown(old)}, is {_shown(new)}"


def _members(what: str, old: list[str], new: list[str]) -> Iterator[str]:
    if sorted(old) != sorted(new):
        yield f"{what} were {_shown(sorted(old))}, are {_shown(sorted(new))}"


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, float):
        return f"{value:.15g}"
    return "none" if value is None else str(value)
