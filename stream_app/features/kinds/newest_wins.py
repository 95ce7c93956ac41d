"""How the newest update of each field wins, whatever order updates come in."""

from __future__ import annotations

from collections.abc import Callable, Iterable

__all__ = ["newest_wins_lines"]


def newest_wins_lines(
    fields: Iterable[tuple[int, str]], missing: str, stored: Callable[[str], str]
) -> list[str]:
    """Statements that take ``value or None`` a field into ``(rank, offset, value)`` a field.

    `fields`: the position of each field's three values, and the name of its value in the text;
    `missing`: what stands for no value, `stored`: how a value is kept, both as expressions. The
    greatest time wins whole, then field by field the source's rank and the offset.
    """
    newer, equal = [], []
    for at, value in fields:
        take = f"v[{at}], v[{at + 1}], v[{at + 2}] = float(rank), float(offset), {stored(value)}"
        newer += [
            f"    if {value} is None:",
            f"        v[{at} : {at + 3}] = (-1.0, -1.0, {missing})",
            "    else:",
            f"        {take}",
        ]
        equal += [
            f"    if {value} is not None and (rank, offset) > (v[{at}], v[{at + 1}]):",
            f"        {take}",
        ]
    return [
        "if time > v[0]:",
        "    v[0] = time",
        *newer,
        "elif time == v[0]:",
        *(equal or ["    pass"]),
    ]
