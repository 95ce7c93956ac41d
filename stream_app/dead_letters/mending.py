"""A person's fix: a function from the bytes of a payload to the bytes of the mended one."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from stream_app.config.strangers_module import ImportFailedError, import_strangers_module
from stream_app.dead_letters.payload import payload_lines
from stream_app.errors import ConfigurationError
from stream_app.text.causes import cause_of, unless_told_to_end
from stream_app.text.foreign import bounded

__all__ = ["Change", "FixRaisedError", "Mend", "differences", "load_mend"]

#: From a payload to the mended one; raises `FixRaisedError`.
Mend = Callable[[bytes | None], bytes | None]

_LINE = 300
_LINES = 40
_COMPARED = 2_000
_SHORTEST = 3


class FixRaisedError(Exception):
    """The fix raised, or gave what is no payload; the message says which and where."""


def load_mend(spec: str) -> Mend:
    """The fix that MODULE:FUNCTION names, looked for in the working directory first.

    Raises `ConfigurationError`.
    """
    module_name, _, name = spec.partition(":")
    try:
        function = (
            getattr(import_strangers_module(module_name), name) if module_name and name else None
        )
    except (ImportFailedError, AttributeError) as error:
        raise ConfigurationError(f"--with {spec}: {error}") from error
    if not callable(function):
        raise ConfigurationError(f"--with {spec}: expected MODULE:FUNCTION, from bytes to bytes")

    def mend(value: bytes | None) -> bytes | None:
        try:
            mended = function(value)
        except BaseException as error:
            unless_told_to_end(error)
            raise FixRaisedError(f"the fix: {cause_of(error)}") from error
        if mended is not None and not isinstance(mended, bytes):
            raise FixRaisedError(f"the fix gave a {type(mended).__qualname__}, expected bytes")
        return mended

    return mend


class Change(NamedTuple):
    """What a fix made of the payload of a letter, as people may see it."""

    place: str
    """Of the letter, PARTITION:OFFSET."""
    before: bytes | None
    after: bytes | None
    hidden: Collection[str] = ()
    """Texts that are not shown, wherever the fix put them."""
    is_shown: bool = True
    """False: all of the payload, or very much of it, is redacted, and with it what became of it."""

    def lines(self) -> Iterator[str]:
        """The change, a line each, as `diff` shows it."""
        if self.is_shown:
            return differences(self.before, self.after, self.hidden)
        return iter(("(what the fix changes is not shown: the value is redacted)",))


def differences(
    before: bytes | None, after: bytes | None, hidden: Collection[str] = ()
) -> Iterator[str]:
    """What a fix changes, a line each, as `diff` shows it; JSON a field a line.

    Numbers and names that come twice stand as they came. `hidden`: texts that are not shown.
    """
    old, new = (_without(payload_lines(value), hidden) for value in (before, after))
    cut = max(len(old), len(new)) - _COMPARED
    # Of very many lines the comparison would take minutes.
    shown = list(
        difflib.unified_diff(
            old[:_COMPARED], new[:_COMPARED], "as it came", "mended", "", "", 1, ""
        )
    )
    yield from (bounded(line, _LINE) for line in shown[:_LINES])
    if len(shown) > _LINES:
        yield f"... {len(shown) - _LINES} more lines"
    if cut > 0:
        yield f"... {cut:,} lines behind these are not compared"


def _without(lines: list[str], hidden: Collection[str]) -> list[str]:
    """Lines in which some texts are replaced; the shortest stand everywhere, and stay."""
    texts = {text for text in hidden if len(text) >= _SHORTEST}
    texts |= {json.dumps(text, ensure_ascii=False)[1:-1] for text in texts}
    if not texts:
        return lines
    longest_first = sorted(texts, key=len, reverse=True)
    found = re.compile("|".join(map(re.escape, longest_first)))
    return [found.sub("[redacted]", line) for line in lines]
