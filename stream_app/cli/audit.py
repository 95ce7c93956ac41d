"""``stream-app audit``: an account of every record."""

from __future__ import annotations

import json
import re
import sys

import click

from stream_app.audit import PartitionId, Report, Scope, audit
from stream_app.audit.wording import lines
from stream_app.cli.bar import Bar
from stream_app.cli.common import chosen_usecase, settings_of_command, usecase_argument
from stream_app.cli.times import Time
from stream_app.errors import ServiceAwayError
from stream_app.telemetry.logs import name_application

__all__ = ["command"]

_AWAY = 3


class _Partition(click.ParamType):
    """TOPIC:NUMBER, or TOPIC[NUMBER] as it is printed."""

    name = "partition"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> PartitionId:
        """Read it."""
        found = re.fullmatch(r"([\w.-]+)(?::(\d{1,6})|\[(\d{1,6})\])", str(value), re.ASCII)
        if found is None:
            self.fail("expected TOPIC:NUMBER, such as flights.boarding:5", param, ctx)
        return PartitionId(found[1], int(found[2] or found[3]))


class _Offsets(click.ParamType):
    """FIRST-LAST, both included and either left out, or one offset."""

    name = "offsets"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int | None, int | None]:
        """Read it."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d{0,18})(-?)(\d{0,18})", str(value), re.ASCII)
        if found is None or not (found[1] or found[3]):
            self.fail("expected FIRST-LAST, such as 411-520, 411- or 411", param, ctx)
        first = int(found[1]) if found[1] else None
        last = int(found[3]) if found[3] else None if found[2] else first
        if first is not None and last is not None and first > last:
            self.fail("the first offset lies behind the last", param, ctx)
        return first, last


@click.command("audit", short_help="Account for every record: lost, double, waiting, gone.")
@usecase_argument
@click.option("--since", type=Time(), metavar="TIME", help="Records from this timestamp on.")
@click.option("--until", type=Time(), metavar="TIME", help="Records before this timestamp.")
@click.option(
    "--partition",
    "partitions",
    type=_Partition(),
    multiple=True,
    metavar="TOPIC:N",
    help="Only this partition; may be given several times.",
)
@click.option(
    "--offsets",
    type=_Offsets(),
    metavar="FIRST-LAST",
    help="Only these offsets of the one partition named; either end may be left out.",
)
@click.option(
    "--recompute", is_flag=True, help="Also compute the states anew from the log, and compare."
)
@click.option(
    "--exactly-once/--at-least-once",
    default=None,
    help="Whether more than one outcome of a record is a failure. Default: by the setting delivery.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with every range.")
def command(
    usecase: str | None,
    since: float | None,
    until: float | None,
    partitions: tuple[PartitionId, ...],
    offsets: tuple[int | None, int | None] | None,
    recompute: bool,
    exactly_once: bool | None,
    as_json: bool,
) -> None:
    """Account for every record of the event topics: what became of each.

    Predicted once, dead-lettered once, state only, waiting, more than once, gone by retention, or
    missing. Times are those of the records, RFC 3339 with an offset. Workers may go on meanwhile.

    \b
    Example:
      stream-app audit features.flights:usecase
      stream-app audit --since 2026-03-01T08:00:00Z --until 2026-03-01T09:00:00Z
      stream-app audit --partition flights.boarding:5 --offsets 411-520 --json

    Exit status: 0 if all is accounted for; 1 if something is missing, an output is wrong, a log was
    cut off, a recomputed state differs, or --exactly-once is broken; 2 for wrong usage, or what
    cannot be proven, because outputs are compacted or removed, or no state can be compared; 3 if
    Kafka or Redis does not answer.
    """
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be earlier than --until.")
    if offsets is not None and len(set(partitions)) != 1:
        raise click.UsageError("--offsets needs exactly one --partition.")
    first, last = offsets or (None, None)
    scope = Scope(since, until, frozenset(partitions), first, last)
    settings = settings_of_command(usecase)
    chosen = chosen_usecase(settings)
    name_application(settings.application or chosen.name)
    if exactly_once is None:
        exactly_once = settings.delivery == "exactly_once"
    try:
        with Bar() as bar:
            report = audit(
                settings,
                chosen,
                scope,
                recompute_state=recompute,
                doubles_fail=exactly_once,
                progress=bar,
            )
    except ServiceAwayError as error:
        away = click.ClickException(str(error))
        away.exit_code = _AWAY
        raise away from None
    _show(report, as_json)
    sys.exit(report.exit_status)


def _show(report: Report, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report.as_json()))
    else:
        for line in lines(report):
            click.echo(line)
