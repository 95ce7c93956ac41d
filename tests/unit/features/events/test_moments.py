"""The grammar of moments: RFC 3339 with an offset, and what is decided where it leaves a choice."""

from datetime import UTC, datetime, timedelta, timezone
from traceback import walk_tb
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from stream_app.features.events import EpochMilliseconds, EpochSeconds, Moment
from stream_app.features.events.moments import seconds_of

NOON = 1_385_899_200.0
MOMENT: TypeAdapter[float] = TypeAdapter(Moment)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2013-12-01T12:00:00Z", NOON),
        ("2013-12-01t12:00:00z", NOON),
        ("2013-12-01T12:00:00z", NOON),
        ("2013-12-01 12:00:00Z", NOON),
        ("2013-12-01T12:00:00+00:00", NOON),
        ("2013-12-01T12:00:00-00:00", NOON),
        ("2013-12-01T13:30:00+01:30", NOON),
        ("2013-12-01T00:01:00-11:59", NOON),
        ("2013-12-01T12:00:00.5Z", NOON + 0.5),
        ("2013-12-01T12:00:00.123456789Z", NOON + 0.123456),
        ("2013-12-01T12:00:00.9999999Z", NOON + 0.999999),
        ("2016-12-31T23:59:60Z", 1_483_228_800.0),
        ("2016-12-31t23:59:60z", 1_483_228_800.0),
        ("2016-12-31T23:59:60.25Z", 1_483_228_800.25),
        ("2017-01-01T08:59:60+09:00", 1_483_228_800.0),
        ("2012-06-30T23:59:60Z", 1_341_100_800.0),
        ("0001-01-01T00:00:00Z", -62_135_596_800.0),
        ("9999-12-31T23:59:59Z", 253_402_300_799.0),
    ],
)
def test_a_moment_of_the_grammar_is_its_seconds_since_the_epoch(text: str, seconds: float) -> None:
    """A leap second is the second after it, and what is finer than a microsecond is cut off."""
    assert seconds_of(text) == pytest.approx(seconds, abs=1e-6)
    assert MOMENT.validate_json(f'"{text}"') == MOMENT.validate_python(text) == seconds_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2013-12-01",
        "2013-12-01T12:00Z",
        "2013-12-01T12:00:00",
        "2013-12-01T12:00:00+01",
        "2013-12-01T12:00:00+0100",
        "2013-12-01T12:00:00+01:00:30",
        "2013-12-01T12:00:00+24:00",
        "2013-12-01T12:00:00+01:60",
        "2013-12-01T12:00:00,5Z",
        "2013-12-01T12:00:00.Z",
        "2013-12-01T24:00:00Z",
        "2013-12-01T12:60:00Z",
        "2013-12-01T12:00:61Z",
        "2013-12-01T12:00:60Z",
        "2013-12-01T23:59:60Z",
        "2016-12-31T23:59:60+01:00",
        "9999-12-31T23:59:60Z",
        "2013-02-30T12:00:00Z",
        "0000-01-01T00:00:00Z",
        "20131201T120000Z",
        "2013-W48-7T12:00:00Z",
        "2013-12-01_12:00:00Z",
        " 2013-12-01T12:00:00Z",
        "2013-12-01T12:00:00Z\n",
        "٢٠١٣-12-01T12:00:00Z",
        "1385899200",
        f"2013-12-01T12:00:00.{'1' * 60}Z",
    ],
)
def test_any_other_text_is_no_moment(text: str) -> None:
    """Whatever the standard library would make of it."""
    with pytest.raises(ValueError, match=r"RFC 3339"):
        seconds_of(text)


def test_a_datetime_with_a_time_zone_is_a_moment_in_python() -> None:
    """Avro gives such, and so does a decoder of one's own."""
    noon = datetime(2013, 12, 1, 12, tzinfo=UTC)
    assert MOMENT.validate_python(noon) == NOON
    east = timezone(timedelta(hours=5, minutes=30))
    assert MOMENT.validate_python(noon.astimezone(east)) == NOON


def test_a_naive_datetime_is_refused_and_so_is_a_number() -> None:
    """Neither says what moment it means."""
    with pytest.raises(ValidationError, match="no time zone"):
        MOMENT.validate_python(datetime(2013, 12, 1, 12))  # noqa: DTZ001 - that is the point
    for number in (NOON, int(NOON), True, None):
        with pytest.raises(ValidationError):
            MOMENT.validate_python(number)


@pytest.mark.parametrize(
    ("kind", "number", "seconds"),
    [
        (EpochSeconds, "1385899200", NOON),
        (EpochSeconds, "1385899200.25", NOON + 0.25),
        (EpochMilliseconds, "1385899200250", NOON + 0.25),
        (EpochMilliseconds, "-500", -0.5),
    ],
)
def test_a_number_is_a_moment_where_the_contract_says_its_unit(
    kind: Any, number: str, seconds: float
) -> None:
    """In Python it is in seconds, whatever the unit on the wire."""
    adapter = TypeAdapter(kind)
    assert adapter.validate_json(number) == seconds
    assert adapter.json_schema()["type"] == "number"
    with pytest.raises(ValidationError):
        adapter.validate_json(f'"{number}"')
    with pytest.raises(ValidationError):
        adapter.validate_json("NaN")


@pytest.mark.parametrize("text", ["yesterday", "2013-13-01T00:00:00Z", "x" * 65])
def test_a_refusal_holds_nothing_of_the_one_before(text: str) -> None:
    """An exception that is raised again keeps the frames of every time before, and their events with them."""
    frames = []
    for _ in range(3):
        with pytest.raises(ValueError) as refused:
            seconds_of(text)
        frames.append(len(list(walk_tb(refused.value.__traceback__))))
    assert len(set(frames)) == 1
