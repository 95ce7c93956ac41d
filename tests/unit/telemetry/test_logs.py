"""Logging: one line a message, the time in UTC."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any, Literal
from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError, TopicPartition

from stream_app.config.settings import Settings
from stream_app.delivery.refusals import Refusals
from stream_app.kafka.consumer.assignment import Assignment
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.observer.events import BatchFinished, WaitingBegan, WaitingEnded
from stream_app.observer.observer import Observer
from stream_app.records.batch import Outgoing
from stream_app.telemetry.failure_log import FailureLog
from stream_app.telemetry.logs import configure_logging, name_application
from stream_app.waiting.outages import Outages
from stream_app.wire.dead_letter import DeadLetters
from tests.unit.builders import batch, begins, failed, item, partition


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
    """What is said stands first, fields are members after it, and so is an exception."""
    configure_logging("DEBUG", "json")
    try:
        int("no")
    except ValueError:
        logging.getLogger("worker").exception("failed", extra={"partition": 3, "level": "mine"})
    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert [*entry] == ["time", "level", "logger", "message", "partition", "exception"]
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


def dead_letter() -> None:
    """A record that failed is told."""
    FailureLog()(BatchFinished(batch(1, [failed(partition(3, "payments"), 411)])))


def assignment() -> None:
    """Partitions are taken, and lost."""
    held = Assignment(
        rebalancing=Mock(),
        beside_transactions=True,
        positions=Mock(
            find=lambda _, assigned: [
                begins(partition(number, topic)) for topic, number in assigned
            ]
        ),
        tracker=OffsetTracker(),
        settle=lambda *_: True,
        observer=Observer(),
        revoke_seconds=lambda: 0.0,
        in_order=lambda: True,
        on_found=lambda _: None,
        refusal_seconds=30.0,
    )
    taken = [
        TopicPartition("payments", 1),
        TopicPartition("orders", 10),
        TopicPartition("orders", 2),
    ]
    held.on_assign(Mock(**{"commit.return_value": None}), taken)
    held.on_lost(Mock(), taken)


def waiting() -> None:
    """A service is waited for until it is back."""
    outages = Outages(Observer(), explained=lambda _, why: why)
    outages.began(WaitingBegan("redis", "refused"))
    outages.ended(WaitingEnded("redis"))


def refused() -> None:
    """The brokers refuse a record that is too large."""
    of = item(partition(3, "payments"), 411)
    row = Outgoing("rows", None, b"{}", [], of.record.partition, of, "feature row")
    letters = DeadLetters("letters", group="g", code_version="1", model_version="m/1")
    Refusals(letters)(row, KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))


PARTITIONS = {"partitions": ["orders[2]", "orders[10]", "payments[1]"]}


@pytest.mark.parametrize(
    ("say", "expected"),
    [
        (dead_letter, [{"topic": "payments", "partition": 3, "offset": 411}]),
        (refused, [{"topic": "payments", "partition": 3, "offset": 411}]),
        (assignment, [PARTITIONS, PARTITIONS]),
        (waiting, [{"service": "redis"}, {"service": "redis"}]),
    ],
)
def test_what_a_line_is_about_is_in_its_fields(
    say: Any, expected: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever collects the log asks it for a partition, and need not take sentences apart."""
    configure_logging("INFO", "json")
    name_application("flights", "flights-0")
    say()
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    standard = {"time", "level", "logger", "message"}
    fields = [{name: each[name] for name in each.keys() - standard} for each in told]
    assert fields == [
        {"application": "flights", "worker": "flights-0", **each} for each in expected
    ]


def test_fields_stand_behind_the_sentence_in_text(capsys: pytest.CaptureFixture[str]) -> None:
    """With the same names as in JSON."""
    configure_logging("INFO", "text")
    name_application("flights", "flights-0")
    dead_letter()
    assignment()
    first, second, _ = capsys.readouterr().err.splitlines()
    assert first.endswith(
        " topic=payments partition=3 offset=411 application=flights worker=flights-0"
    )
    assert second.endswith(
        " partitions=orders[2],orders[10],payments[1] application=flights worker=flights-0"
    )


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_line_of_a_library_names_the_application_as_well(
    style: Literal["text", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    """Several applications send their lines to one place; before its name is known, it has none."""
    configure_logging("INFO", style)
    logging.getLogger("library").warning("early")
    name_application("flights", "flights-0")
    logging.getLogger("library").warning("late")
    early, late = capsys.readouterr().err.splitlines()
    assert "flights" not in early
    assert "flights" in late
