"""Storms of lines: the first ones are written, then one in a while with how many were left out."""

import logging
import time
from collections.abc import Iterator

import pytest

from stream_app.telemetry import storms
from stream_app.telemetry.logs import configure_logging
from stream_app.telemetry.storms import Storms


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    """Put the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def line(
    logger: str, message: str, *args: object, level: int = logging.WARNING
) -> logging.LogRecord:
    """A line of a logger, all from one place of the code."""
    return logging.LogRecord(logger, level, "file.py", 7, message, args, None)


def test_a_line_that_comes_by_the_thousand_is_told_with_how_many_were_left_out() -> None:
    """The last one is told, as it knows where the trouble is now."""
    now = 0.0
    guard = Storms(lambda: now)
    told = [guard.takes(line("stream_app.x", "no %d", number)) for number in range(1_000)]
    assert told == [True] * 20 + [False] * 980
    assert guard.due() == []
    now = 10.0
    (last,) = guard.due()
    assert last.getMessage() == "no 999 (979 more like this were not told)"
    assert not guard.is_waiting
    assert guard.takes(line("stream_app.x", "no %d", 1_000))


@pytest.mark.parametrize(
    ("logger", "level", "told"),
    [
        ("librdkafka", logging.ERROR, 1),
        ("opentelemetry.exporter", logging.WARNING, 1),
        ("orders.features", logging.INFO, 100),
        ("stream_app.x", logging.DEBUG, 100),
    ],
)
def test_libraries_repeat_themselves_least_and_what_was_asked_for_is_told_whole(
    logger: str, level: int, told: int
) -> None:
    """A use case's own lines, and those of the level DEBUG, are all written."""
    guard = Storms(lambda: 0.0)
    assert sum(guard.takes(line(logger, "again", level=level)) for _ in range(100)) == told


def test_kinds_of_librdkafkas_messages_are_counted_apart() -> None:
    """All of them come from one line of code and with one text, and their kind is the first word."""
    guard = Storms(lambda: 0.0)
    kinds = ["FAIL", "ERROR", "FAIL", "REQTMOUT"]
    said = [guard.takes(line("librdkafka", "%s [%s] %s", kind, "client", "x")) for kind in kinds]
    assert said == [True, True, False, True]


def test_texts_without_end_take_no_memory_without_end() -> None:
    """A line may hold a name that somebody made up, each time another one."""
    now = 0.0
    guard = Storms(lambda: now)
    for number in range(30_000):
        now = number * 0.01
        guard.takes(line("stream_app.x", f"no {number}"))
    assert len(guard._windows) <= 10_000


def test_the_count_is_told_when_the_storm_is_over_though_nothing_else_is_logged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An idle worker logs nothing for hours."""
    monkeypatch.setattr("stream_app.telemetry.logs.SECONDS", 0.05)
    configure_logging("INFO", "text")
    for number in range(25):
        logging.getLogger("stream_app.x").warning("no %d", number, extra={"offset": number})
    written = ""
    ends = time.monotonic() + 5.0
    while "more like this" not in written and time.monotonic() < ends:
        written += capsys.readouterr().err
        time.sleep(0.01)
    assert "no 24 (4 more like this were not told) offset=24" in written
    assert storms.SECONDS == 10.0


def test_the_count_is_told_at_the_end_of_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    """What was held back is not lost with the process."""
    configure_logging("INFO", "text")
    for number in range(22):
        logging.getLogger("stream_app.x").warning("no %d", number)
    (handler,) = logging.getLogger().handlers
    handler.close()
    assert (
        capsys.readouterr().err.splitlines()[-1].endswith("no 21 (1 more like this were not told)")
    )
