"""What one event type reads, derives and updates, compiled into functions.

A loop over views and columns would spend more on looping, unpacking and calling than on the
arithmetic: it took three times as long. So the loop is written out, as the text of functions: an
``if`` a view, a line a column. What they look like is in `Plan.source`, for whoever wants to
read or debug it::

    python -c "from features.flights import *; from stream_app.features.engine.plans import *
    from features.flights.events import *; print(Plan(usecase.features, Boarding).source)"
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from traceback import walk_tb
from typing import Any

from stream_app.features.dtypes import MISSING
from stream_app.features.engine.compiled_plans import compiled_plan
from stream_app.features.events import Event
from stream_app.features.kinds import EXPRESSION_NAMES, Formula, State, Statements, Update
from stream_app.features.views import Derived, Entity, FeatureSet, View
from stream_app.text.causes import FeatureError

__all__ = ["Plan"]

_READ = """
    held = tables[{view}].get(keys[{key}])
    if held is None or at - held.newest > {ttl}:
        {absent}
    else:
        if held.newest > newest:
            newest = held.newest
        v = held.values
        {present}
"""

_UPDATE = """
    update = updates[{number}]
    entity = keys[{key}]
    if update is not None and entity is not None:
        held = tables[{view}].get(entity)
        if held is None and create:
            held = tables[{view}][entity] = absent({view})
        if held is not None:
            fences = held._fences or held.fences
            if fences.get(source, -1) >= offset:
                arrival.ahead = True
            else:
                v = held.values
                {apply}
                fences[source] = offset
                held.count += 1
                held.digest += digest
                if event_time > held.newest:
                    held.newest = event_time
                held.batch = batch
"""


_DERIVE = """
    try:
        value = derived_{number}(event, columns)
    except ZeroDivisionError:
        value = {missing}
    if value is None:
        value = {missing}
