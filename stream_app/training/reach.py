"""Which branches of a use case's functions a log reaches: measured, not guessed.

A branch is where a conditional jump of the compiled function goes, so that a lambda's ``a if b else
c`` has two. Watched are the functions of the declaration or of the answer, and those of the author's own
package that they name, wherever they are called from. It costs little: a function is watched only until
all of its branches were reached.
"""

from __future__ import annotations

import dis
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePath
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from stream_app.features.engine.arrival import Arrival
from stream_app.features.events import Event
from stream_app.features.views import FeatureSet
from stream_app.training.instructions import ENTRY, watch_code

__all__ = ["Branch", "Watch", "branches", "branches_of"]

_LIBRARY: Final = "stream_app"


class Branch(NamedTuple):
    """A place in a function that a log may reach or not."""

    code: CodeType
    offset: int

    def __str__(self) -> str:
        """``line 31 of shop/features.py, in deviation``; behind it ``: never called``, if all of it is meant."""
        code = self.code
        where = "/".join(PurePath(code.co_filename).parts[-2:])
        line, column = _position(code, self.offset)
        place = f"line {line}" if column is None else f"line {line}, column {column + 1},"
        name = "a lambda" if code.co_name == "<lambda>" else code.co_name
        told = ": never called" if self.offset == ENTRY else ""
        return f"{place} of {where}, in {name}{told}"


def branches(features: FeatureSet) -> frozenset[Branch]:
    """Every branch of the functions that a declaration is made of, the library's own apart."""
    return branches_of(_declared(features))


def branches_of(functions: Iterable[Callable[..., Any]]) -> frozenset[Branch]:
    """Every branch of these functions and of what they name in the author's own package."""
    seen: dict[CodeType, None] = {}
    for function in functions:
        _collect(function, seen)
    return frozenset(Branch(code, offset) for code in seen for offset in _offsets(code))


class Watch:
    """Notes which branches are reached while it is entered, and the events that reached them first.

    In this thread alone on Python 3.11, where it traces; a debugger that traces is put back.
    """

    def __init__(self, wanted: Iterable[Branch]) -> None:
        self.reached: set[Branch] = set()
        self.first_by: list[Event] = []
        """The events that reached a branch which none before them had."""
        self._open: dict[CodeType, set[int]] = {}
        for branch in wanted:
            self._open.setdefault(branch.code, set()).add(branch.offset)
        self._leave: Callable[[], None] = _nothing

    def __enter__(self) -> Watch:
        """Begin."""
        open_ = [code for code, offsets in self._open.items() if offsets]
        self._leave = watch_code(open_, self._reach) if open_ else _nothing
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._leave()

    def _reach(self, frame: FrameType, offset: int) -> bool:
        wanted = self._open[frame.f_code]
        if offset in wanted:
            wanted.discard(offset)
            self.reached.add(Branch(frame.f_code, offset))
            event = _event_of(frame)
            if event is not None and all(event is not each for each in self.first_by):
                self.first_by.append(event)
        return bool(wanted)


def _nothing() -> None:
    return


def _event_of(frame: FrameType | None) -> Event | None:
    """The event that a function of the declaration is called for: an argument of it or of a caller."""
    while frame is not None:
        for value in frame.f_locals.values():
            if isinstance(value, Event):
                return value
            if isinstance(value, Arrival):
                return value.event
        frame = frame.f_back
    return None


def _declared(features: FeatureSet) -> Iterator[Callable[..., Any]]:
    for view in features.views:
        yield view.entity.key
        yield from view.on.values()
        yield from (column.read for column in view.columns)
    yield from (feature.compute for feature in features.row_features)
    yield from (column.compute for column in getattr(features, "derived", ()))


def _collect(function: Any, seen: dict[CodeType, None]) -> None:
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function) if callable(function) else function
    function = getattr(function, "__func__", function)
    if not isinstance(function, FunctionType):
        function = inspect.getattr_static(type(function), "__call__", None)
    if not isinstance(function, FunctionType) or _package(function.__module__) == _LIBRARY:
        return
    code = function.__code__
    if code in seen:
        return
    pending = [code]
    names: set[str] = set()
    while pending:
        each = pending.pop()
        seen[each] = None
        names.update(each.co_names)
        pending += [const for const in each.co_consts if isinstance(const, CodeType)]
    for found in _named(function, names):
        if isinstance(found, FunctionType) and _package(found.__module__) == _package(
            function.__module__
        ):
            _collect(found, seen)


def _named(function: FunctionType, names: set[str]) -> Iterator[Any]:
    """What a function's text names: globals, what its closure holds, and of modules their members."""
    scope: Mapping[str, Any] = function.__globals__
    for name in names & scope.keys():
        found = scope[name]
        yield found
        if isinstance(found, ModuleType):
            yield from (vars(found)[member] for member in names & vars(found).keys())
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            continue


def _package(module: str) -> str:
    return module.partition(".")[0]


@functools.cache
def _offsets(code: CodeType) -> frozenset[int]:
    instructions = [i for i in dis.get_instructions(code) if i.opname != "EXTENDED_ARG"]
    offsets = {ENTRY}
    real = sorted(i.offset for i in instructions)
    for at, instruction in enumerate(instructions[:-1]):
        if "JUMP" in instruction.opname and "IF" in instruction.opname:
            target = next((o for o in real if o >= instruction.argval), None)
            offsets |= {instructions[at + 1].offset}
            offsets |= set() if target is None else {target}
    return frozenset(offsets)


def _position(code: CodeType, offset: int) -> tuple[int, int | None]:
    if offset != ENTRY:
        for instruction in dis.get_instructions(code):
            positions = instruction.positions
            if instruction.offset == offset and positions and positions.lineno is not None:
                return positions.lineno, positions.col_offset
    return code.co_firstlineno, None
