"""A declaration as plain data: what a fingerprint is made of, and what a version is compared by.

`stream_app.features.views` is made of this, so its classes are not named here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stream_app.features.fields import told
from stream_app.features.fingerprint.functions import class_hash, hash_of
from stream_app.features.kinds import Formula

__all__ = ["described", "state_description"]


def described(features: Any) -> dict[str, Any]:
    """See `FeatureSet.describe`."""
    return {
        "views": [_view(view) for view in _by_name(features.views)],
        "row_features": [_column(c, c.compute) for c in _by_name(features.row_features)],
        "derived": [_column(c, c.compute) for c in _by_name(features.derived)],
        "triggers": sorted(e.__name__ for e in features.triggers),
    }


def _by_name(named: Sequence[Any]) -> list[Any]:
    return sorted(named, key=lambda each: str(each.name))


def _column(column: Any, function: Any) -> dict[str, str]:
    if isinstance(function, Formula):
        function = (function.expression, function.absent)
    return {
        "name": column.name,
        "dtype": column.dtype,
        "unit": column.unit,
        "function": _told(function),
    }


def _told(function: Any) -> str:
    return told(function) or hash_of(function)


def state_description(view: Any) -> dict[str, Any]:
    """What the content of a view's states depends on, as plain data: two that agree hold the same."""
    kind = type(view.state)
    own = {} if kind.__module__.startswith("stream_app.") else {"code": class_hash(kind)}
    return {
        "entity": view.entity.name,
        "key": _told(view.entity.key),
        "state": {**view.state.describe(), **own},
        "on": {e.__name__: _told(update) for e, update in view.on.items()},
    }


def _view(view: Any) -> dict[str, Any]:
    return {
        "name": view.name,
        **state_description(view),
        "ttl_seconds": None if view.ttl_seconds is None else float(view.ttl_seconds),
        "columns": [_column(c, c.read) for c in _by_name(view.columns)],
    }
