"""Headers of the records out: which are the worker's own, and how one is read.

Whoever may write to a topic may write anything into a header, so what is read is checked and bounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from stream_app.records.headers import Header, Headers

__all__ = ["DEAD_LETTER", "JSON", "TRACEPARENT", "Named", "by_name", "number", "text", "traced"]

#: Headers by their names.
Named = Mapping[str, str | bytes | None]

#: The header of a value that is JSON.
JSON: Final[Header] = ("content-type", b"application/json")

#: What the names of the headers begin with that a dead letter has from us.
DEAD_LETTER: Final = "dead-letter."

#: The header of the W3C's trace context.
TRACEPARENT: Final = "traceparent"

_DIGITS: Final = 19
"""Of the highest offset."""


def by_name(headers: Sequence[Header] | None) -> Named:
    """Headers by name; where a name comes twice, the last one counts."""
    return dict(headers or ())


def traced(headers: Headers, traceparent: bytes | None) -> Headers:
    """An event's headers as they are passed on: with the trace context of what was done for it, if any."""
    if traceparent is None:
        return headers
    return [(name, traceparent if name == TRACEPARENT else value) for name, value in headers]


def text(headers: Named, name: str) -> str:
    """The text of a header; raises `ValueError` where there is none."""
    value = headers.get(name)
    if value is None:
        raise ValueError(f"there is no header {name} with a value")
    return value.decode() if isinstance(value, bytes) else value


def number(headers: Named, name: str) -> int:
    """The number in a header, written as an offset or a partition is; raises `ValueError`."""
    digits = text(headers, name)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS):
        raise ValueError(f"the header {name} is no number")
    return int(digits)
