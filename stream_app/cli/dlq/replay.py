"""``stream-app dlq replay``: letters' records sent once more, once."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from stream_app.cli.common import usecase_argument
from stream_app.cli.dlq.options import (
    as_json_option,
    by_option,
    filters,
    letters,
    limit_option,
    note_option,
    office,
    selection_of,
)
from stream_app.dead_letters.mending import load_mend
from stream_app.errors import ConfigurationError
from stream_app.text.foreign import bounded

if TYPE_CHECKING:
    from stream_app.dead_letters.office import Office
    from stream_app.dead_letters.replaying import ReplayReport

__all__ = ["Target", "check_secret", "lines", "replay", "show_report", "the_rest"]

_LEFT = 1


class Target(click.ParamType):
    """TOPIC, or TOPIC:PARTITION."""

    name = "target"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int | None]:
        """Read it."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"([\w.-]{1,249})(?::(\d{1,6}))?", str(value), re.ASCII)
        if found is None:
            self.fail("expected TOPIC or TOPIC:PARTITION", param, ctx)
        return found[1], None if found[2] is None else int(found[2])


_THE_REST = (
    click.option("--to", "target", type=Target(), metavar="TOPIC[:PARTITION]",
                 help="Another event topic or partition than the one each record came from."),
    click.option("--rate", type=click.FloatRange(0.1), metavar="N", help="Records a second at most."),
    click.option("--max-attempts", type=click.IntRange(1), default=3, show_default=True, metavar="N",
                 help="An event that has failed so often is not replayed."),
    click.option("--untried", is_flag=True,
                 help="Do not try letters first: also those are sent that would fail again."),
    by_option("Who replays"),
    note_option,
    click.option("--yes", "does_it", is_flag=True, help="Do it. Without it nothing is sent."),
)  # fmt: skip


def the_rest(function: Any) -> Any:
    """Give a command the options that say how records are replayed."""
    for option in reversed(_THE_REST):
        function = option(function)
    return function


@click.command("replay", short_help="Send records once more; says first what would come of it.")
@usecase_argument
@filters
@click.option(
    "--everything", is_flag=True, help="Every open letter; needed where no filter is given."
)
@click.option("--all", "all_", is_flag=True, help="Name those that are dealt with, too.")
@limit_option
@click.option(
    "--with", "fix", metavar="MODULE:FUNCTION", help="Map each payload: bytes in, bytes out."
)
@the_rest
@as_json_option
def replay(
    usecase: str | None,
    everything: bool,
    all_: bool,
    limit: int | None,
    fix: str | None,
    target: tuple[str, int | None] | None,
    rate: float | None,
    max_attempts: int,
    untried: bool,
    by: str,
    note: str,
    does_it: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Send the records of open letters once more, the oldest first; without --yes, say what would be.

    Each is tried first, by the worker's own predictor over the state as it is, and stays where it is
    if it would fail again. Key, value and headers are as they came, but for a payload that --with
    maps. Record and mark go in one transaction: a reader of committed records sees each letter replayed
    once, also if this is killed half way and run again, and if two people do it at once.

    \b
    Example:
      stream-app dlq replay features.flights:usecase --reason feature-error
      stream-app dlq replay --reason missing-field --with fixes:add_carrier --yes
      stream-app dlq replay --everything --rate 500 --yes --note "carrier service is back"

    Exit status: 0 if every selected letter is replayed, or would be; 1 if some are left, for reasons
    that are told, or somebody else took over; 2 for wrong usage; 3 if Kafka does not answer.
    """
    from stream_app.cli.dlq.isolated import isolated_attempt
    from stream_app.dead_letters.replaying import ReplayOptions
    from stream_app.dead_letters.replaying import replay as replay_letters

    selection = selection_of(chosen)
    if selection.is_everything and not everything:
        raise click.UsageError(
            "no filter is given, so every open letter would be replayed: say --everything if that is "
            "meant."
        )
    mend = None if fix is None else load_mend(fix)
    with office(usecase) as opened, isolated_attempt(opened.settings) as attempt:
        check_secret(opened)
        report = replay_letters(
            opened,
            selection,
            ReplayOptions(
                does_it=does_it,
                is_tried=not untried,
                open_only=not all_,
                limit=limit,
                rate=rate,
                max_attempts=max_attempts,
                target=target,
                mend=mend,
                attempt=attempt,
                by=by,
                note=note,
            ),
        )
    show_report(report, as_json=as_json)


def check_secret(opened: Office) -> None:
    """Raise `ConfigurationError` where nothing that is sent would be believed to be a replay."""
    if opened.settings.replay_secret is None:
        raise ConfigurationError(
            "replay_secret is not set, so no worker would believe that a record is a replay: give "
            "workers, audit and whoever replays the same one (docs/delivery.md, Replays)"
        )


def show_report(report: ReplayReport, *, as_json: bool) -> None:
    """Print a report, and end with its status."""
    if as_json:
        click.echo(json.dumps(report.as_json()))
    else:
        for line in lines(report):
            click.echo(line)
    sys.exit(_LEFT if report.left else 0)


def lines(report: ReplayReport) -> Iterator[str]:
    """A report as a person reads it."""
    for change in report.mended:
        yield f"letter {change.place}"
        yield from (f"  {line}" for line in change.lines())
        yield ""
    verb = "replayed" if report.is_done else "would be replayed"
    yield f"{letters(report.selected)} selected, {report.replayed:,} {verb}, {report.left:,} left"
    for target, count in sorted(report.targets.items()):
        if count:
            yield f"  {count:>9,} to {target}"
    for obstacle, count in report.obstacles.most_common():
        yield f"  {count:>9,} left: {obstacle}"
        for place, detail in report.examples[obstacle]:
            yield f"            {place}{f'  {bounded(detail, 500)}' if detail else ''}"
    if report.only_decoded:
        yield f"Only decoding was tried, for the rest could not be: {bounded(report.only_decoded, 500)}"
    if not report.is_done:
        yield "Nothing was sent. --yes does it."
