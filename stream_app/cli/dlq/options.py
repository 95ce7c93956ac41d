"""What the commands about dead letters share: filters, and how one begins."""

from __future__ import annotations

import getpass
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from stream_app.cli.bar import Bar
from stream_app.cli.common import chosen_usecase, settings_of_command
from stream_app.cli.times import Time
from stream_app.cli.words import Words
from stream_app.dead_letters.office import Office, open_office
from stream_app.dead_letters.selection import Selection
from stream_app.dead_letters.transactions import ShutOutError
from stream_app.telemetry.logs import name_application

__all__ = [
    "Place",
    "as_json_option",
    "by_option",
    "filters",
    "letters",
    "limit_option",
    "note_option",
    "office",
    "selection_of",
]

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Age(click.ParamType):
    """A number with s, m, h or d behind it; seconds in Python."""

    name = "age"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read it."""
        found = re.fullmatch(r"(\d{1,9})([smhd])", str(value), re.ASCII)
        if found is None:
            self.fail("expected an age such as 90s, 15m, 2h or 3d", param, ctx)
        return float(found[1]) * _UNITS[found[2]]


class Place(click.ParamType):
    """PARTITION:OFFSET of a letter."""

    name = "place"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Read it."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d{1,9}):(\d{1,18})", str(value), re.ASCII)
        if found is None:
            self.fail("expected PARTITION:OFFSET as `stream-app dlq ls` prints it", param, ctx)
        return int(found[1]), int(found[2])


_FILTERS: Final = (
    click.option("--reason", "reasons", multiple=True, help="Of this reason; several times: any."),
    click.option("--stage", "stages", multiple=True, help="Failed at this stage."),
    click.option("--topic", "topics", multiple=True, help="Of events of this topic."),
    click.option(
        "--disposition", "dispositions", multiple=True, type=click.Choice(("poison", "bug")),
        help="poison: the record is to blame; bug: code is.",
    ),
    click.option("--key", help="Whose key is this text."),
    click.option("--contains", metavar="TEXT", help="Whose value or message holds this text."),
    click.option("--since", type=Time(), metavar="TIME", help="Written at this time or later."),
    click.option("--until", type=Time(), metavar="TIME", help="Written before this time."),
    click.option("--newer-than", type=Age(), metavar="AGE", help="As --since: 90s, 15m, 2h, 3d."),
    click.option("--older-than", type=Age(), metavar="AGE", help="As --until: 90s, 15m, 2h, 3d."),
    click.option(
        "--letter", "places", type=Place(), multiple=True, metavar="P:O",
        help="This letter; may be given several times.",
    ),
)  # fmt: skip

as_json_option = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
limit_option = click.option("--limit", type=click.IntRange(1), metavar="N", help="So many at most.")


def filters(function: Any) -> Any:
    """Give a command the options that choose letters; it gets them as **chosen."""
    for option in reversed(_FILTERS):
        function = option(function)
    return function


def selection_of(chosen: dict[str, Any]) -> Selection:
    """The letters that a command's filters choose."""
    since = _one_of(chosen, "since", "newer_than")
    until = _one_of(chosen, "until", "older_than")
    if since is not None and until is not None and since >= until:
        raise click.UsageError("no time is both at or after the one and before the other.")
    return Selection(
        reasons=frozenset(chosen["reasons"]),
        stages=frozenset(chosen["stages"]),
        topics=frozenset(chosen["topics"]),
        dispositions=frozenset(chosen["dispositions"]),
        places=frozenset(chosen["places"]) or None,
        key=_bytes(chosen["key"]),
        contains=_bytes(chosen["contains"]),
        since=since,
        until=until,
    )


@contextmanager
def office(usecase: str | None) -> Iterator[Office]:
    """The dead-letter office of the use case that a command is given, with a bar on a terminal."""
    settings = settings_of_command(usecase)
    chosen = chosen_usecase(settings)
    name_application(settings.application or chosen.name)
    try:
        with Bar() as bar, open_office(settings, chosen, bar) as opened:
            yield opened
    except ShutOutError as error:
        raise click.ClickException(str(error)) from None


def letters(count: int) -> str:
    """So many letters, in words."""
    return f"{count:,} letter{'' if count == 1 else 's'}"


def by_option(does: str) -> Callable[[Any], Any]:
    """--by; `does`: what that person does, as the help begins: "Who says so"."""
    return click.option(
        "--by", type=Words(200), default=_who, metavar="NAME", help=f"{does}. Default: the user."
    )


note_option = click.option(
    "--note",
    type=Words(500),
    default="",
    metavar="TEXT",
    help="Why, for whoever looks at it later.",
)


def _who() -> str:
    """Who gives the command, as a resolution says it."""
    try:
        return os.environ.get("STREAM_APP_OPERATOR") or getpass.getuser()
    except (OSError, KeyError):
        return ""


def _one_of(chosen: dict[str, Any], time_name: str, age_name: str) -> float | None:
    at: float | None = chosen[time_name]
    age: float | None = chosen[age_name]
    if at is not None and age is not None:
        names = [f"--{name.replace('_', '-')}" for name in (time_name, age_name)]
        raise click.UsageError(f"{names[0]} and {names[1]} say the same: give one of them.")
    return at if age is None else time.time() - age


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")
