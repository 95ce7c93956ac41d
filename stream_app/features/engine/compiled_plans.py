"""What of a plan is compiled: kinds of state, and the reads and updates of an event type.

Where nothing is compiled, all of this is None, and `plans` does the same in Python.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, Final

from stream_app.compiled import compiled_module
from stream_app.features.dtypes import MISSING
from stream_app.features.kinds import Formula, State
from stream_app.features.views import Column, View

__all__ = ["compiled_kind", "compiled_plan", "compiled_staging"]

# States are packed as little-endian numbers, and are worked on as they are packed.
_states: Final = compiled_module("states") if sys.byteorder == "little" else None


def compiled_kind(state: State) -> Any | None:
    """The compiled side of a kind of state: `absent()` and `unpack(packed)` give states of its own."""
    if _states is None:
        return None
    apply = state.apply
    return _states.Kind(
        Struct(f"<{state.format}"),
        state.empty,
        apply,
        getattr(apply, "operation", None),
        getattr(state, "sums_up", False),
    )


def compiled_plan(
    kinds: Sequence[Any], reads: Sequence[tuple[int, int, View]], updated: Sequence[tuple[int, int]]
) -> Any | None:
    """The compiled `read` and `update` of a plan; `kinds` of all views, as `compiled_kind` gives them."""
    if _states is None or None in kinds:
        return None
    views = [
        _states.View(
            place,
            key,
            math.inf if view.ttl_seconds is None else float(view.ttl_seconds),
            [_column(kinds[place], column) for column in view.columns],
        )
        for place, key, view in reads
    ]
    return _states.Plan(list(kinds), views, list(updated))


def _column(kind: Any, column: Column) -> Any:
    assert _states is not None
    read = column.read
    is_formula, operation = isinstance(read, Formula), getattr(read, "operation", None)
    absent = read(None, 0.0) if is_formula or operation is not None else None
    missing = None if is_formula else MISSING.get(column.dtype)
    return _states.Column(kind, read, operation, absent, missing)


def compiled_staging() -> Callable[..., Any] | None:
    """What packs the states of a batch; see `StateStage.stage`."""
    return None if _states is None else _states.staged
