"""A round: workers under faults, then the reckoning."""

import logging
import re
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from confluent_kafka import KafkaException

from stream_app.config.settings import Settings
from stream_app.errors import ServiceAwayError
from tests.chaos.conditions import CONDITIONS, configure
from tests.chaos.exits import judge_exits
from tests.chaos.faults import CATALOGUE, Context, Fault
from tests.chaos.history import History
from tests.chaos.open_transactions import open_transactions
from tests.chaos.reckoning import Reckoning, judge_audit, reckon
from tests.chaos.results import Result, commit
from tests.chaos.schedule import Schedule
from tests.chaos.services import Services
from tests.chaos.settled import settled
from tests.chaos.skipped_markers import skipped
from tests.chaos.traffic import Traffic
from tests.chaos.workers import Workers
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, eventually
from tests.usecases import chaos_meters

__all__ = [
    "MODES", "Outcome", "StuckError", "UnplayedError", "available_faults", "available_modes",
    "play", "strike_all",
]  # fmt: skip

log = logging.getLogger(__name__)

T = TypeVar("T")

MODES = ("at_least_once", "exactly_once")

_SESSION_SECONDS = 2.0
_BEGIN_SECONDS = 120.0
_DRAIN_SECONDS = 180.0
_LOOK_SECONDS = 0.2
_MOST_EXITS = 25
"""More ends than a round has faults: they do not come of those any more."""
_MIB = 1024 * 1024
_LINES = 5_000
"""Of a broker's log, which goes on from round to round."""
_UNDECIDED = "no transaction is open"
_OPEN = re.compile(r"([\w.-]+-\d+): of producer \d+, epoch \d+, since offset \d+")
_KEPT = 400
"""Characters of a problem that the results keep."""

MOST_MEMORY_BYTES = 900 * _MIB
"""What a worker may hold at once, whatever its records are."""


def available_modes() -> tuple[str, ...]:
    """Delivery modes that this version of the worker has."""
    return MODES if "delivery" in Settings.model_fields else MODES[:1]


def available_faults() -> list[str]:
    """Kinds of faults and conditions that this machine can bring about."""
    lacking = {kind: fault.lacks() for kind, fault in CATALOGUE.items()}
    for kind, reason in lacking.items():
        if reason:
            log.warning("%s is left out: %s", kind, reason)
    return [*(kind for kind, reason in lacking.items() if not reason), *CONDITIONS]


@dataclass(frozen=True)
class Outcome:
    """How a round ended."""

    result: Result
    problems: tuple[str, ...]
    """Why it failed; empty: it did not."""
    exits: tuple[str, ...]
    """How workers ended that nobody had ended, with the last lines of their logs."""
    logs: Mapping[str, str]
    """What workers and brokers wrote, by their names."""


