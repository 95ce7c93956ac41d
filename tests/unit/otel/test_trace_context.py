"""The W3C's trace context in the headers of records."""

import pytest

from stream_app.otel.trace_context import (
    TraceContext,
    may_be_sampled,
    sampled_context,
    traceparent,
)
from stream_app.records.headers import Headers

GIVEN = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE, SPAN = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7


def test_the_context_of_a_sampled_record_is_read_and_written() -> None:
    """What is written for a span is what the W3C's form says, zeros in front included."""
    headers: Headers = [("other", b"1"), ("traceparent", GIVEN), ("tracestate", b"a=1,b=2")]
    assert sampled_context(headers) == TraceContext(TRACE, SPAN, 1, "a=1,b=2")
    assert traceparent(TRACE, SPAN, 1) == GIVEN
    assert traceparent(1, 2, 3) == b"00-" + b"0" * 31 + b"1-" + b"0" * 15 + b"2-03"


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    """The W3C asks for that: more may follow behind a hyphen."""
    later = GIVEN.replace(b"00-", b"01-", 1)
    for given in (later, later + b"-more"):
        assert sampled_context([("traceparent", given)]) == TraceContext(TRACE, SPAN, 1, "")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("traceparent", GIVEN[:-2] + b"00")],
        [("traceparent", GIVEN), ("traceparent", GIVEN)],
        [("traceparent", None)],
        [("traceparent", b"")],
        [("traceparent", b"\xff" * 55)],
        [("traceparent", GIVEN + b"\n")],
        [("traceparent", GIVEN + b"-more")],
        [("traceparent", GIVEN.upper())],
        [("traceparent", GIVEN.replace(b"00-", b"ff-", 1))],
        [("traceparent", b"00-" + b"0" * 32 + GIVEN[35:])],
        [("traceparent", GIVEN[:36] + b"0" * 16 + b"-01")],
        [("Traceparent", GIVEN)],
    ],
)
def test_what_is_no_context_of_a_sampled_trace_is_none(headers: Headers) -> None:
    """Not sampled, two of them, or not as the W3C has it: nobody's context is made up."""
    assert sampled_context(headers) is None


def test_a_glance_finds_what_may_be_sampled() -> None:
    """It reads the last digit alone: whether the whole is a context is for who goes into it."""
    for last in range(256):
        given = traceparent(TRACE, SPAN, last)
        is_sampled = sampled_context([("traceparent", given)]) is not None
        assert may_be_sampled([("a", b"1"), ("traceparent", given)]) is is_sampled
        assert may_be_sampled([("traceparent", given.decode())]) is is_sampled
    for headers in ([], [("traceparent", None)], [("traceparent", b"")], [("other", b"1")]):
        assert not may_be_sampled(headers)


def test_a_tracestate_without_end_is_not_believed() -> None:
    """A header may have a megabyte; 512 characters have to be passed on."""
    headers: Headers = [("traceparent", GIVEN), ("tracestate", b"a=" + b"b" * 1_000_000)]
    found = sampled_context(headers)
    assert found is not None
    assert found.state == ""
