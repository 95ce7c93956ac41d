"""What a function of a declaration does, as a short hash that a change of its meaning changes.

It covers the syntax of the function, the plain data that it names (constants of its module, defaults,
what it closes over), and in the same way each function of the author's own package that it names.
Of other packages, ours included, only the names of functions enter: golden events cover what they do.
"""

from __future__ import annotations

import ast
import hashlib
import json
import operator
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import partial
from inspect import unwrap
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

import numpy as np

from stream_app.features.fingerprint.syntax import (
    FunctionNode,
    bound_names,
    normal_form,
    source_of,
)

__all__ = ["NO_SOURCE", "class_hash", "hash_of"]

#: Stands for a function whose source cannot be had; it is taken for equal to any other.
NO_SOURCE: Final = "no source"

_LIBRARY: Final = "stream_app"
_DIGITS: Final = 16
_PLAIN: Final = (
    bool, int, float, complex, str, bytes, type(None), type(...), Decimal, Fraction, date, time,
    timedelta, tzinfo, operator.attrgetter, operator.itemgetter, operator.methodcaller,
)  # fmt: skip


def hash_of(value: Any) -> str:
    """16 hex digits of what a function does, or of plain data; `NO_SOURCE` where it cannot be told."""
    return _Reading(_package(value) or _package(type(value))).hash_of(value)


def class_hash(kind: type) -> str:
    """The same of the functions of a class, with those of classes of the author's that it derives from."""
    functions = {}
    for each in kind.__mro__:
        if _package(each) == _package(kind):
            for name, value in vars(each).items():
                function = unwrap(_behind(value))
                # What a dataclass adds is written in no file, and has no meaning of its own.
                if isinstance(function, FunctionType) and source_of(function) is not None:
                    functions[f"{each.__qualname__}.{name}"] = function
    return _Reading(_package(kind)).hash_of(functions)


def _behind(value: Any) -> Any:
    """The function that a property, a static or a class method stands for."""
    for name in ("fget", "func", "__func__"):
        value = getattr(value, name, None) or value
    return value


def _package(value: Any) -> str:
    return str(getattr(value, "__module__", None) or "").partition(".")[0]


class _Reading:
    """Describes values as nested lists of text."""

    def __init__(self, package: str) -> None:
        """`package`: of whose functions the source is read."""
        self._package = package
        self._begun: list[int] = []
        self._known: dict[int, str] = {}
        self._has_no_source = False

    def hash_of(self, value: Any) -> str:
        """The hash of a value, or `NO_SOURCE`."""
        found = _digest(self._value(value))
        return NO_SOURCE if self._has_no_source else found

    def _value(self, value: Any) -> Any:
        """A value; one that holds itself is cut off there."""
        if id(value) in self._begun:
            return ["itself", len(self._begun) - self._begun.index(id(value))]
        self._begun.append(id(value))
        try:
            return [type(value).__qualname__, *self._parts(value)]
        finally:
            self._begun.pop()

    def _parts(self, value: Any) -> Iterable[Any]:  # noqa: C901 - a table of types
        if isinstance(value, Enum):
            return [value.name]
        if isinstance(value, _PLAIN):
            return [repr(value)]
        if isinstance(value, re.Pattern):
            return [repr(value.pattern), value.flags]
        if isinstance(value, np.ndarray | np.generic):
            return [str(value.dtype), str(value.tolist())]
        if isinstance(value, MethodType):
            return [self._value(value.__self__), self._value(value.__func__)]
        if isinstance(value, FunctionType) or hasattr(value, "__wrapped__"):
            return [self._function(unwrap(value))]
        if isinstance(value, ModuleType | type):
            return [value.__name__]
        if isinstance(value, partial):
            return map(self._value, (value.func, value.args, value.keywords))
        if isinstance(value, Mapping):
            pairs = [[self._value(key), self._value(each)] for key, each in value.items()]
            return sorted(pairs, key=str)
        if isinstance(value, set | frozenset):
            return sorted(map(self._value, value), key=str)
        if isinstance(value, tuple | list):
            return map(self._value, value)
        parameters = getattr(type(value), "__dataclass_params__", None)
        if parameters is not None and parameters.frozen:
            return [[each.name, self._value(getattr(value, each.name))] for each in fields(value)]
        call = vars(type(value)).get("__call__")
        if isinstance(call, FunctionType):
            return [self._value(call)]
        # Another object: its parts may change as it is used.
        return [getattr(value, "__qualname__", "")]

    def _function(self, function: Any) -> str:
        known = self._known.get(id(function))
        if known is None:
            known = self._known[id(function)] = _digest(self._described(function))
        return known

    def _described(self, function: Any) -> Any:
        if not isinstance(function, FunctionType):
            return getattr(function, "__qualname__", type(function).__qualname__)
        if _package(function) != self._package or self._package == _LIBRARY:
            return [function.__qualname__, self._value(_closed_over(function))]
        source = source_of(function)
        if source is None:
            self._has_no_source = True
            return NO_SOURCE
        defaults = self._value((function.__defaults__, function.__kwdefaults__))
        named = {
            name: value
            for name, value in self._named(function, source.node)
            if name not in source.changed_names
        }
        return [normal_form(source.node), defaults, self._value(named)]

    def _named(self, function: FunctionType, node: FunctionNode) -> Iterator[tuple[str, Any]]:
        """The values that a function names and does not bind, and of own modules and classes what it
        takes from them.
        """
        given = {**function.__globals__, **_closed_over(function)}
        bound = bound_names(node)
        for each in _without_annotations(node):
            path = _path(each)
            if not path or path[0] in bound or path[0] not in given:
                continue
            value = given[path[0]]
            for name in path[1:]:
                if not isinstance(value, ModuleType | type) or not self._holds(value):
                    break
                value = getattr(value, name, None)
            else:
                yield ".".join(path), value

    def _holds(self, value: ModuleType | type) -> bool:
        name = value.__name__ if isinstance(value, ModuleType) else value.__module__
        return name.partition(".")[0] == self._package


def _digest(described: Any) -> str:
    text = json.dumps(described, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:_DIGITS]


def _closed_over(function: FunctionType) -> dict[str, Any]:
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # it is not bound yet
            continue
    return found


def _path(node: ast.AST) -> list[str]:
    """``a`` and ``a.b.c`` as their names; empty for what is something else."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []


def _without_annotations(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, ast.AST):
                yield from _without_annotations(each)