class UnplayedError(Exception):
    """A round came to no verdict; nobody knows what its services are like. Its cause is chained."""

    def __init__(self, problems: Sequence[str], workers: Workers, logs: Mapping[str, str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)
        self.exits = tuple(map(str, workers.exits))
        self.logs = logs

    @property
    def is_brokers_fault(self) -> bool:
        """Whether a broker left a transaction open, and nothing but that was wrong."""
        open_, others = [], []
        for problem in self.problems:
            found = _OPEN.findall(problem) if _UNDECIDED in problem else []
            open_ += found
            if not found and "a transaction is open there" not in problem:
                others.append(problem)
        broker_logs = [text for name, text in self.logs.items() if name.startswith("broker")]
        return not others and skipped(open_, broker_logs)


class StuckError(Exception):
    """A fault does not come to the end of its beginning, or of its healing."""


def play(schedule: Schedule, mode: str, services: Services) -> Outcome:
    """Play one round; whatever its verdict, the services are whole again.

    Raises `UnplayedError` where it comes to none.
    """
    started = time.monotonic()
    once = mode != MODES[0]
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
        closing(Cluster(services.internal)) as cluster,
    ):
        services.heal()
        testbed = Testbed(
            chaos_meters,
            Path(folder),
            cluster,
            services.redis.url,
            {
                "bootstrap_servers": services.bootstrap,
                "redis_url": services.redis_url,
                **_settings(schedule, mode),
            },
        )
        for kind in schedule.conditions:
            configure(services.internal, CONDITIONS[kind].topics(testbed.usecase))
        traffic = Traffic(
            testbed, services.internal,
            rate=schedule.rate, seed=schedule.seed, entities=schedule.entities,
        )  # fmt: skip
        with Workers(testbed.worker, at_work=schedule.workers) as workers:
            problems: list[str] = []
            context = Context(services, workers, testbed, traffic, History())
            try:
                try:
                    _strike_and_drain(schedule, context, problems)
                except AssertionError as error:
                    problems.append(str(error))
                finally:
                    services.heal()
                    workers.stop()
                seconds = time.monotonic() - started
                found = reckon(testbed, context.history, schedule.conditions, traffic, once=once)
                disagrees = judge_audit(testbed, found, context.history, once=once)
            except Exception as error:
                raise UnplayedError([*problems, repr(error)], workers, _logs(context)) from error
            problems += found.problems
            problems += judge_exits(workers.exits, schedule.ends_workers)
            problems += _too_much_memory(workers)
            problems += [disagrees] if disagrees else []
            result = replace(
                _result(schedule, mode, workers, found, seconds),
                audit=disagrees[:_KEPT],
                problems=tuple(problem[:_KEPT] for problem in problems),
            )
            return Outcome(result, tuple(problems), tuple(map(str, workers.exits)), _logs(context))


def _strike_and_drain(schedule: Schedule, context: Context, problems: list[str]) -> None:
    """Play it up to the end of all workers; `problems` gets what went wrong with the faults."""
    testbed, workers, traffic = context.testbed, context.workers, context.traffic
    for fault in schedule.faults:
        fault.prepare(context)
    traffic.backlog(schedule.backlog)
    workers.start()
    _wait(workers, "the first prediction", lambda: _works(testbed), _BEGIN_SECONDS)
    traffic.start()
    problems += strike_all(schedule.faults, context)
    context.services.heal()
    traffic.everywhere(_answer(lambda: testbed.cluster.ends(*testbed.topics)))
    traffic.stop()
    _drain(testbed, workers)
    workers.stop()
    _settle(context)


def _settle(context: Context) -> None:
    """Wait until all transactions are over; say which are not."""
    try:
        _wait(
            context.workers,
            _UNDECIDED,
            lambda: settled(context.testbed),
            _DRAIN_SECONDS,
        )
    except AssertionError as error:
        usecase = context.testbed.usecase
        topics = (usecase.predictions_topic, usecase.dead_letters_topic)
        data = [broker.directory / "data" for broker in context.services.brokers]
        told = [each for folder in data for each in open_transactions(folder, topics)]
        raise AssertionError(f"{error}: {'; '.join(told) or 'the logs hold none'}") from None


def _logs(context: Context) -> dict[str, str]:
    workers = {f"worker-{m.number}": m.worker.log for m in context.workers.everybody if m.starts}
    brokers = {f"broker-{each.node}": each.log_tail(_LINES) for each in context.services.brokers}
    return workers | brokers


def _too_much_memory(workers: Workers) -> list[str]:
    if workers.peak_bytes <= MOST_MEMORY_BYTES:
        return []
    return [
        f"a worker held {workers.peak_bytes // _MIB} MiB, more than {MOST_MEMORY_BYTES // _MIB}"
    ]


def _settings(schedule: Schedule, mode: str) -> dict[str, object]:
    settings: dict[str, object] = {
        "session_timeout_seconds": _SESSION_SECONDS,
        "group_protocol": schedule.group_protocol,
        "batch_max_records": schedule.batch_max_records,
        "poll_max_records": schedule.poll_max_records,
        "redis_timeout_seconds": 1.0,
        "drain_seconds": 8.0,
        # Longer than any fault of a round, and shorter than a round.
        "refusal_seconds": 10.0,
        # New partitions are found at the next look, by default within five minutes.
        "kafka__topic_metadata_refresh_interval_ms": 1_000,
    }
    if mode != MODES[0]:
        settings["delivery"] = mode
    if "while_rebuilding" in Settings.model_fields:
        # The use case has no fallback to serve by.
        settings["while_rebuilding"] = "wait"
    return settings


