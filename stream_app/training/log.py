"""Logs in files: JSON Lines, packed by gzip or xz too, and Parquet.

A line is an object ``{"topic": ..., "value": ...}``. `value` is the record's value as JSON, or
`value_base64` its bytes. Optional: `key` (text) or `key_base64`, `headers` (an object, or a list of
pairs), `timestamp` (RFC 3339 with an offset, or seconds since the epoch), `partition`. Parquet has
columns of the same names; there `value` and `key` may be bytes or text, as they lie in the topic.
"""

from __future__ import annotations

import base64
import gzip
import json
import lzma
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

from stream_app.features.events import LogRecord
from stream_app.training.errors import LogError

__all__ = ["Log", "lines_of", "read_log"]

_ROWS_A_BATCH: Final = 2_000
#: As seconds, a moment after the year 5000: somebody's milliseconds.
_MILLISECONDS_FROM: Final = 1e11
_MOST_PARTITIONS: Final = 2**31


class Log(Iterable[LogRecord]):
    """The records of files, one file after the other; it can be read more than once."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths = tuple(paths)

    def __iter__(self) -> Iterator[LogRecord]:
        """Read the files; raises `LogError` with the file and line."""
        for path in self.paths:
            rows = _parquet(path) if path.suffix == ".parquet" else _lines(path)
            for number, row in enumerate(rows, start=1):
                try:
                    record = _record(row)
                except (KeyError, TypeError, ValueError) as error:
                    what = (
                        f"{error} is missing{_SHAPE}" if isinstance(error, KeyError) else str(error)
                    )
                    raise LogError(f"{path}, record {number}: {what}.") from None
                yield record


_SHAPE: Final = (
    '; a line is a record of a topic, {"topic": ..., "value": ...}, with "key", "headers" and '
    '"timestamp" where they matter'
)


def read_log(*paths: str | Path) -> Log:
    """The records of JSON Lines (``.jsonl``, ``.jsonl.gz``, ``.jsonl.xz``) or Parquet files.

    Nothing is read before the log is. Raises `LogError` for a file that is not there.
    """
    found = [Path(path) for path in paths]
    for path in found:
        if not path.is_file():
            raise LogError(f"{path}: there is no such file.")
    return Log(found)


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a file, packed or not, with what ends them; raises `LogError`."""
    number = 0
    try:
        with _opened(path) as file:
            for number, line in enumerate(file, start=1):  # noqa: B007
                yield line
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        # An EOFError that is let out would pass for an answer that nobody gave: click ends with 130.
        raise LogError(f"{path}, after record {number}: it cannot be read ({error}).") from None


def _lines(path: Path) -> Iterator[Any]:
    for number, line in enumerate(lines_of(path), start=1):
        try:
            read = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise LogError(_not_json(path, number, error)) from None
        yield read


def _not_json(path: Path, number: int, error: ValueError | RecursionError) -> str:
    told = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
    if isinstance(error, json.JSONDecodeError):
        told = f"{error.msg}, character {error.pos + 1}"
    what = f"{path}, record {number}: the line is not JSON ({told})"
    if ".jsonl" in path.suffixes:
        return f"{what}."
    return f"{what}: a log is a file of JSON Lines, .jsonl, .jsonl.gz or .jsonl.xz, or .parquet."


def _opened(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return gzip.open(path)  # type: ignore[return-value]  # it is one
    if path.suffix == ".xz":
        return lzma.open(path)
    return path.open("rb")


def _parquet(path: Path) -> Iterator[Any]:
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise LogError(f"{path}: Parquet needs the extra stream-app[parquet].") from None
    number = 0
    try:
        for batch in ParquetFile(path).iter_batches(_ROWS_A_BATCH):
            for row in batch.to_pylist():
                number += 1
                # In a column of bytes or text the value lies as it does in the topic.
                for name in ("value", "key"):
                    raw = row.pop(name, None)
                    row[f"raw_{name}"] = raw.encode() if isinstance(raw, str) else raw
                yield row
    except (OSError, ValueError) as error:  # pyarrow's own are either
        raise LogError(f"{path}, after record {number}: it cannot be read ({error}).") from None


def _record(row: Any) -> LogRecord:
    if not isinstance(row, dict):
        raise TypeError("it is not an object")
    topic = row["topic"]
    if not isinstance(topic, str):
        raise TypeError("topic is not a text")
    if "raw_value" in row:
        value, key = row["raw_value"], row["raw_key"]
        if not (isinstance(value, bytes | None) and isinstance(key, bytes | None)):
            raise TypeError("value and key are columns of bytes or text")
    else:
        value, key = _value(row), _key(row)
    partition = row.get("partition") or 0
    if (
        not isinstance(partition, int)
        or isinstance(partition, bool)
        or not 0 <= partition < _MOST_PARTITIONS
    ):
        raise TypeError("partition is not a number from 0 on")
    return LogRecord(
        value, key, _headers(row.get("headers")), _timestamp(row.get("timestamp")), topic, partition
    )


def _value(row: Mapping[str, Any]) -> bytes | None:
    if row.get("value_base64") is not None:
        return base64.b64decode(row["value_base64"], validate=True)
    if row["value"] is None:
        return None
    return json.dumps(row["value"], ensure_ascii=False, separators=(",", ":")).encode()


def _key(row: Mapping[str, Any]) -> bytes | None:
    if row.get("key_base64") is not None:
        return base64.b64decode(row["key_base64"], validate=True)
    key = row.get("key")
    if key is not None and not isinstance(key, str):
        raise TypeError("key is not a text; bytes go into key_base64")
    return None if key is None else key.encode()


def _headers(given: Any) -> tuple[tuple[str, bytes | None], ...]:
    if not given:
        return ()
    pairs = given.items() if isinstance(given, dict) else given
    if not isinstance(given, dict | list):
        raise TypeError("headers are an object, or a list of pairs")
    made = []
    for pair in pairs:
        name, value = (pair["key"], pair["value"]) if isinstance(pair, dict) else _two(pair)
        if not (isinstance(name, str) and isinstance(value, str | bytes | None)):
            raise TypeError("a header is a name and a text, or null")
        made.append((name, value.encode() if isinstance(value, str) else value))
    return tuple(made)


def _two(pair: Any) -> Any:
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise TypeError("a header is a name and a text, or null")
    return pair


def _timestamp(given: Any) -> float | None:
    if given is None:
        return None
    if isinstance(given, str):
        given = datetime.fromisoformat(given)
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise ValueError("timestamp has no offset from UTC")
        return given.timestamp()
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise TypeError("timestamp is neither RFC 3339 nor seconds since the epoch")
    if not math.isfinite(given):
        raise ValueError("timestamp is not finite")
    if given > _MILLISECONDS_FROM:
        raise ValueError("timestamp looks like milliseconds; it is in seconds since the epoch")
    return float(given)