"""


class Plan:
    """What one event type reads, derives and updates."""

    def __init__(
        self,
        features: FeatureSet,
        event: type[Event],
        absent: Callable[[int], Any],
        kinds: Sequence[Any] = (None,),
    ) -> None:
        """`absent` makes the state of an entity of which nothing is known, by its view.

        `kinds`: the compiled side of each view's kind of state, where there is one.
        """
        self.trigger = event in features.triggers
        self._views = features.views
        entities: list[Entity] = []
        reads: list[tuple[int, int, View]] = []
        self.updates: list[tuple[Callable[[Any], Update | None], State]] = []
        updated: list[tuple[int, int]] = []
        for position, view in enumerate(features.views):
            updates = next((u for kind, u in view.on.items() if issubclass(event, kind)), None)
            if updates is None and not self.trigger:
                continue
            if view.entity not in entities:
                entities.append(view.entity)
            key = entities.index(view.entity)
            if self.trigger:
                reads.append((position, key, view))
            if updates is not None:
                self.updates.append((updates, self._same_check(view.state)))
                updated.append((position, key))
        self.entities = entities
        self.keys = [entity.key for entity in entities]
        self.updated = updated
        """(view, key) of each of `updates`."""
        self.touches = sorted({place[:2] for place in reads} | set(updated))
        """(view, key) of every state that it needs."""
        self.reads = [place[:2] for place in reads]
        self.row_features = features.row_features if self.trigger else ()
        self.row = [feature.compute for feature in self.row_features]
        self.missing = [
            (number, MISSING[feature.dtype])
            for number, feature in enumerate(self.row_features)
            if feature.dtype in MISSING
        ]
        """Place among `row`, and what stands for None there."""
        self._derived = features.derived if self.trigger else ()

        names: dict[str, Any] = dict(EXPRESSION_NAMES, inf=math.inf, absent=absent)
        states = [features.views[view].state for view, _ in updated]
        self.source = "\n\n".join(
            (
                _read_source(reads, names),
                _derive_source(features.columns, self._derived, names),
                _update_source(updated, states, names),
            )
        )
        self._file = f"<plan of {event.__name__}>"
        exec(compile(self.source, self._file, "exec"), names)  # noqa: S102  our own text
        self.read: Callable[[Any, Any, float], tuple[list[Any], float]] = names["read"]
        """(tables, keys, event time) to the columns read and the newest event time in them."""
        self.derive: Callable[[Event, list[Any]], None] | None = names.get("derive")
        """(event, row of all other columns): append the derived ones; None where there are none."""
        self.update: Callable[[Any, Any, int, bool], None] = names["update"]
        """(arrival, tables, batch, create): apply the arrival's updates; without `create` only
        to states that are there."""
        self._compiled = compiled_plan(kinds, reads, updated)
        if self._compiled is not None:
            self.read, self.update = self._compiled.read, self._compiled.update

    def _same_check(self, state: State) -> State:
        """An equal state of another view, if there is one: what both check is checked once."""
        described = type(state), state.describe()
        others = (other for _, other in self.updates)
        return next((o for o in others if (type(o), o.describe()) == described), state)

    def update_of(self, number: int) -> str:
        """Name one of `updates`, for a person."""
        return f"the update of view {self._views[self.updated[number][0]].name}"

    def failure(self, error: BaseException) -> FeatureError | None:
        """What raised in `read`, `derive` or `update`, by its name; None where none of them did."""
        if self._compiled is not None and (place := self._compiled.failure(error)) is not None:
            return self._compiled_failure(place[0], place[1], error)
        at = [(f.f_code.co_name, line) for f, line in walk_tb(error.__traceback__)
              if f.f_code.co_filename == self._file]  # fmt: skip
        if not at:
            return None
        function, line = at[-1]
        lines = self.source.splitlines()[:line]
        if derived := re.search(r"derived_(\d+)", lines[-1]):
            name = self._derived[int(derived[1])].name
            return FeatureError("column-error", f"column {name}", error)
        if column := re.search(r"column_(\d+)_(\d+)", lines[-1]):
            view, number = map(int, column.groups())
            name = self._views[view].columns[number].name
            return FeatureError("column-error", f"column {name}", error)
        views = re.findall(r"tables\[(\d+)\]", "\n".join(lines))
        name = self._views[int(views[-1])].name if views else "?"
        if function == "read":
            return FeatureError("column-error", f"the columns of view {name}", error)
        return FeatureError("apply-error", f"the update of view {name}", error)

    def _compiled_failure(
        self, view: int, column: int | None, error: BaseException
    ) -> FeatureError:
        named = self._views[view]
        if column is None:
            return FeatureError("apply-error", f"the update of view {named.name}", error)
        return FeatureError("column-error", f"column {named.columns[column].name}", error)


def _read_source(reads: list[tuple[int, int, View]], names: dict[str, Any]) -> str:
    text = "def read(tables, keys, at):\n    newest = -inf"
    columns = []
    for position, key, view in reads:
        absent, present = [], []
        for number, column in enumerate(view.columns):
            name = f"column_{position}_{number}"
            columns.append(name)
            if isinstance(column.read, Formula):
                absent.append(f"{name} = {column.read.absent}")
                present.append(f"{name} = {column.read.expression}")
            else:
                names[f"read_{name}"] = column.read
                absent.append(f"{name} = read_{name}(None, at)")
                present.append(f"{name} = read_{name}(v, at)")
                if column.dtype in MISSING:
                    missing = f"if {name} is None: {name} = {MISSING[column.dtype]!r}"
                    absent.append(missing)
                    present.append(missing)
        ttl = math.inf if view.ttl_seconds is None else float(view.ttl_seconds)
        text += _READ.rstrip().format(
            view=position, key=key, ttl=ttl,
            absent="\n        ".join(absent or ["pass"]), present="\n        ".join(present),
        )  # fmt: skip
    return text + f"\n    return [{', '.join(columns)}], newest\n"


def _derive_source(
    columns: Sequence[str], derived: Sequence[Derived], names: dict[str, Any]
) -> str:
    if not derived:
        return ""
    names["Columns"] = type("Columns", (), {"__slots__": columns})
    text = "def derive(event, row):\n    columns = Columns()"
    read = columns[: len(columns) - len(derived)]
    if read:
        text += f"\n    {''.join(f'columns.{name}, ' for name in read)}= row"
    for number, column in enumerate(derived):
        names[f"derived_{number}"] = column.compute
        if column.dtype in MISSING:
            missing = repr(MISSING[column.dtype])
            text += _DERIVE.rstrip().format(number=number, missing=missing)
        else:
            text += f"\n    value = derived_{number}(event, columns)"
        text += f"\n    columns.{column.name} = value\n    row.append(value)"
    return text + "\n"


def _update_source(
    updated: list[tuple[int, int]], states: list[State], names: dict[str, Any]
) -> str:
    text = "def update(arrival, tables, batch, create):"
    if not updated:
        return text + "\n    pass\n"
    for name in ("keys", "updates", "source", "rank", "offset", "digest"):
        text += f"\n    {name} = arrival.{name}"
    text += "\n    event_time = float(arrival.event_time)"
    for number, ((view, key), state) in enumerate(zip(updated, states, strict=True)):
        lines: Sequence[str] = (f"apply_{view}(v, update, rank, offset)",)
        if isinstance(state.apply, Statements):
            lines = state.apply.lines
        else:
            names[f"apply_{view}"] = state.apply
        text += _UPDATE.rstrip().format(
            number=number, view=view, key=key, apply=("\n" + " " * 16).join(lines)
        )
    return text + "\n"