def _works(testbed: Testbed) -> bool:
    try:
        return testbed.cluster.count(testbed.usecase.predictions_topic) > 0
    except ServiceAwayError:
        return False


def _wait(workers: Workers, what: str, look: Any, seconds: float) -> None:
    """Wait for something, looking after the workers meanwhile."""

    def look_after() -> None:
        workers.look_after()
        if len(workers.exits) > _MOST_EXITS:
            raise AssertionError(f"workers end again and again: {workers.exits[-1].sentence[:300]}")

    eventually(what, look, seconds, check=look_after)


def _answer(ask: Callable[[], T]) -> T:
    """What brokers say, as soon as they do: after a fault they may still be at electing leaders."""

    def look() -> tuple[T] | None:
        try:
            return (ask(),)
        except (KafkaException, ServiceAwayError):
            return None

    answer = eventually("the brokers answer", look)
    assert answer is not None
    return answer[0]


def _drain(testbed: Testbed, workers: Workers) -> None:
    """Wait until all offsets are committed; say which are not."""
    try:
        _wait(workers, "all is committed", testbed.drained, _DRAIN_SECONDS)
    except AssertionError as error:
        committed = _answer(
            lambda: testbed.cluster.committed(testbed.usecase.name, *testbed.topics)
        )
        ends = _answer(lambda: testbed.cluster.ends(*testbed.topics))
        behind = [
            f"{topic}[{number}] at {committed[topic, number]} of {end}"
            for (topic, number), end in ends.items()
            if committed.get((topic, number)) != end
        ]
        raise AssertionError(f"{error}: {', '.join(behind)}") from None


def strike_all(faults: Sequence[Fault], context: Context) -> list[str]:
    """Let every fault happen at its time; return what went wrong with the faults themselves."""
    started = time.monotonic()
    strikes: list[_Strike] = []
    for fault in faults:
        while (wait := started + fault.at_seconds - time.monotonic()) > 0:
            time.sleep(min(wait, _LOOK_SECONDS))
            context.workers.look_after()
        log.info("%5.1f s  %s", time.monotonic() - started, fault.kind)
        strikes.append(_Strike(fault, context))
        strikes[-1].start()
    while any(strike.is_alive() for strike in strikes):
        if stuck := [found for strike in strikes if (found := strike.fault.stuck())]:
            raise StuckError("; ".join(stuck))
        time.sleep(_LOOK_SECONDS)
        context.workers.look_after()
    return [
        f"the fault {strike.fault.kind} itself failed: {strike.error!r}"
        for strike in strikes
        if strike.error is not None
    ]


class _Strike(threading.Thread):
    """A fault that happens. One that never returns keeps nobody from ending: a daemon."""

    def __init__(self, fault: Fault, context: Context) -> None:
        super().__init__(name=fault.kind, daemon=True)
        self.fault = fault
        self.error: BaseException | None = None
        self._scene = context

    def run(self) -> None:
        try:
            self.fault.strike(self._scene)
        except BaseException as error:  # noqa: BLE001  it is told with the round's problems
            self.error = error


def _result(
    schedule: Schedule, mode: str, workers: Workers, found: Reckoning, seconds: float
) -> Result:
    return Result(
        seed=schedule.seed,
        commit=commit(),
        mode=mode,
        brokers=schedule.brokers,
        group_protocol=schedule.group_protocol,
        faults=schedule.kinds,
        records=found.records,
        predictions=found.predictions,
        dead_letters=found.dead_letters,
        lost=len(found.fates.lost),
        double=found.fates.double,
        differing=found.fates.differing,
        state_equal=found.state_equal,
        worker_starts=workers.starts,
        worker_exits=len(workers.exits),
        seconds=round(seconds, 1),
        entities=schedule.entities,
        wrong_ends=len(judge_exits(workers.exits, schedule.ends_workers)),
        broken=found.broken,
        gone=found.gone,
        peak_memory_mib=workers.peak_bytes // _MIB,
    )
