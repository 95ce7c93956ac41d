"""Views: an entity, a state, and the columns read from it, declared once.

The same declaration runs online (state in Redis) and offline (the replay that makes the training
matrix); `FeatureSet` is what both execute.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from stream_app.features.events import Event
from stream_app.features.kinds import Read, State, Update

__all__ = ["Column", "Dtype", "Entity", "FeatureSet", "RowFeature", "View"]

Dtype = Literal["float32", "float64", "int64", "bool", "string"]


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
    """One number read from a view's state."""

    name: str
    read: Read
    unit: str
    doc: str
    dtype: Dtype = "float32"


@dataclass(frozen=True, kw_only=True)
class View:
    """A state per entity, the events that update it, and the columns read from it."""

    name: str
    entity: Entity
    state: State
    on: Mapping[type[Event], Callable[[Any], Update | None]]
    """For each event type that updates the state: the update, or None for "not this event"."""
    columns: tuple[Column, ...]
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
class FeatureSet:
    """All views and row features of a use case, in the order of their columns."""

    views: tuple[View, ...] = ()
    row_features: tuple[RowFeature, ...] = ()
    triggers: tuple[type[Event], ...] = ()
    """Event types that ask for a prediction; their columns are read before their own updates."""
    columns: tuple[str, ...] = field(init=False, default=())
    dtypes: Mapping[str, Dtype] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Index the columns; raises `ValueError` for a name declared twice."""
        declared: list[Column | RowFeature] = [c for v in self.views for c in v.columns]
        declared.extend(self.row_features)
        names = [column.name for column in declared]
        for kind, seen in (("column", names), ("view", [v.name for v in self.views])):
            colons = [name for name in seen if ":" in name]
            if colons:
                raise ValueError(f"a {kind}'s name must not hold a colon: {', '.join(colons)}")
            twice = {name for name in seen if seen.count(name) > 1}
            if twice:
                raise ValueError(f"{kind} declared twice: {', '.join(sorted(twice))}")
        object.__setattr__(self, "columns", tuple(names))
        object.__setattr__(self, "dtypes", {c.name: c.dtype for c in declared})

    def describe(self) -> dict[str, Any]:
        """The declaration as plain data: what the fingerprint covers."""

        def column(c: Column | RowFeature) -> dict[str, str]:
            return {"name": c.name, "dtype": c.dtype, "unit": c.unit}

        return {
            "views": [
                {
                    "name": v.name,
                    "entity": v.entity.name,
                    "state": v.state.describe(),
                    "on": sorted(e.__name__ for e in v.on),
                    "ttl_seconds": v.ttl_seconds,
                    "columns": [column(c) for c in v.columns],
                }
                for v in self.views
            ],
            "row_features": [column(c) for c in self.row_features],
            "triggers": sorted(e.__name__ for e in self.triggers),
        }

    def fingerprint(self) -> str:
        """Sha256 of the declaration, in hex.

        It covers names, kinds, parameters, dtypes and units. What the functions compute is covered
        by the golden vectors of a model version, which replay real events through this code.
        """
        text = json.dumps(self.describe(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def catalogue(self) -> Sequence[Column | RowFeature]:
        """Every column with its unit and documentation, in order."""
        return [*(c for v in self.views for c in v.columns), *self.row_features]
