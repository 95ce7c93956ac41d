"""Views: an entity, a state, and the columns read from it, declared once; and what is made of them.

The same declaration runs online (state in Redis) and offline (the replay that makes the training
matrix); `FeatureSet` is what both execute.
"""

from __future__ import annotations

import hashlib
import json
import keyword
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from stream_app.features.dtypes import Dtype
from stream_app.features.events import Event
from stream_app.features.fingerprint.functions import class_hash, hash_of
from stream_app.features.kinds import Formula, Read, State, Update

__all__ = [
    "Column",
    "Derived",
    "Dtype",
    "Entity",
    "FeatureSet",
    "RowFeature",
    "View",
    "state_description",
]


@dataclass(frozen=True)
class Entity:
    """Whom a state is about.

    `key` gives the entity's key for an event, or None where the event names none: then the view's
    columns read as missing and nothing is updated. An int is the same key as its decimal text.
    """

    name: str
    key: Callable[[Any], str | int | None]
    doc: str = ""


@dataclass(frozen=True)
class Column:
    """One value read from a view's state: what `read` gives for (state or None, seconds)."""

    name: str
    read: Read
    unit: str
    doc: str
    dtype: Dtype = "float32"


@dataclass(frozen=True)
class View:
    """A state per entity, the events that update it, and the columns read from it."""

    name: str
    entity: Entity
    state: State
    on: Mapping[type[Event], Callable[[Any], Update | None]]
    """For each event type that updates the state: the update, or None for "not this event"."""
    columns: tuple[Column, ...]
    _: KW_ONLY
    doc: str = ""
    ttl_seconds: float | None = None
    """In event time: a state whose newest update is older reads as absent."""


@dataclass(frozen=True)
class RowFeature:
    """A value computed from the event alone."""

    name: str
    compute: Callable[[Any], Any]
    unit: str
    doc: str
    dtype: Dtype = "float32"


@dataclass(frozen=True)
class Derived:
    """A value computed from the event and from the columns that were read for it.

    `compute` is given the event and the columns as attributes: those of the views, the row features,
    and the derived columns that stand before it. What is missing is NaN in a column of floats and
    "" in one of text. A division by zero makes the value missing, and so does None.
    """

    name: str
    compute: Callable[[Any, Any], Any]
    unit: str
    doc: str
    dtype: Dtype = "float32"


AnyColumn = Column | RowFeature | Derived


@dataclass(frozen=True)
class FeatureSet:
    """All views, row features and derived columns of a use case, in the order of their columns."""

    views: tuple[View, ...] = ()
    row_features: tuple[RowFeature, ...] = ()
    triggers: tuple[type[Event], ...] = ()
    """Event types that ask for a prediction; their columns are read before their own updates."""
    derived: tuple[Derived, ...] = ()
    columns: tuple[str, ...] = field(init=False, default=())
    dtypes: Mapping[str, Dtype] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Index the columns; raises `ValueError` for a name declared twice, or one that cannot be
        named.
        """
        declared = self.catalogue()
        names = [column.name for column in declared]
        for kind, seen in (("column", names), ("view", [v.name for v in self.views])):
            colons = [name for name in seen if ":" in name]
            if colons:
                raise ValueError(f"a {kind}'s name must not hold a colon: {', '.join(colons)}")
            twice = {name for name in seen if seen.count(name) > 1}
            if twice:
                raise ValueError(f"{kind} declared twice: {', '.join(sorted(twice))}")
        if self.derived:
            _check_attributes(names)
        object.__setattr__(self, "columns", tuple(names))
        object.__setattr__(self, "dtypes", {c.name: c.dtype for c in declared})

    def describe(self) -> dict[str, Any]:
        """The declaration as plain data, for `fingerprint` and for `differences`.

        Of each function there is a hash of its normalised source; names are in alphabetical order.
        """
        return {
            "views": [_described(view) for view in _by_name(self.views)],
            "row_features": [_column(c, c.compute) for c in _by_name(self.row_features)],
            "derived": [_column(c, c.compute) for c in _by_name(self.derived)],
            "triggers": sorted(e.__name__ for e in self.triggers),
        }

    def fingerprint(self) -> str:
        """Sha256 of `describe`, in hex.

        It covers names, kinds, parameters, dtypes, units and the source of the author's functions.
        What the library makes of them is covered by the golden events of a model version.
        """
        text = json.dumps(self.describe(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def catalogue(self) -> Sequence[AnyColumn]:
        """Every column with its unit and documentation, in order."""
        return [*(c for v in self.views for c in v.columns), *self.row_features, *self.derived]


def _check_attributes(names: Sequence[str]) -> None:
    for name in names:
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__"):
            raise ValueError(
                f"column {name} cannot be named by a derived column: give it a name that a "
                "variable of Python could have"
            )


def _by_name(named: Sequence[Any]) -> list[Any]:
    return sorted(named, key=lambda each: str(each.name))


def _column(column: AnyColumn, function: Any) -> dict[str, str]:
    if isinstance(function, Formula):
        function = (function.expression, function.absent)
    return {
        "name": column.name,
        "dtype": column.dtype,
        "unit": column.unit,
        "function": hash_of(function),
    }


def state_description(view: View) -> dict[str, Any]:
    """What the content of a view's states depends on, as plain data: two that agree hold the same."""
    kind = type(view.state)
    own = {} if kind.__module__.startswith("stream_app.") else {"code": class_hash(kind)}
    return {
        "entity": view.entity.name,
        "key": hash_of(view.entity.key),
        "state": {**view.state.describe(), **own},
        "on": {e.__name__: hash_of(update) for e, update in view.on.items()},
    }


def _described(view: View) -> dict[str, Any]:
    return {
        "name": view.name,
        **state_description(view),
        "ttl_seconds": None if view.ttl_seconds is None else float(view.ttl_seconds),
        "columns": [_column(c, c.read) for c in _by_name(view.columns)],
    }
