"""An extension of griffe, which reads the docstrings for the site: what Markdown would not show as it
is meant.
"""

from __future__ import annotations

import re
from typing import Any, Final

import griffe

__all__ = ["MarkdownDocstrings", "as_markdown"]

_TOPIC: Final = re.compile(r"(?m)^( *)([A-Z][a-z]+): (?=\S)")
_SESSION: Final = re.compile(r"(?m)^([ ]*)>>> .*(?:\n(?![ ]*\n|[ ]*\Z).*)*")


def as_markdown(docstring: str) -> str:
    """A docstring whose doctests stand in code blocks, and in which `Memory: ...` begins a paragraph.

    Markdown takes `>>>` for quotations, and joins lines.
    """
    told = _SESSION.sub(lambda found: _fenced(found[0], found[1]), docstring)
    return _TOPIC.sub(r"\n\1**\2:** ", told)


def _fenced(session: str, indent: str) -> str:
    lines = [line.removeprefix(indent) for line in session.splitlines()]
    return "\n".join(["```pycon", *lines, "```"])


class MarkdownDocstrings(griffe.Extension):  # type: ignore[misc]
    """Makes every docstring Markdown."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite one docstring."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
