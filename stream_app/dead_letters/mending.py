"""A person's fix: a function from the bytes of a payload to the bytes of the mended one."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator

from stream_app.config.strangers_module import ImportFailedError, import_strangers_module
from stream_app.errors import ConfigurationError
from stream_app.text.causes import cause_of, unless_told_to_end
from stream_app.text.foreign import bounded

__all__ = ["FixRaisedError", "Mend", "differences", "load_mend"]

#: From a payload to the mended one; raises `FixRaisedError`.
Mend = Callable[[bytes | None], bytes | None]

_LINE = 300
_LINES = 40


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


def differences(before: bytes | None, after: bytes | None) -> Iterator[str]:
    """What a fix changes, a line each, as `diff` shows it; JSON a field a line."""
    shown = list(
        difflib.unified_diff(_lines(before), _lines(after), "as it came", "mended", "", "", 1, "")
    )
    yield from (bounded(line, _LINE) for line in shown[:_LINES])
    if len(shown) > _LINES:
        yield f"... {len(shown) - _LINES} more lines"


def _lines(value: bytes | None) -> list[str]:
    if value is None:
        return ["(no value)"]
    try:
        return json.dumps(json.loads(value), indent=2, ensure_ascii=False).splitlines()
    except (ValueError, RecursionError):
        return value.decode("utf-8", "backslashreplace").splitlines()
