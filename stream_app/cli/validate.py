"""``stream-app validate``: whether the worker would take the records of a file, before they are sent."""

from __future__ import annotations

import base64
import binascii
import gc
import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click

from stream_app.cli.common import chosen_usecase, usecase_argument
from stream_app.config.settings import Settings
from stream_app.errors import ConfigurationError
from stream_app.features.events import LogRecord
from stream_app.records.failure import Failure
from stream_app.training.log import Log, lines_of

__all__ = ["command"]

_FAILED = 1
_LINES_AT_ONCE = 1_000
_STDIN = Path("/dev/stdin")
_GC_THRESHOLD = 400_000
"""Objects between two runs of the garbage collector, which finds nothing here: events are in no cycles.
By default it takes a quarter of the time."""


@click.command("validate", short_help="Whether the worker would take events, before they are sent.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@usecase_argument
@click.option("--topic", help="Where the lines are to go; needed where the use case reads several.")
@click.option("--base64", "is_base64", is_flag=True, help="A line is the value's bytes in base64.")
@click.option(
    "--log", "is_log", is_flag=True, help="A line is a record, as `stream-app send` reads it."
)
@click.option(
    "--json", "as_json", is_flag=True, help="JSON Lines: one a refused record, then a summary."
)
def command(
    file: str,
    usecase: str | None,
    *,
    topic: str | None,
    is_base64: bool,
    is_log: bool,
    as_json: bool,
) -> int:
    """Decode and validate the records of FILE as the worker does; - reads standard input.

    A line is the value of a record: one event in JSON, or the bytes of any value with --base64. With
    --log a line is a whole record with topic, key, headers and timestamp. Files may be packed by gzip
    or xz. A record without a timestamp is taken to be sent now.

    What the worker would refuse is printed with line, reason, field and message: those of its dead
    letter. What its functions and models make of an event is not tried; `rehearse` of
    stream_app.testing does that.

    \b
    Example:
      stream-app validate events.jsonl features.flights:usecase --topic flights.departed
      my-producer --dry-run | stream-app validate - --topic flights.departed --json

    Exit status: 0; 1 where the worker would refuse a record; 2 for wrong usage or a log that cannot be
    read; 3 where a service that a decoder asks does not answer.
    """
    from stream_app.predictor.undelivered import UndeliveredRecords

    if is_log and (topic or is_base64):
        raise click.UsageError("--log says topic and bytes of each record: give it alone")
    settings = Settings.load(usecase=usecase)
    chosen = chosen_usecase(settings)
    path = _STDIN if file == "-" else Path(file)
    if is_log:
        records = iter(Log([path]))
    else:
        topics = [each.name for each in chosen.topics]
        if topic is None and len(topics) > 1:
            raise click.UsageError(f"--topic: the use case reads {', '.join(topics)}")
        records = _values(path, topic or topics[0], is_base64=is_base64)
    decode = UndeliveredRecords(chosen, settings)
    began = time.monotonic()
    count = refused = skipped = 0
    thresholds = gc.get_threshold()
    click.get_current_context().call_on_close(lambda: gc.set_threshold(*thresholds))
    gc.set_threshold(_GC_THRESHOLD)
    while chunk := list(islice(records, _LINES_AT_ONCE)):
        for number, item in enumerate(decode(chunk), start=count + 1):
            if item.event is not None:
                continue
            if item.failure is None:
                skipped += 1
            else:
                refused += 1
                topic = item.record.topic
                click.echo(_told(number, topic, item.failure, as_json=as_json))
        count += len(chunk)
    if as_json:
        click.echo(json.dumps({"records": count, "refused": refused, "skipped": skipped}))
    else:
        took = time.monotonic() - began
        also = f", {skipped:,} skipped" if skipped else ""
        click.echo(f"{count:,} records, {refused:,} refused{also}, in {took:.1f} s", err=True)
    return _FAILED if refused else 0


def _values(path: Path, topic: str, *, is_base64: bool) -> Iterator[LogRecord]:
    for number, line in enumerate(lines_of(path), start=1):
        value = line.rstrip(b"\r\n")
        if is_base64:
            try:
                value = base64.b64decode(value, validate=True)
            except binascii.Error as error:
                raise ConfigurationError(
                    f"{path}, line {number}: it is not base64 ({error})"
                ) from None
        yield LogRecord(value, None, (), None, topic)


def _told(number: int, topic: str, failure: Failure, *, as_json: bool) -> str:
    if not as_json:
        field = f" {failure.field}" if failure.field else ""
        return f"{number}: {failure.reason}{field}: {failure.message}"
    return json.dumps(
        {
            "line": number,
            "topic": topic,
            "reason": failure.reason,
            "field": failure.field or None,
            "message": failure.message,
        }
    )
