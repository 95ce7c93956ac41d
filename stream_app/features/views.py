"""Views: an entity, a state, and the columns read from it, declared once; and what is made of them.

The same declaration runs online (state in Redis) and offline (the replay that makes the training
matrix); `FeatureSet` is what both execute.
"""

from __future__ import annotations

import hashlib
import json
import keyword
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, TypeVar

from stream_app.features.dtypes import Dtype
from stream_app.features.events import Event
from stream_app.features.field_checks import (
    check_dtype,
    check_exists,
    check_key,
    check_update,
    holds_text,
)
from stream_app.features.fields import FieldOf, Said, field_or_function, updates_of
from stream_app.features.fingerprint.description import described
from stream_app.features.kinds import Read, State, Update

__all__ = [
    "Column",
    "Derived",
    "Dtype",
    "Entity",
    "FeatureSet",
    "RowFeature",
    "View",
]

S = TypeVar("S", bound=State)

Columns: TypeAlias = "Column | tuple[Column, ...]"

# What is frozen is filled in this way.
_SET: Final = object.__setattr__


@dataclass(frozen=True, init=False)
class Entity:
    """Whom a state is about.

    `key` gives the entity's key for an event, or None where the event names none: then the view's
    columns read as missing and nothing is updated. An int is the same key as its decimal text.
    """

    name: str
    key: Callable[[Any], str | int | None]
    doc: str

    def __init__(
        self, name: str, key: str | Callable[[Any], str | int | None] | None = None, doc: str = ""
    ) -> None:
        """`key`: a function of the event or the name of a field of it, by default that of the entity."""
        _SET(self, "name", name)
        _SET(self, "key", field_or_function(name if key is None else key))
        _SET(self, "doc", doc)


@dataclass(frozen=True, init=False)
class Column:
    """One value read from a view's state: what `read` gives for (state or None, seconds)."""

    name: str
    read: Read
    unit: str
    doc: str
    dtype: Dtype

    def __init__(
        self, name: str, read: Read, unit: str, doc: str, dtype: Dtype | None = None
    ) -> None:
        """`dtype` is by default string where a kind of state gives text, else float32."""
        _SET(self, "name", name)
        _SET(self, "read", read)
        _SET(self, "unit", unit)
        _SET(self, "doc", doc)
        _SET(self, "dtype", dtype or getattr(read, "dtype", "float32"))


@dataclass(frozen=True, init=False)
class View:
    """A state per entity, the events that update it, and the columns read from it."""

    name: str
    entity: Entity
    state: State
    on: Mapping[type[Event], Callable[[Any], Update | None]]
    """For each event type that updates the state: the update, or None for "not this event"."""
    columns: tuple[Column, ...]
    doc: str
    ttl_seconds: float | None
    """In event time: a state whose newest update is older reads as absent."""

    def __init__(
        self,
        name: str,
        entity: Entity | str,
        state: S,
        on: type[Event] | Mapping[type[Event], Said],
        columns: Columns | Callable[[S], Columns],
        *,
        doc: str = "",
        ttl_seconds: float | None = None,
    ) -> None:
        """Raise `ValueError` for fields that an event type has not, or that do not fit.

        `entity`: one, or the name of the field that is its key.
        `on`: for each event type the update: the name of a field, or several, that it has after the
        time; or a function that gives the update, or None for "not this event". An event type alone has
        fields of the names that the state has.
        `columns`: the columns, or a function that gives them for the state.
        """
        read = columns(state) if callable(columns) else columns
        _SET(self, "name", name)
        _SET(self, "entity", Entity(entity) if isinstance(entity, str) else entity)
        _SET(self, "state", state)
        _SET(self, "on", updates_of(f"view {name}", state, on))
        _SET(self, "columns", (read,) if isinstance(read, Column) else tuple(read))
        _SET(self, "doc", doc)
        _SET(self, "ttl_seconds", ttl_seconds)
        for event_type, update in self.on.items():
            check_key(f"view {name}, entity {self.entity.name}", event_type, self.entity.key)
            check_update(f"view {name}", event_type, update, state)


