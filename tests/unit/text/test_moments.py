"""Times as text."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from stream_app.features.events import Moment
from stream_app.text.moments import in_utc, rfc3339, to_microseconds, to_the_millisecond

MOMENT: TypeAdapter[float] = TypeAdapter(Moment)
#: Seconds of the years 1 to 9999.
TIMES = st.floats(-62_135_596_800.0, 253_402_300_799.0)


def exact_seconds(text: str) -> float:
    """The float nearest to a moment, no digit of its fraction ignored."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = Fraction(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return float(seconds + Fraction(f"0.{fraction or 0}"))


@given(TIMES)
def test_a_reader_of_every_digit_gets_the_same_float(seconds: float) -> None:
    """Before 1970 as well, but for the first days of it, where floats are finer than nanoseconds."""
    assume(abs(seconds) > 100 * 86_400.0)
    assert exact_seconds(rfc3339(seconds)) == seconds


@given(TIMES)
def test_a_reader_of_microseconds_gets_what_is_told(seconds: float) -> None:
    """Our own contract reads so, and so does the audit."""
    assert MOMENT.validate_json(f'"{rfc3339(seconds)}"') == to_microseconds(seconds)


@given(st.integers(-10_000_000_000_000, 4_000_000_000_000_000))
def test_whole_microseconds_come_back_as_they_went(microseconds: int) -> None:
    """The times of events that came as text are such."""
    seconds = microseconds / 1_000_000
    assert MOMENT.validate_json(f'"{rfc3339(seconds)}"') == seconds == to_microseconds(seconds)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1386172800.0, "2013-12-04T16:00:00Z"),
        (1386172800, "2013-12-04T16:00:00Z"),
        (1386172800.25, "2013-12-04T16:00:00.25Z"),
        (-0.5, "1969-12-31T23:59:59.5Z"),
        (1e-7, "1970-01-01T00:00:00.0000001Z"),
    ],
)
def test_no_more_digits_are_written_than_are_needed(seconds: float, text: str) -> None:
    """Whole seconds have none."""
    assert rfc3339(seconds) == text


@pytest.mark.parametrize("seconds", [1e12, -1e12, float("nan"), float("inf")])
def test_what_no_calendar_knows_is_refused_on_the_wire_and_told_to_people(seconds: float) -> None:
    """Sentences must not fail."""
    with pytest.raises((ValueError, OverflowError)):
        rfc3339(seconds)
    assert in_utc(seconds).endswith("s since 1970")


@given(TIMES | st.floats(0.0, 2e9) | st.floats(-2.0, 2.0))
def test_milliseconds_are_those_of_the_standard_library(seconds: float) -> None:
    """Which takes twice as long: dead letters tell two moments each."""
    at = datetime.fromtimestamp(seconds, UTC)
    assert to_the_millisecond(seconds) == at.isoformat(timespec="milliseconds")


@pytest.mark.parametrize("seconds", [1e18, -1e18, float("inf"), float("nan"), 253_402_300_800.0])
def test_a_moment_that_no_calendar_knows_is_a_number(seconds: float) -> None:
    """A letter is written all the same."""
    assert to_the_millisecond(seconds) == f"{seconds:.3f}"
