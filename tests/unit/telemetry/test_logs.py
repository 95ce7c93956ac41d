"""Logging: one line a message, the time in UTC."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Literal

import pytest

from stream_app.config.settings import Settings
from stream_app.telemetry.logs import configure_logging


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    """Put the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_text_is_one_line_with_a_utc_time_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """Grep finds it, and a line break in a name forges no second message."""
    configure_logging("INFO", "text")
    logging.getLogger("worker").info("assigned %s", "a\nb", extra={"partitions": 3})
    logging.getLogger("worker").debug("not logged")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO    worker assigned a\\nb partitions=3\n",
        capsys.readouterr().err,
    )


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Fields are members; an exception is part of the object, not lines after it."""
    configure_logging("DEBUG", "json")
    try:
        int("no")
    except ValueError:
        logging.getLogger("worker").exception("failed", extra={"partition": 3, "level": "mine"})
    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert entry["time"].endswith("Z")
    assert (entry["level"], entry["logger"], entry["message"]) == ("ERROR", "worker", "failed")
    assert entry["partition"] == 3
    assert "ValueError: invalid literal" in entry["exception"]


def test_configuring_twice_logs_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A restart in the same process, or a library that configured logging first."""
    configure_logging("INFO", "text")
    configure_logging("INFO", "text")
    logging.getLogger("worker").info("once")
    assert capsys.readouterr().err.count("once") == 1


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_secret_that_somebody_quotes_is_masked(
    style: Literal["text", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    """A library's message, or an exception's; however the line is written."""
    settings = Settings(
        kafka={"sasl.kerberos.kinit.cmd": "kinit-as %{sasl.kerberos.principal} <<< 'hunter2'"},
        sasl_password='quoted"hunter3',  # type: ignore[arg-type]  # pydantic makes it a secret
        redis_url="redis://user:hunter4@cache/0",  # type: ignore[arg-type]
    )
    configure_logging("INFO", style, settings.secrets())
    try:
        int('quoted"hunter3')
    except ValueError:
        logging.getLogger("worker").exception("failed: kinit-as kafkaclient <<< 'hunter2' hunter4")
    said = capsys.readouterr().err
    assert "hunter" not in said
    assert "failed: ********kafkaclient********" in said
