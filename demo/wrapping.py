"""Text for a terminal: broken at words, not where the line ends."""

from __future__ import annotations

import re
import shutil
import textwrap
from typing import Final

__all__ = ["WIDTH", "wrapped"]

WIDTH: Final = 100
"""The widest line, in characters; a narrower terminal has narrower ones."""

_COLUMNS: Final = re.compile(r"(?:\S.*?\S? {2,}|^ +)+(?=\S)")


def wrapped(text: str, width: int | None = None) -> str:
    """Break each line of `text` at words.

    What does not fit into a row, columns of which are two spaces apart, goes on under its last column.
    A word is never broken: it may be a path or an address. `width` is in characters; by default it is
    the terminal's, 100 at most.
    """
    if width is None:
        width = min(shutil.get_terminal_size((WIDTH, 24)).columns, WIDTH)
    return "\n".join(_wrapped_line(line, width) for line in text.splitlines())


def _wrapped_line(line: str, width: int) -> str:
    columns = _COLUMNS.match(line)
    indent = len(columns[0]) if columns and len(columns[0]) <= width // 2 else 2
    return textwrap.fill(
        line,
        width,
        subsequent_indent=" " * (indent if columns else 0),
        replace_whitespace=False,
        break_long_words=False,
        break_on_hyphens=False,
    )
