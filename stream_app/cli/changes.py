"""``stream-app changes``: what served and what was refused over the last hours."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import closing

import click

from stream_app.cli.common import chosen_usecase, settings_of_command, usecase_argument
from stream_app.cli.dlq.options import Age
from stream_app.text.foreign import bounded

__all__ = ["command"]

_NAME = 44


@click.command("changes", short_help="What served and what was refused, over the last hours.")
@usecase_argument
@click.option("--newer-than", type=Age(), default="1h", show_default=True, metavar="AGE", help="How far back: 90s, 15m, 2h, 3d.")  # fmt: skip
@click.option("--slices", type=click.IntRange(2, 100), default=12, show_default=True, help="Into so many parts the time is cut.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="A JSON object a slice, on a line.")
def command(usecase: str | None, newer_than: float, slices: int, as_json: bool) -> None:
    """Tell what a deployment changed: which model version served when and for what reason a fallback did,
    and how many records were refused, by which version of the code and why.

    It is read from the topics of predictions and of dead letters alone. Of each slice and partition the first
    records are read; counts are by offsets, markers of transactions among them. Times are those at which the
    records were written, or where the topic has other timestamps, these. No group is joined.

    \b
    Example:
      stream-app changes features.flights:usecase
      stream-app changes --newer-than 15m --slices 15

    Exit status: 0; 2 for wrong usage or a topic that is missing; 3 where Kafka does not answer.
    """
    from stream_app.audit.over_time import changes, over_time
    from stream_app.kafka.brokers import open_brokers
    from stream_app.kafka.errors import asked_by_command

    settings = settings_of_command(usecase)
    chosen = chosen_usecase(settings)
    now = time.time()
    times = [now - newer_than * (slices - number) / slices for number in range(slices + 1)]
    # What was written while this command began belongs to the last slice.
    times[-1] = now + 60.0
    with asked_by_command(), closing(open_brokers(settings, settings.application or chosen.name)) as brokers:  # fmt: skip
        found = over_time(brokers, chosen.predictions_topic, chosen.dead_letters_topic, times)
    if as_json:
        for each in found:
            click.echo(json.dumps(each.as_json()))
        return
    click.echo(f"{'from':<9}{'predictions':>12}  {'served by':<{_NAME}}{'letters':>9}  of code, most of them for")  # fmt: skip
    begins = next((n for n, each in enumerate(found) if each.predictions or each.letters), 0)
    if begins == 1:
        begins = 0  # one line says no more than another
    if begins:
        click.echo(
            f"{_clock(found[0].since):<9}{0:>12}  nothing yet, until {_clock(found[begins].since)}"
        )
    for each in found[begins:]:
        letters = f"{_most(each.code)}, {_most(each.reasons)}" if each.reasons else ""
        line = f"{_clock(each.since):<9}{each.predictions:>12,}  {bounded(_shares(each.served), _NAME):<{_NAME}}{each.letters:>9,}  {bounded(letters, _NAME)}"  # fmt: skip
        click.echo(line.rstrip())
    click.echo("")
    told = list(changes(found))
    for change in told:
        click.echo(f"{_clock(change.at)}  {bounded(change.what, 120)}")
    if not told:
        click.echo("the same all the time")


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def _shares(served: Counter[str]) -> str:
    total = served.total()
    if len(served) == 1:
        return next(iter(served))
    return ", ".join(f"{name} {count / total:.0%}" for name, count in served.most_common())


def _most(counter: Counter[str]) -> str:
    return counter.most_common(1)[0][0] if counter else ""
