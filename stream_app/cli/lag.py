"""``stream-app lag``: how far consumer groups are behind, seen from outside."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import click

from stream_app.cli.common import chosen_usecase, settings_of_command
from stream_app.config.settings import Settings

if TYPE_CHECKING:
    from stream_app.lag.watch import PartitionLag, Sight, Watch

__all__ = ["command"]

_HEADINGS: Final = (
    "topic", "partition", "committed", "end", "records", "seconds", "drained in", "verdict", "member",
)  # fmt: skip
_CLEAR: Final = "\x1b[H\x1b[2J"
_Answer = TypeVar("_Answer")

_STARTING_SECONDS: Final = 15.0
_TOLD_SECONDS: Final = 10.0
_AGAIN_SECONDS: Final = 0.5
_SERVICE_REQUEST_SECONDS: Final = 5.0
_LAST_PORT: Final = 65_535
_ADDRESS: Final = "127.0.0.1"


@click.command("lag", short_help="How far a consumer group is behind, seen from outside.")
@click.argument("groups", metavar="[GROUP]...", nargs=-1)
@click.option("--topic", "topics", multiple=True, help="This topic alone; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Also partitions with nothing waiting.")
@click.option("--watch", is_flag=True, help="Again and again, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="A JSON document a group, on a line.")
@click.option(
    "--serve",
    metavar="[HOST:]PORT",
    help="Serve the figures to Prometheus, and as a page for people.",
)
@click.option(
    "--interval", type=click.FloatRange(0.1), default=5.0, show_default=True, metavar="SECONDS",
    help="Between two looks.",
)  # fmt: skip
@click.option(
    "--looks", type=click.IntRange(1), metavar="N",
    help="Looks before the figures are printed; 10 decide every verdict.",
)  # fmt: skip
def command(
    groups: tuple[str, ...],
    topics: tuple[str, ...],
    everything: bool,
    watch: bool,
    as_json: bool,
    serve: str | None,
    interval: float,
    looks: int | None,
) -> None:
    """Ask the brokers how far consumer groups are behind: any group, whoever its members are; without
    GROUP the application's own. Nothing is written, and no group is joined.

    `records` are those that are not committed; markers of transactions are none. A ~ says that a part of
    them was read and the rest is estimated from it. `seconds` is the age of the oldest one. A partition that
    the group has committed nothing of counts from where its log begins.

    The verdict is Burrow's: ok, warning (gets on and falls behind), stall (a member holds it and does
    not get on), stop (nobody holds it), rewind (set back); undecided before ten looks; and flood: the flood
    breaker has stopped it, and `stream-app resume` says what can be done.

    \b
    Example:
      stream-app lag
      stream-app lag flights --watch
      stream-app lag --json --looks 10 --interval 1
      stream-app lag flights billing --serve 0.0.0.0:9309

    Exit status: 0; 2 for a group or topic that is unknown; 3 where Kafka does not answer. With --serve it
    waits for Kafka instead, and says so, in its log and on its page.
    """
    from stream_app.kafka.errors import asked_by_command

    settings = settings_of_command()
    show = _show_json if as_json else partial(_show_tables, everything=everything)
    names = groups or (settings.application or chosen_usecase(settings).name,)
    with ExitStack() as stack, asked_by_command():
        if serve is not None:
            _serve(stack, settings, names, topics, serve, interval)
            return
        watches = [_watch(stack, settings, name, topics) for name in names]
        if watch:
            _show_again_and_again(watches, interval, show)
        else:
            for number in range(looks or 2):
                time.sleep(min(interval, 1.0) if looks is None else interval) if number else None
                for each in watches:
                    each.look()
            show(watches)


def _watch(
    stack: ExitStack,
    settings: Settings,
    group: str,
    topics: Sequence[str],
    sight: Sight | None = None,
) -> Watch:
    """What looks at a group, which was looked at. `sight`: of a service, which waits for Kafka."""
    from contextlib import closing

    from stream_app.errors import ConfigurationError
    from stream_app.kafka.brokers import open_brokers
    from stream_app.lag.group import Group
    from stream_app.lag.waiting_records import WaitingRecords
    from stream_app.lag.watch import Watch

    # Whoever looks at a service's figures wants them as soon as there are any.
    away, starting = (0.0, _STARTING_SECONDS) if sight is None else (math.inf, math.inf)
    brokers = stack.enter_context(
        closing(_patiently(partial(open_brokers, settings, group, settled=False), away, sight))
    )
    if sight is not None:
        # A service asks again, so a request that hangs is no reason to know nothing for long.
        brokers = brokers.within(_SERVICE_REQUEST_SECONDS)
    if topics:
        _patiently(partial(brokers.topics, topics), away, sight)  # raises for one that is unknown
    reader = stack.enter_context(closing(brokers.log_reader()))
    found = Watch(Group(brokers, group, topics), WaitingRecords(reader), sight=sight)
    # A cluster that was just started has no coordinator for groups yet.
    if not _patiently(found.look, starting, sight).lags:
        raise ConfigurationError(
            f"group {group} is unknown: it has no members and has committed no offset"
        )
    return found


def _patiently(ask: Callable[[], _Answer], seconds: float, sight: Sight | None) -> _Answer:
    """What Kafka answers; while it is away it is asked again, for so many seconds, and the wait is told."""
    from stream_app.errors import RefusedError, ServiceAwayError

    began = told = time.monotonic()
    while True:
        try:
            return ask()
        except ServiceAwayError as error:
            now = time.monotonic()
            if now - began > seconds:
                raise
            if sight is not None:
                sight.not_seen(error)
            if now - told >= _TOLD_SECONDS:
                told = now
                # To look for a Kafka that is down is no use where one answers.
                what = "Kafka refuses" if isinstance(error, RefusedError) else "waiting for Kafka"
                click.echo(f"{what}, for {now - began:.0f} s so far: {error}", err=True)
            time.sleep(_AGAIN_SECONDS)


def _serve(
    stack: ExitStack,
    settings: Settings,
    groups: Sequence[str],
    topics: Sequence[str],
    address: str,
    interval: float,
) -> None:
    from prometheus_client import CollectorRegistry

    from stream_app.lag.exporter import GroupLagCollector
    from stream_app.lag.fleet_status import FleetStatus
    from stream_app.lag.watch import Sight, Watching
    from stream_app.status_page.routes import status_routes
    from stream_app.status_page.sampling import Sampler
    from stream_app.telemetry.http_routes import metrics_route
    from stream_app.telemetry.http_server import HttpServer

    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port) > _LAST_PORT:
        raise click.UsageError(f"--serve: expected [HOST:]PORT, not {address}")
    sights = [Sight(group) for group in groups]
    registry = CollectorRegistry()
    registry.register(GroupLagCollector(sights))
    status = FleetStatus(sights)
    routes = [metrics_route(registry), *status_routes(status.document)]
    # Before Kafka is asked: whoever looks is told that it is waited for, and a port that is taken is told now.
    with HttpServer(host.strip("[]") or _ADDRESS, int(port), routes, "--serve") as server:
        click.echo(f"http://{host or _ADDRESS}:{server.port}/metrics", err=True)
        click.echo(f"http://{host or _ADDRESS}:{server.port}/ for people", err=True)
        sampler = Sampler(status.sample)
        sampler.start()
        watching = None
        try:
            watches = [
                _watch(stack, settings, sight.group, topics, sight=sight) for sight in sights
            ]
            watching = Watching(watches, interval)
            watching.start()
            watching.wait()
        except KeyboardInterrupt:
            if watching is not None:
                watching.stop()
            sampler.stop()


def _show_again_and_again(
    watches: list[Watch], interval: float, show: Callable[[list[Watch]], None]
) -> None:
    from stream_app.errors import ServiceAwayError

    away = ""
    try:
        while True:
            if show is not _show_json:
                click.echo(_CLEAR, nl=False)
            show(watches)
            if away:
                click.echo(away, err=True)
            time.sleep(interval)
            away = ""
            for each in watches:
                try:
                    each.look()
                except ServiceAwayError as error:
                    # The figures stand, and the lag in seconds grows on.
                    age = time.time() - each.known.at
                    away = f"{each.group}: Kafka has not answered for {age:.0f} s: {error}"
    except KeyboardInterrupt:
        return


def _show_json(watches: list[Watch]) -> None:
    now = time.time()
    for watch in watches:
        partitions = [lag.as_json(now) for lag in watch.known.lags]
        click.echo(json.dumps({"group": watch.group, "partitions": partitions}))


def _show_tables(watches: list[Watch], *, everything: bool) -> None:
    for watch in watches:
        click.echo(_table(watch.group, watch.known.lags, time.time(), everything=everything))


def _table(group: str, lags: Sequence[PartitionLag], now: float, *, everything: bool) -> str:
    shown = [lag for lag in lags if everything or lag.waiting.records or lag.verdict.is_bad]
    rows = [_HEADINGS, *(_row(lag, now) for lag in shown)] if shown else []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    text = [0, len(_HEADINGS) - 2, len(_HEADINGS) - 1]
    lines = [
        "  ".join(
            cell.ljust(width) if place in text else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    records = sum(lag.waiting.records for lag in lags)
    oldest = max((lag.seconds(now) or 0.0 for lag in lags), default=0.0)
    members = len({lag.standing.member for lag in lags} - {None})
    hidden = len(lags) - len(shown)
    stopped = [lag for lag in lags if lag.verdict.value == "flood"]
    return "\n".join(
        [
            f"group {group}: {records:,} records, {oldest:,.1f} s behind; members: {members}",
            *lines,
            *(
                f"{lag.partition} was stopped by the flood breaker: see stream-app resume"
                for lag in stopped
            ),
            *([f"{hidden} partitions with nothing waiting (--all)"] if hidden else []),
        ]
    )


def _row(lag: PartitionLag, now: float) -> tuple[str, ...]:
    standing, seconds, drain = lag.standing, lag.seconds(now), lag.drain_seconds
    return (
        lag.partition.topic,
        str(lag.partition.number),
        "-" if standing.committed is None else str(standing.committed),
        str(standing.end),
        f"{'' if lag.waiting.is_exact else '~'}{lag.waiting.records}",
        "-" if seconds is None else f"{seconds:.1f}",
        "-" if drain is None else f"{drain:.0f} s",
        lag.verdict.value,
        "-" if standing.member is None else str(standing.member),
    )
