"""An extension of griffe, which reads the docstrings for the site: examples are shown as sessions."""

from __future__ import annotations

import re
from typing import Any, Final

import griffe

__all__ = ["SessionExamples", "with_fences"]

_SESSION: Final = re.compile(r"(?m)^([ ]*)>>> .*(?:\n(?![ ]*\n|[ ]*\Z).*)*")


def with_fences(docstring: str) -> str:
    """A docstring whose doctests stand in code blocks: Markdown takes `>>>` for quotations."""
    return _SESSION.sub(lambda found: _fenced(found[0], found[1]), docstring)


def _fenced(session: str, indent: str) -> str:
    lines = [line.removeprefix(indent) for line in session.splitlines()]
    return "\n".join(["```pycon", *lines, "```"])


class SessionExamples(griffe.Extension):  # type: ignore[misc]
    """Puts the doctests of every docstring into code blocks."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite one docstring."""
        if obj.docstring is not None:
            obj.docstring.value = with_fences(obj.docstring.value)
