"""`stream-app validate` says of each record what its dead letter would say, before it is sent."""

import base64
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner, Result

from features.flights.data.malformed import KINDS, malformed
from features.flights.data.year import records
from stream_app.cli import main
from stream_app.config.settings import Settings
from stream_app.observer.observer import Observer
from stream_app.predictor.assembly import decode_stage
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId
from stream_app.records.record import Record
from tests.usecases import regression

READINGS = "meters.readings"
USECASE = "tests.usecases.regression:usecase"


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty directory, and no variables of the machine."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith("STREAM_APP_")]:
        monkeypatch.delenv(name)


def readings(count: int) -> list[dict[str, Any]]:
    """Events of the topic of readings."""
    events = regression.events(4 * count + 20, 1_700_000_000.0)
    found = [e for e in events if regression.topic_of(e, regression.usecase) == READINGS]
    return found[:count]


def validate(*arguments: str, lines: bytes | None = None) -> Result:
    """Run the command in this process, over the file `lines` where they are given."""
    if lines is not None:
        Path("lines").write_bytes(lines)
    return CliRunner().invoke(main, ["validate", *arguments])


def line_at(event: dict[str, Any], seconds: float | None) -> str:
    """A line of a log."""
    return json.dumps({"topic": READINGS, "key": "m1", "value": event, "timestamp": seconds})


def test_lines_that_the_worker_takes_are_counted() -> None:
    """Nothing goes to stdout, the count to stderr, and the status is 0."""
    lines = [line_at(event, 1_700_000_100.0) for event in readings(5)]
    Path("log.jsonl").write_text("\n".join(lines) + "\n")
    result = validate("log.jsonl", USECASE, "--log")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("5 records, 0 refused, in ")


def test_what_the_worker_would_refuse_is_a_line_each() -> None:
    """With its number, reason, field and message; status 1."""
    given = [b"nonsense", b"", json.dumps({**readings(1)[0], "kilowatts": "many"}).encode()]
    result = validate("lines", USECASE, "--topic", READINGS, lines=b"\n".join(given))
    assert result.exit_code == 1, result.output
    told = result.stdout.splitlines()
    assert told[0].startswith("1: invalid-json: ")
    assert told[1] == "2: empty-value: the value has no bytes"
    assert told[2].startswith("3: wrong-type kilowatts: field kilowatts: ")


def test_scripts_get_an_object_a_line_and_a_summary() -> None:
    """With `--json`."""
    result = validate("lines", USECASE, "--topic", READINGS, "--json", lines=b"[]\n")
    assert result.exit_code == 1, result.output
    refused, summary = map(json.loads, result.stdout.splitlines())
    assert refused["line"] == 1
    assert refused["reason"] == "not-an-object"
    assert refused["topic"] == READINGS
    assert refused["field"] is None
    assert summary == {"records": 1, "refused": 1, "skipped": 0}


def test_any_bytes_are_told_of_in_base64_and_packed_files_are_read() -> None:
    """A value with a line break in it too."""
    values = [b"\xff\n", b"{\n}", b""]
    with gzip.open("values.gz", "wb") as file:
        file.writelines(base64.b64encode(value) + b"\n" for value in values)
    result = validate("values.gz", USECASE, "--topic", READINGS, "--base64")
    assert result.exit_code == 1, result.output
    told = [line.split()[1] for line in result.stdout.splitlines()]
    assert told == ["invalid-utf8:", "missing-field", "empty-value:"]


def test_a_record_without_a_timestamp_is_taken_to_be_sent_now() -> None:
    """So an event of years ago is too old, and one of a log with its timestamp is not."""
    event = readings(1)[0]
    now = validate("lines", USECASE, "--log", lines=line_at(event, None).encode())
    assert now.exit_code == 1, now.output
    assert "time-out-of-range event_time" in now.stdout
    then = validate("lines", USECASE, "--log", lines=line_at(event, 1_700_000_100.0).encode())
    assert then.exit_code == 0, then.output


@pytest.mark.parametrize(
    ("arguments", "lines", "sentence"),
    [
        (["lines", USECASE], b"{}", "--topic: the use case reads meters.r"),
        (["lines", USECASE, "--topic", "sales"], b"{}", "the topic sales is none of those that"),
        (
            ["lines", USECASE, "--topic", READINGS, "--base64"],
            b"e30=\n{}",
            "line 2: it is not base64",
        ),
        (["lines", USECASE, "--log"], b"[]", "record 1: it is not an object"),
        (["lines", USECASE, "--log", "--base64"], b"", "--log says topic and bytes of each record"),
        (["missing.jsonl", USECASE], b"", "'missing.jsonl' does not exist"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(
    arguments: list[str], lines: bytes, sentence: str
) -> None:
    """On stderr, so that a script does not take it for a refused record."""
    result = validate(*arguments, lines=lines)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_it_says_of_malformed_events_what_the_workers_stage_says() -> None:
    """Of every kind of malformed event that the demo sends."""
    from features.flights import usecase

    valid = next(record for record in records(count=400) if record.topic == "flights.departed")
    values = [malformed(Random(7), valid.value, kind)[0] or b"" for kind in KINDS]
    partition = Partition.among(
        [topic.name for topic in usecase.topics], PartitionId(valid.topic, 0)
    )
    stage = decode_stage(Settings(), usecase, Observer())
    items = stage([Record(partition, 0, valid.known_at, None, value) for value in values])
    expected = [
        (number, item.failure.reason, item.failure.field, item.failure.message)
        for number, item in enumerate(items, start=1)
        if item.failure is not None
    ]
    assert len({reason for _, reason, _, _ in expected}) > 5
    lines = b"".join(base64.b64encode(value) + b"\n" for value in values)
    result = validate(
        "lines",
        "features.flights:usecase",
        "--topic",
        valid.topic,
        "--base64",
        "--json",
        lines=lines,
    )
    told = [json.loads(line) for line in result.stdout.splitlines()[:-1]]
    told_of = ("line", "reason", "field", "message")
    assert [tuple(map(each.get, told_of)) for each in told] == expected


def test_standard_input_is_read_as_well() -> None:
    """Of events and of logs: so it stands behind a producer's dry run."""
    event = json.dumps(readings(1)[0])
    for line, more in ((event, ["--topic", READINGS]), (line_at(readings(1)[0], 1.0), ["--log"])):
        done = subprocess.run(
            [sys.executable, "-m", "stream_app", "validate", "-", USECASE, *more],
            input=line + "\n", text=True, capture_output=True, check=False,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert done.stdout.startswith("1: time-out-of-range event_time: ")


@pytest.mark.parametrize(("name", "content"), [
    ("events.gz", b"{}\n"),
    ("events.gz", gzip.compress(b"{}\n", mtime=0)[:-6]),
    ("events.xz", b"{}\n"),
])  # fmt: skip
def test_a_file_that_cannot_be_read_is_named(name: str, content: bytes) -> None:
    """One that is not what its name says, or was cut: status 2, and no status of its own making."""
    Path(name).write_bytes(content)
    done = validate(name, USECASE, "--topic", READINGS)
    assert done.exit_code == 2
    assert f"{name}, after record" in done.stderr


def test_a_record_with_too_many_headers_is_refused_as_by_the_worker() -> None:
    """It is no matter of the value alone."""
    (event,) = readings(1)
    line = json.loads(line_at(event, 1_700_000_100.0))
    line["headers"] = [[f"h{number}", ""] for number in range(1_025)]
    done = validate("lines", USECASE, "--log", lines=json.dumps(line).encode())
    assert done.exit_code == 1
    assert "1: too-many-headers: the record has 1025 headers" in done.stdout