@dataclass(frozen=True, init=False)
class RowFeature:
    """A value computed from the event alone."""

    name: str
    compute: Callable[[Any], Any]
    unit: str
    doc: str
    dtype: Dtype
    _has_dtype: bool = field(init=False, repr=False, compare=False)

    def __init__(
        self,
        name: str,
        compute: str | Callable[[Any], Any],
        unit: str,
        doc: str,
        dtype: Dtype | None = None,
    ) -> None:
        """`compute`: the name of a field of the event, or a function of the event.

        `dtype` is by default float32; string for a field that is annotated as text.
        """
        _SET(self, "name", name)
        _SET(self, "compute", field_or_function(compute))
        _SET(self, "unit", unit)
        _SET(self, "doc", doc)
        _SET(self, "dtype", dtype or "float32")
        _SET(self, "_has_dtype", dtype is not None)

    def of(self, triggers: Sequence[type[Event]]) -> RowFeature:
        """Itself as it is for events of these types; raises `ValueError` where one has no such field."""
        if not isinstance(self.compute, FieldOf):
            return self
        where, name = f"row feature {self.name}", self.compute.name
        for trigger in triggers:
            check_exists(f"{where}, asked for by triggers={trigger.__name__}", trigger, name)
        is_text = any(holds_text(trigger, name) for trigger in triggers)
        told = self if self._has_dtype or not is_text else replace(self, dtype="string")
        for trigger in triggers:
            check_dtype(where, trigger, name, told.dtype)
        return told


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


@dataclass(frozen=True, init=False)
class FeatureSet:
    """All views, row features and derived columns of a use case, in the order of their columns."""

    views: tuple[View, ...]
    row_features: tuple[RowFeature, ...]
    triggers: tuple[type[Event], ...]
    """Event types that ask for a prediction; their columns are read before their own updates."""
    derived: tuple[Derived, ...]
    columns: tuple[str, ...] = field(init=False)
    dtypes: Mapping[str, Dtype] = field(init=False)

    def __init__(
        self,
        *declared: View | RowFeature | Derived,
        views: tuple[View, ...] = (),
        row_features: tuple[RowFeature, ...] = (),
        triggers: type[Event] | tuple[type[Event], ...] = (),
        derived: tuple[Derived, ...] = (),
    ) -> None:
        """Index the columns: those of views come first, then row features, then derived ones.

        What is declared is given one by one, or by kind. Raises `ValueError` for a name declared twice,
        one that cannot be named, or a field that an event which asks has not; `TypeError` for what is
        none of these.
        """
        for each in declared:
            if not isinstance(each, View | RowFeature | Derived):
                raise TypeError(
                    "a feature set takes views, row features and derived columns one by one, and was given "
                    f"a {type(each).__name__}; a Column stands in a View"
                )
        asking = triggers if isinstance(triggers, tuple) else (triggers,)
        rows = (*(e for e in declared if isinstance(e, RowFeature)), *row_features)
        _SET(self, "views", (*(e for e in declared if isinstance(e, View)), *views))
        _SET(self, "row_features", tuple(row.of(asking) for row in rows))
        _SET(self, "triggers", asking)
        _SET(self, "derived", (*(e for e in declared if isinstance(e, Derived)), *derived))
        for view in self.views:
            for trigger in asking:
                where = (
                    f"view {view.name}, which {trigger.__name__} reads, entity {view.entity.name}"
                )
                check_key(where, trigger, view.entity.key)
        catalogue = self.catalogue()
        names = [column.name for column in catalogue]
        for kind, seen in (("column", names), ("view", [v.name for v in self.views])):
            colons = [name for name in seen if ":" in name]
            if colons:
                raise ValueError(f"a {kind}'s name must not hold a colon: {', '.join(colons)}")
            twice = {name for name in seen if seen.count(name) > 1}
            if twice:
                raise ValueError(f"{kind} declared twice: {', '.join(sorted(twice))}")
        if self.derived:
            _check_attributes(names)
        _SET(self, "columns", tuple(names))
        _SET(self, "dtypes", {c.name: c.dtype for c in catalogue})

    def describe(self) -> dict[str, Any]:
        """The declaration as plain data, for `fingerprint` and for `differences`.

        A field stands there by its name; of each function there is a hash of its normalised source. Names
        are in alphabetical order.
        """
        return described(self)

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
