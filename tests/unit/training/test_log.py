"""Logs in files are read as their records would lie in a topic."""

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from stream_app.features.events import LogRecord
from stream_app.training.errors import LogError
from stream_app.training.log import read_log

LINES = [
    {"topic": "t", "value": {"a": 1.5, "b": "ä"}, "key": "k", "timestamp": "2024-01-01T00:00:00Z"},
    {"topic": "t", "value_base64": "AP8=", "key_base64": "/w==", "headers": {"h": "x"}},
    {"topic": "t", "value": None, "headers": [["h", "x"], ["h", None]], "timestamp": 12.5},
    {"topic": "u", "value": [1], "partition": 3},
]
RECORDS = [
    LogRecord('{"a":1.5,"b":"ä"}'.encode(), b"k", (), 1704067200.0, "t"),
    LogRecord(b"\x00\xff", b"\xff", (("h", b"x"),), topic="t"),
    LogRecord(None, None, (("h", b"x"), ("h", None)), 12.5, "t"),
    LogRecord(b"[1]", topic="u", partition=3),
]


def lines(*objects: Any) -> bytes:
    """JSON Lines."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in objects)


@pytest.mark.parametrize(
    ("name", "pack"),
    [("log.jsonl", bytes), ("log.jsonl.gz", gzip.compress), ("log.jsonl.xz", lzma.compress)],
)
def test_json_lines_become_records(tmp_path: Path, name: str, pack: Any) -> None:
    """Packed or not, and as often as they are asked for."""
    path = tmp_path / name
    path.write_bytes(pack(lines(*LINES)))
    log = read_log(path)
    assert list(log) == RECORDS
    assert list(log) == RECORDS


def test_files_are_read_one_after_the_other(tmp_path: Path) -> None:
    """In the order in which they are named."""
    for name, line in (("a", LINES[0]), ("b", LINES[3])):
        (tmp_path / name).write_bytes(lines(line))
    assert list(read_log(tmp_path / "b", tmp_path / "a")) == [RECORDS[3], RECORDS[0]]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ({"value": {}}, "'topic' is missing"),
        ({"topic": "t"}, "'value' is missing"),
        ({"topic": 1, "value": {}}, "topic is not a text"),
        ({"topic": "t", "value": {}, "key": 7}, "bytes go into key_base64"),
        ({"topic": "t", "value": {}, "timestamp": 1704067200000}, "looks like milliseconds"),
        ({"topic": "t", "value": {}, "timestamp": "2024-01-01T00:00:00"}, "no offset from UTC"),
        ({"topic": "t", "value": {}, "timestamp": True}, "neither RFC 3339 nor seconds"),
        ({"topic": "t", "value": {}, "timestamp": float("nan")}, "timestamp is not finite"),
        ({"topic": "t", "value": {}, "headers": {"h": 5}}, "a header is a name and a text"),
        ({"topic": "t", "value": {}, "headers": [["h"]]}, "a header is a name and a text"),
        ({"topic": "t", "value": {}, "headers": [[5, "x"]]}, "a header is a name and a text"),
        ({"topic": "t", "value": {}, "headers": 5}, "headers are an object, or a list of pairs"),
        ({"topic": "t", "value": {}, "partition": "x"}, "partition is not a number"),
        ({"topic": "t", "value": {}, "partition": [1]}, "partition is not a number"),
        ({"topic": "t", "value": {}, "partition": -1}, "partition is not a number"),
        ([], "it is not an object"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: Any, sentence: str) -> None:
    """With file, number and what is wrong."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(lines(LINES[0], line))
    with pytest.raises(LogError, match=rf"log.jsonl, record 2: .*{sentence}"):
        list(read_log(path))


def test_a_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    """So is a file that is cut short, and one that is not there."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(lines(LINES[0]) + b"{")
    with pytest.raises(
        LogError, match=r"log.jsonl, record 2: the line is not JSON \(Exp.*, character 2\)\.$"
    ):
        list(read_log(path))
    table = tmp_path / "log.csv"
    table.write_text("topic,value\n")
    with pytest.raises(LogError, match=r"log.csv, record 1: .* \.jsonl, .* or \.parquet"):
        list(read_log(table))
    cut = tmp_path / "log.jsonl.gz"
    cut.write_bytes(gzip.compress(lines(*LINES * 100))[:-9])
    with pytest.raises(LogError, match=r"log.jsonl.gz, after record \d+: it cannot be read"):
        list(read_log(cut))
    with pytest.raises(LogError, match=r"nowhere.jsonl: there is no such file"):
        read_log(tmp_path / "nowhere.jsonl")
    path.write_bytes(lines(LINES[0]) + b"[" * 200_000)
    with pytest.raises(LogError, match=r"log.jsonl, record 2: .*nested too deep"):
        list(read_log(path))


@pytest.mark.parametrize("name", ["log.jsonl.gz", "log.jsonl.xz", "log.parquet"])
def test_a_file_that_is_not_what_its_name_says_is_named(tmp_path: Path, name: str) -> None:
    """Somebody renamed it, or it was cut on its way."""
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    path = tmp_path / name
    path.write_bytes(lines(LINES[0]))
    with pytest.raises(LogError, match=rf"{name}, after record 0: it cannot be read"):
        list(read_log(path))


def test_parquet_becomes_the_same_records(tmp_path: Path) -> None:
    """Values and keys are bytes there, as in the topic; moments are of the column's own type."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table(
        {
            "topic": [each.topic for each in RECORDS],
            "value": pyarrow.array([each.value for each in RECORDS], pyarrow.binary()),
            "key": pyarrow.array([each.key for each in RECORDS], pyarrow.binary()),
            "headers": pyarrow.array(
                [
                    [{"key": name, "value": value} for name, value in each.headers]
                    for each in RECORDS
                ],
                pyarrow.list_(
                    pyarrow.struct([("key", pyarrow.string()), ("value", pyarrow.binary())])
                ),
            ),
            "timestamp": pyarrow.array(
                [None if each.timestamp is None else int(each.timestamp * 1e6) for each in RECORDS],
                pyarrow.timestamp("us", tz="UTC"),
            ),
            "partition": [each.partition for each in RECORDS],
        }
    )
    parquet.write_table(table, tmp_path / "log.parquet")
    assert list(read_log(tmp_path / "log.parquet")) == RECORDS
