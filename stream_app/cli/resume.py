"""``stream-app resume``: partitions that the flood breaker has stopped, and how they go on."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Any, Final

import click

from stream_app.cli.common import chosen_usecase, settings_of_command, usecase_argument
from stream_app.cli.dlq.options import as_json_option, by_option, note_option
from stream_app.flood.standing import Standing, find_standing, resume, wait_until_heard
from stream_app.kafka.brokers import open_brokers
from stream_app.kafka.errors import asked_by_command
from stream_app.records.places import PartitionId
from stream_app.text.moments import rfc3339

__all__ = ["command"]

_LEFT = 1
_LOOK_SECONDS: Final = 5.0
"""A look that is not answered must not take the whole wait."""


class _Partition(click.ParamType):
    """TOPIC:NUMBER."""

    name = "partition"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> PartitionId:
        """Read it."""
        if isinstance(value, PartitionId):
            return value
        found = re.fullmatch(r"([A-Za-z0-9._-]{1,249}):(\d{1,9})", str(value), re.ASCII)
        if found is None:
            self.fail("expected TOPIC:NUMBER, such as orders:3", param, ctx)
        return PartitionId(found[1], int(found[2]))


@click.command("resume", short_help="Partitions that too many refused records have stopped.")
@usecase_argument
@click.option(
    "--partition", "partitions", type=_Partition(), multiple=True, metavar="TOPIC:NUMBER",
    help="Let this one go on; may be given several times.",
)  # fmt: skip
@click.option("--all", "all_of_them", is_flag=True, help="Let all that are stopped go on.")
@by_option("Who says so")
@note_option
@click.option(
    "--wait", "seconds", type=click.FloatRange(0.0, 3_600.0), default=30.0, show_default=True,
    help="Seconds to wait until workers go on.",
)  # fmt: skip
@click.option("--yes", "does_it", is_flag=True, help="Do it. Without it nothing is written.")
@as_json_option
def command(
    usecase: str | None,
    *,
    partitions: tuple[PartitionId, ...],
    all_of_them: bool,
    by: str,
    note: str,
    seconds: float,
    does_it: bool,
    as_json: bool,
) -> int:
    """Tell which partitions are stopped because too many of their records were refused.

    With --partition or --all, and --yes, let them go on: what is refused of the records that wait there
    now becomes dead letters, `flood_letters_per_second` a second, and what comes behind them is judged as
    usual. A partition goes on by itself where the code or the producer was mended, so this is for a bad
    run that nobody mends. It is said in the topic of resolutions, on which an operator needs Write, and
    which workers read.

    \b
    Example:
      stream-app resume features.flights:usecase
      stream-app resume features.flights:usecase --partition flights.boarding:3 --yes

    Exit status: 0 when done; 1 where one that was named is not stopped, or no worker has heard within
    --wait; 2 for a mistake of the caller, a missing right among them; 3 where Kafka does not answer.
    """
    settings = settings_of_command(usecase)
    chosen = chosen_usecase(settings)
    application = settings.application or chosen.name
    if partitions and all_of_them:
        raise click.UsageError("--partition and --all: give one of them.")
    if does_it and not (partitions or all_of_them):
        raise click.UsageError("say which, by --partition TOPIC:NUMBER, or --all.")
    with asked_by_command(), closing(open_brokers(settings, application, settled=False)) as brokers:
        look = partial(find_standing, brokers, chosen)
        standing = look()
        stopped = {each.partition: each for each in standing if each.is_stopped}
        absent = [each for each in partitions if each not in stopped]
        wanted = list(stopped.values()) if all_of_them else [
            stopped[each] for each in dict.fromkeys(partitions) if each in stopped
        ]  # fmt: skip
        unheard: Sequence[Standing] = []
        if does_it and wanted:
            resume(settings, chosen, application, brokers, wanted, by=by, note=note)
            look = partial(find_standing, brokers.within(_LOOK_SECONDS), chosen)
            unheard = wait_until_heard(look, wanted, seconds)
    if as_json:
        click.echo(json.dumps(_as_json(standing, wanted, absent, unheard, does_it=does_it)))
    else:
        _tell(standing, wanted, absent, unheard, does_it=does_it)
    return _LEFT if absent or unheard else 0


def _as_json(
    standing: Sequence[Standing],
    wanted: Sequence[Standing],
    absent: Sequence[PartitionId],
    unheard: Sequence[Standing],
    *,
    does_it: bool,
) -> dict[str, Any]:
    return {
        "partitions": [
            {
                "topic": each.partition.topic,
                "partition": each.partition.number,
                "state": each.note.kind,
                "offset": each.note.offset,
                "end": each.end,
                "since": rfc3339(float(each.note.since)),
            }
            for each in standing
        ],
        "done": does_it,
        "resumed" if does_it else "would_be_resumed": [
            str(each.partition) for each in wanted if each not in unheard
        ],
        "not_stopped": [str(each) for each in absent],
        "not_heard": [str(each.partition) for each in unheard],
    }


def _tell(
    standing: Sequence[Standing],
    wanted: Sequence[Standing],
    absent: Sequence[PartitionId],
    unheard: Sequence[Standing],
    *,
    does_it: bool,
) -> None:
    if not (wanted or absent):
        for each in standing:
            click.echo(_line(each))
        if not standing:
            click.echo("No partition is stopped.")
    for each in wanted:
        if each in unheard:
            click.echo(
                f"{each.partition}: no worker has gone on yet. One that holds it does within seconds of "
                "reading the topic of resolutions, for which it needs Read: look at its log"
            )
        else:
            click.echo(
                f"{each.partition} {'goes' if does_it else 'would go'} on at offset "
                f"{each.note.offset}; what is refused before {each.end} becomes dead letters"
            )
    others = {each.partition: each for each in standing if not each.is_stopped}
    for partition in absent:
        click.echo(
            _line(others[partition]) if partition in others else f"{partition} is not stopped"
        )
    if wanted and not does_it:
        click.echo("Nothing was written. --yes does it.")


def _line(each: Standing) -> str:
    since = rfc3339(float(each.note.since))
    if each.is_stopped:
        return (
            f"{each.partition}  stopped at offset {each.note.offset} since {since}, "
            f"{each.waiting:,} waiting"
        )
    return (
        f"{each.partition}  was stopped at {since}; its bad run is dead-lettered up to offset "
        f"{each.note.offset}"
    )
