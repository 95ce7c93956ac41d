"""A payload as a person reads it: JSON a field a line, the one that was wrong marked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from stream_app.text.foreign import bounded

__all__ = ["payload_lines", "shown_payload"]

#: A line and the path of the value that begins there; a closing bracket has none.
_Line = tuple[tuple[str, ...] | None, str]

_LINE: Final = 300
_LINES: Final = 400


class _Literal(str):
    """A number as it stands in the text."""

    __slots__ = ()


class _Object(list[tuple[str, Any]]):
    """The members of an object in their order, one name perhaps twice."""


def shown_payload(value: bytes | None, field: str, mark: str) -> Iterator[str]:
    """The lines of a payload; `mark` stands behind the line of the field, a dotted path.

    Where the field is missing it stands behind the object that lacks it. What is no JSON is shown as
    text, bytes that are no UTF-8 as they are escaped.
    """
    if value is None:
        yield "(no value)"
        return
    lines = _read(value)
    at = _marked(lines, tuple(field.split("."))) if field else None
    for number, (_, line) in enumerate(lines[:_LINES]):
        shown = bounded(line, _LINE)
        yield f"{shown}   <-- {mark}" if number == at else shown
    if len(lines) > _LINES:
        yield f"... {len(lines) - _LINES:,} more lines"


def payload_lines(value: bytes | None) -> list[str]:
    """All lines of a payload, each as long as it is."""
    return ["(no value)"] if value is None else [line for _, line in _read(value)]


def _read(value: bytes) -> list[_Line]:
    try:
        parsed = json.loads(
            value,
            parse_int=_Literal,
            parse_float=_Literal,
            parse_constant=_Literal,
            object_pairs_hook=_Object,
        )
        return list(_lines(parsed, (), None, ""))
    except (ValueError, RecursionError):
        return [((), line) for line in bounded_lines(value)]


def bounded_lines(value: bytes) -> Iterator[str]:
    """Bytes as lines of text."""
    for line in value.splitlines() or [b""]:
        yield line.decode("utf-8", "backslashreplace")


def _marked(lines: list[_Line], path: tuple[str, ...]) -> int | None:
    """The line of the field, or else of the innermost object or list around it."""
    while True:
        for number, (where, _) in enumerate(lines):
            if where == path:
                return number
        if not path:
            return None
        path = path[:-1]


def _lines(
    value: Any, path: tuple[str, ...], name: str | None, comma: str, indent: str = ""
) -> Iterator[_Line]:
    begin = indent + (f"{json.dumps(name, ensure_ascii=False)}: " if name is not None else "")
    if not isinstance(value, list) or not value:
        yield path, f"{begin}{_scalar(value)}{comma}"
        return
    is_object = isinstance(value, _Object)
    members = value if is_object else [(str(number), each) for number, each in enumerate(value)]
    yield path, begin + ("{" if is_object else "[")
    for number, (key, member) in enumerate(members, 1):
        behind = "," if number < len(members) else ""
        inner = f"{indent}  "
        yield from _lines(member, (*path, key), key if is_object else None, behind, inner)
    yield None, f"{indent}{'}' if is_object else ']'}{comma}"


def _scalar(value: Any) -> str:
    if isinstance(value, _Literal):
        return str(value)
    if isinstance(value, _Object):
        return "{}"
    return json.dumps(value, ensure_ascii=False)
