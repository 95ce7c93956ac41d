"""The syntax of a function: found in its file, and written so that only a change of meaning shows."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterable, Iterator
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any, Final, NamedTuple, TypeAlias

__all__ = ["FunctionNode", "Source", "bound_names", "normal_form", "source_of"]

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_KINDS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
#: What says nothing of what a function computes, or is there in some releases of Python alone.
_SILENT_FIELDS: Final = frozenset(
    {"annotation", "ctx", "kind", "returns", "simple", "type_comment", "type_params"}
)
_MUTATING: Final = frozenset(
    {"add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove",
     "setdefault", "update"}
)  # fmt: skip


class Source(NamedTuple):
    """Where a function is written."""

    node: FunctionNode
    changed_names: frozenset[str]
    """Names of the module whose values its functions change: caches, for example."""


def source_of(function: FunctionType) -> Source | None:
    """Find a function in its file, or None where that cannot be had: code of a prompt, or of `exec`."""
    code = function.__code__
    text = "".join(linecache.getlines(code.co_filename, function.__globals__))
    try:
        module = _parsed(text)
    except SyntaxError:  # it is another file by now
        return None
    found = [
        node
        for node in module.functions
        if _first_line(node) == code.co_firstlineno
        and getattr(node, "name", "<lambda>") == code.co_name
    ]
    if len(found) > 1:
        found = _around(found, code)
    return Source(found[0], module.changed_names) if found else None


def normal_form(node: Any) -> Any:
    """The syntax as nested lists, equal on Python 3.11 to 3.13.

    Left out are positions, comments, docstrings, annotations, and the function's own name.
    `ast.dump` and `ast.unparse` give other texts in other releases.
    """
    form = _form(node)
    return [part for part in form if part[:1] != ["name"]]


def _form(value: Any) -> Any:
    if isinstance(value, list):
        return [_form(each) for each in value]
    if isinstance(value, ast.Constant):
        return ["Constant", type(value.value).__name__, repr(value.value)]
    if not isinstance(value, ast.AST):
        return str(value)
    fields = dict(ast.iter_fields(value))
    if isinstance(value, ast.JoinedStr):
        fields["values"] = list(_joined(value.values))
    if isinstance(value, ast.AnnAssign):
        fields["targets"] = [fields.pop("target")]
    kind = "Assign" if isinstance(value, ast.AnnAssign) else type(value).__name__
    told = (name for name in sorted(fields) if name not in _SILENT_FIELDS)
    return [kind, *([name, _form(fields[name])] for name in told if fields[name] not in (None, []))]


def _joined(parts: Iterable[ast.expr]) -> Iterator[ast.expr]:
    """The parts of an f-string, texts that follow each other as one."""
    text = ""
    for part in parts:
        if isinstance(part, ast.Constant):
            text += str(part.value)
            continue
        if text:
            yield ast.Constant(text)
        text = ""
        yield part
    if text:
        yield ast.Constant(text)


class _Module(NamedTuple):
    functions: tuple[FunctionNode, ...]
    changed_names: frozenset[str]


@lru_cache(maxsize=64)
def _parsed(text: str) -> _Module:
    tree = ast.parse(text)
    functions = tuple(node for node in ast.walk(tree) if isinstance(node, _KINDS))
    for function in functions:
        if not isinstance(function, ast.Lambda) and ast.get_docstring(function, clean=False):
            del function.body[0]
    changed = {name for function in functions for name in _changed_names(function)}
    return _Module(functions, frozenset(changed))


def bound_names(function: FunctionNode) -> set[str]:
    """Names that a function gives values to: its arguments and variables."""
    bound = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
    return bound


def _changed_names(function: FunctionNode) -> set[str]:
    """Names that are not the function's own and whose values it changes."""
    changed = set(_touched_names(function)) - bound_names(function)
    for node in ast.walk(function):
        if isinstance(node, ast.Global):
            changed.update(node.names)
    return changed


def _touched_names(function: FunctionNode) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            if isinstance(node.value, ast.Name):
                yield node.value.id
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of = node.func.value
            if node.func.attr in _MUTATING and isinstance(of, ast.Name):
                yield of.id


def _first_line(node: FunctionNode) -> int:
    """As in `co_firstlineno`: decorators belong to a function."""
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    return decorators[0].lineno if decorators else node.lineno


def _around(nodes: Iterable[FunctionNode], code: CodeType) -> list[FunctionNode]:
    """Of functions that begin on one line, the narrowest that encloses each step of the code.

    Empty where Python was told to keep no columns (`-X no_debug_ranges`).
    """
    steps = [
        ((line, column), (end_line, end_column))
        for line, end_line, column, end_column in code.co_positions()
        if line and end_line and column is not None and end_column is not None
        if (column, end_column) != (0, 0)  # where a function only begins
    ]
    if not steps:
        return []
    first, last = min(start for start, _ in steps), max(end for _, end in steps)
    enclosing = [node for node in nodes if _span(node)[0] <= first and last <= _span(node)[1]]
    return sorted(enclosing, key=_span)[-1:]


def _span(node: FunctionNode) -> tuple[tuple[int, int], tuple[int, int]]:
    """From where to where the body of a function reaches, as (line, column)."""
    body = [node.body] if isinstance(node, ast.Lambda) else node.body
    start, end = (body[0], body[-1]) if body else (node, node)
    return (start.lineno, start.col_offset), (end.end_lineno or 0, end.end_col_offset or 0)
