"""Moments in compiled code: the same seconds, and the same refusals, as in Python."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream_app.compiled import compiled_module
from stream_app.features.events.moments import seconds_in_python

module = compiled_module("moments")
pytestmark = pytest.mark.skipif(module is None, reason="nothing is compiled here")


def outcome(function: object, text: str) -> tuple[str, str]:
    """What comes of a text: exact seconds, or the refusal."""
    try:
        return "seconds", function(text).hex()  # type: ignore[operator]
    except ValueError as error:
        return type(error).__name__, str(error)


def moments() -> st.SearchStrategy[str]:
    """Texts of RFC 3339 of every year, fraction and offset."""
    zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
    whole = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=zones)  # noqa: DTZ001
    fraction = st.one_of(st.just(""), st.from_regex(r"\.[0-9]{1,12}", fullmatch=True))
    zone = st.sampled_from(["Z", "z", "+00:00", "-00:00", None])
    return st.builds(
        lambda moment, part, zone: (
            moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
            + part
            + (zone or moment.isoformat()[-6:])
        ),
        whole, fraction, zone,
    )  # fmt: skip


def spoiled() -> st.SearchStrategy[str]:
    """Such texts with a character replaced, left out or put in."""
    characters = st.one_of(st.sampled_from("0123456789:-+.TZtz ,\x00é٣"), st.characters())
    return st.builds(
        lambda text, at, instead, until: (
            text[: at % len(text)] + instead + text[at % len(text) + until :]
        ),
        moments(), st.integers(0, 40), st.one_of(st.just(""), characters), st.integers(0, 2),
    )  # fmt: skip


@given(st.one_of(moments(), spoiled(), st.text(max_size=70)))
@example("2000-02-29T00:00:00Z")
@example("1900-02-29T00:00:00Z")
@example("2100-02-29T00:00:00Z")
@example("2199-12-31T23:59:59.999999999+23:59")
@example("1900-01-01T00:00:00.000001-23:59")
@example("2016-12-31T23:59:60Z")
@example("2013-12-01T12:00:00.Z")
@example("2013-12-01T12:00:00Z\n")
def test_every_text_has_the_same_outcome(text: str) -> None:
    """Seconds to the last bit, or the same refusal."""
    assert outcome(module.seconds_or(seconds_in_python), text) == outcome(seconds_in_python, text)


def test_what_producers_write_does_not_take_the_way_of_python() -> None:
    """The form of RFC 3339 that is in use; what is rare does, and is asked of Python as it is."""
    asked: list[str] = []

    def otherwise(text: str) -> float:
        asked.append(text)
        return 0.0

    seconds = module.seconds_or(otherwise)
    for text in (
        "2013-12-04T11:20:00Z", "2013-12-04T11:20:00.123Z", "2013-12-04T11:20:00.123456+05:30",
    ):  # fmt: skip
        seconds(text)
    assert asked == []
    seconds("2016-12-31T23:59:60Z")
    assert asked == ["2016-12-31T23:59:60Z"]
    with pytest.raises(TypeError):
        seconds(1)
