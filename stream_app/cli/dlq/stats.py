"""``stream-app dlq stats``: how many dead letters there are of what."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from typing import Any

import click

from stream_app.cli.common import usecase_argument
from stream_app.cli.dlq.options import as_json_option, filters, letters, office, selection_of
from stream_app.dead_letters.statistics import statistics
from stream_app.text.foreign import bounded

__all__ = ["stats"]

_SHOWN = 12
_NAME = 32


@click.command("stats", short_help="How many there are, of what, since when.")
@usecase_argument
@filters
@click.option("--all", "everything", is_flag=True, help="Also those that are dealt with.")
@as_json_option
def stats(usecase: str | None, everything: bool, as_json: bool, **chosen: Any) -> None:
    """Count open dead letters by topic, stage, reason, disposition, hour and producer.

    A producer is who a header of the event names: producer, producer-version or ce_source.

    \b
    Example:
      stream-app dlq stats features.flights:usecase
      stream-app dlq stats --newer-than 1d --json

    Exit status: 0, also where there is none; 2 for wrong usage; 3 if Kafka does not answer.
    """
    selection = selection_of(chosen)
    with office(usecase) as opened:
        of = None if everything else opened.resolutions()
        found = statistics(opened.select(selection, opened.ranges(selection), of=of))
    total = found["topic"].total()
    if as_json:
        click.echo(json.dumps({"letters": total, **{f"by_{n}": c for n, c in found.items()}}))
        return
    click.echo(f"{letters(total)}{'' if everything else ', open'}")
    for name, counter in found.items():
        for line in _chart(name, counter):
            click.echo(line)


def _chart(name: str, counter: Counter[str]) -> Iterator[str]:
    """A kind of count, as bars: hours in their order, all else the most first."""
    if not counter:
        return
    yield ""
    yield f"by {name}"
    most = counter.most_common()
    shown = sorted(counter.items())[-_SHOWN:] if name == "hour" else most[:_SHOWN]
    highest = max(count for _, count in shown)
    digits = len(f"{highest:,}")
    columns = shutil.get_terminal_size().columns
    width = min(_NAME, max(12, columns // 2 - 4))
    room = max(4, min(60, columns - width - digits - 6))
    for value, count in shown:
        bar = "#" * max(1, round(room * count / highest))
        name = bounded(value or "(none)", _NAME)[:width]
        yield f"  {name:<{width}} {count:>{digits},} {bar}"
    if len(counter) > len(shown):
        left = counter.total() - sum(count for _, count in shown)
        yield f"  and {len(counter) - len(shown):,} more, {left:,} letters"
