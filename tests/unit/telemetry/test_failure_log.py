"""Failed records are told in the log: at once, rarely, and with how many were left out."""

from typing import Any

import pytest

from stream_app.records.failure import Failure
from stream_app.telemetry.failure_log import FailureLog
from tests.unit.builders import failed, partition

P = partition(3, "payments")


class Told:
    """A log, and the clock that it looks at."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.now = 0.0
        self._caplog = caplog
        self.log = FailureLog(seconds=10.0, monotonic=lambda: self.now)

    def batch(self, count: int, *, records: int = 0, **failure: Any) -> None:
        """A finished batch in which so many records failed alike."""
        items = [failed(P, number) for number in range(count)]
        told = {"stage": "decode", "reason": "bad-time", "message": "field at: no", **failure}
        for each in items:
            each.failure = Failure(**told)
        self.log(records or count, items)

    @property
    def lines(self) -> list[str]:
        """Level and text of each line."""
        return [f"{each.levelname} {each.getMessage()}" for each in self._caplog.records]


def test_the_first_of_a_kind_is_told_with_its_place_and_the_others_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A topic of nothing but bad records is a line every ten seconds."""
    told = Told(caplog)
    told.batch(1_000)
    first = (
        "WARNING dead letter: payments[3] 0, stage decode, reason bad-time (poison): field at: no"
    )
    assert told.lines == [first]
    told.now = 5.0
    told.batch(1)
    assert len(told.lines) == 1
    told.now = 10.0
    told.log.look()
    assert told.lines[1] == (
        first.replace("[3] 0", "[3] 0")
        + "; 1000 of this topic, stage and reason since the last line"
    )
    told.now = 11.0
    told.batch(2)
    told.log.close()
    assert "2 of this topic" in told.lines[-1]


def test_a_run_of_mistakes_in_code_is_an_error_of_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A trickle is not."""
    told = Told(caplog)
    told.batch(1, records=500, disposition="bug", reason="feature-error")
    assert [line for line in told.lines if "mistakes in code" in line] == []
    told.batch(20, records=400, disposition="bug", reason="feature-error")
    (alarm,) = [line for line in told.lines if "mistakes in code" in line]
    assert alarm.startswith("ERROR 21 of the last 900 records were dead-lettered")
    assert "most of them (21) at stage decode for feature-error, in payments" in alarm
    told.batch(20, records=40, disposition="bug", reason="feature-error")
    assert len([line for line in told.lines if "mistakes in code" in line]) == 1


def test_text_of_foreign_origin_is_bounded_and_makes_no_kind_of_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A decoder may make up a reason for each record."""
    told = Told(caplog)
    for number in range(50):
        told.batch(1, reason=f"made up {number}", message="x\n" * 10_000)
    (line,) = told.lines
    assert len(line) < 1_000
    assert "\n" not in line
    assert len(told.log._next) == 1
