"""The headers of a record, and what can be kept of those that are too many or cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from operator import methodcaller
from typing import Any, Final

from stream_app.records.failure import Failure

__all__ = [
    "HEADER_OVERHEAD_BYTES",
    "MOST_HEADERS",
    "UNREADABLE",
    "Header",
    "Headers",
    "first_headers",
    "read_headers",
    "salvaged_headers",
    "size_of",
    "too_many",
]

#: The headers of a message. Not `message.headers()`: where a name is not UTF-8 the library leaves an
#: exception behind a result, and Python 3.11 stops checking that after some calls from one line.
read_headers: Final = methodcaller("headers")

#: A record's header; its value may be absent.
Header = tuple[str, str | bytes | None]

#: Record headers in order.
Headers = list[Header]

MOST_HEADERS: Final = 1_024
"""Of a record; one with more is not taken: a megabyte of tiny headers makes objects of a hundred."""
HEADER_OVERHEAD_BYTES: Final = 160
"""What a held header takes besides the bytes of its name and value."""
UNREADABLE: Final = "unreadable-header"
"""Stands for a header's name that is not UTF-8."""


def size_of(headers: Sequence[Header]) -> int:
    """Bytes that headers take in memory."""
    return HEADER_OVERHEAD_BYTES * len(headers) + sum(
        [len(name) + (0 if value is None else len(value)) for name, value in headers]
    )


def too_many(headers: Sequence[Header]) -> Failure | None:
    """Why a record with these headers is not taken; None: there are not too many of them."""
    if len(headers) <= MOST_HEADERS:
        return None
    told = f"the record has {len(headers)} headers; the first {MOST_HEADERS} are kept here"
    return Failure("decode", "too-many-headers", told)


def first_headers(message: Any, headers: Sequence[Header]) -> Sequence[Header]:
    """The first of very many headers; the message lets go of the others."""
    message.set_headers(None)
    return headers[:MOST_HEADERS]


def salvaged_headers(message: Any) -> tuple[Sequence[Header], Failure]:
    """What can be kept of headers that the library fails to read.

    After it has failed once it gives a list that holds no object for each name that is not UTF-8
    (seen: 2.16). Taking such a name out ends the process; showing it does not.
    """
    kept: list[Header] = []
    lost = 0
    with suppress(Exception):
        for header in (read_headers(message) or ())[:MOST_HEADERS]:
            if repr(header).startswith("(<NULL>"):
                kept.append((UNREADABLE, header[1]))
                lost += 1
            else:
                kept.append(header)
    message.set_headers(None)
    told = f"{lost} of them are kept as {UNREADABLE}" if lost else "none of them is kept"
    why = f"the name of a header is not UTF-8, so the headers cannot be read; {told}"
    return kept, Failure("decode", "invalid-headers", why)
