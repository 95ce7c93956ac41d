"""The W3C's trace context in the headers of a record: https://www.w3.org/TR/trace-context/.

Read here and not by OpenTelemetry's propagator, because it is looked for in every record: of those
that carry one and are sampled, a few a batch are gone into.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from stream_app.records.headers import Header
from stream_app.wire.headers import TRACEPARENT

__all__ = ["TraceContext", "may_be_sampled", "sampled_context", "traceparent"]

_STATE: Final = "tracestate"
_SAMPLED: Final = 1
_ODD: Final = frozenset(b"%x" % digit for digit in range(1, 16, 2))
_STATE_CHARACTERS: Final = 512
"""So much of a tracestate has to be passed on; what is longer is not believed."""
_FORM: Final = re.compile(
    rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL
)
_VERSION: Final = b"00"
_NO_VERSION: Final = b"ff"


class TraceContext(NamedTuple):
    """The span that an event was sent from."""

    trace_id: int
    span_id: int
    flags: int
    state: str
    """Its `tracestate`, as text; empty where there is none that can be read."""


def sampled_context(headers: Sequence[Header]) -> TraceContext | None:
    """The context of a record whose trace is recorded by those before us; None for all others.

    None also for what is no context by the W3C's rules, such as two of them.
    """
    found = [value for name, value in headers if name == TRACEPARENT]
    if len(found) != 1 or found[0] is None:
        return None
    given = found[0].encode(errors="replace") if isinstance(found[0], str) else found[0]
    parts = _FORM.fullmatch(given)
    if parts is None or parts[1] == _NO_VERSION or (parts[1] == _VERSION and parts[5]):
        return None
    trace_id, span_id, flags = (int(parts[number], 16) for number in (2, 3, 4))
    if not (flags & _SAMPLED and trace_id and span_id):
        return None
    return TraceContext(trace_id, span_id, flags, _state(headers))


def may_be_sampled(headers: Sequence[Header]) -> bool:
    """Whether a header says that the trace is recorded, at a glance: it may be no valid context."""
    for name, value in headers:
        if name == TRACEPARENT:
            last = value[-1:] if value else b""
            return (last.encode(errors="replace") if isinstance(last, str) else last) in _ODD
    return False


def traceparent(trace_id: int, span_id: int, flags: int) -> bytes:
    """The header of a span's context."""
    return b"00-%032x-%016x-%02x" % (trace_id, span_id, flags)


def _state(headers: Sequence[Header]) -> str:
    found = [value for name, value in headers if name == _STATE and value]
    text = ",".join(
        value if isinstance(value, str) else value.decode("ascii", "replace") for value in found
    )
    return text if len(text) <= _STATE_CHARACTERS else ""
