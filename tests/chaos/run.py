"""A round: workers under faults, then the reckoning."""

import logging
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from confluent_kafka import IsolationLevel, KafkaException
from confluent_kafka.admin import AdminClient, OffsetSpec
from pydantic import SecretStr

from stream_app.audit import audit
from stream_app.broker_queries import log_offsets
from stream_app.settings import Settings
from tests.chaos.crew import Crew
from tests.chaos.faults import CATALOGUE, REBUILD, Fault, Scene
from tests.chaos.grounds import Grounds
from tests.chaos.results import Result, commit
from tests.chaos.schedule import Schedule
from tests.chaos.traffic import Traffic
from tests.chaos.verdict import fates, judge_state
from tests.integration.bed import Bed
from tests.integration.worker import Cluster, eventually
from tests.usecases import regression

__all__ = ["MODES", "Outcome", "available_faults", "available_modes", "play"]

log = logging.getLogger(__name__)

T = TypeVar("T")

MODES = ("at_least_once", "exactly_once")

_SESSION_SECONDS = 2.0
_BEGIN_SECONDS = 120.0
_DRAIN_SECONDS = 180.0
_REQUEST_SECONDS = 20.0
_LOOK_SECONDS = 0.2
_NATIVE_CRASH = "Fatal Python error"
"""What Python's faulthandler writes when one has happened."""


def available_modes() -> tuple[str, ...]:
    """Delivery modes that this version of the worker has."""
    return MODES if "delivery" in Settings.model_fields else MODES[:1]


def available_faults() -> list[str]:
    """Kinds of faults that this version of the worker is made to survive."""
    rebuilds = "while_rebuilding" in Settings.model_fields
    return [kind for kind in CATALOGUE if rebuilds or kind not in REBUILD]


@dataclass(frozen=True)
class Outcome:
    """How a round ended."""

    result: Result
    problems: tuple[str, ...]
    """Why it failed; empty: it did not."""
    exits: tuple[str, ...]
    """How workers ended that nobody had ended, with the last lines of their logs."""
    logs: tuple[str, ...]
    """What each worker wrote."""


def play(schedule: Schedule, mode: str, grounds: Grounds) -> Outcome:
    """Play one round; whatever its end, the grounds are whole again."""
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
        closing(Cluster(grounds.internal)) as cluster,
    ):
        grounds.heal()
        bed = Bed(
            regression,
            Path(folder),
            cluster,
            grounds.redis.url,
            {
                "bootstrap_servers": grounds.bootstrap,
                "redis_url": grounds.redis_url,
                **_settings(schedule, mode),
            },
        )
        traffic = Traffic(bed, grounds.internal, rate=schedule.rate, seed=schedule.seed)
        with Crew(bed.worker, at_work=schedule.workers) as crew:
            problems: list[str] = []
            try:
                traffic.backlog(schedule.backlog)
                crew.start()
                _wait(crew, "the first prediction", lambda: _works(bed), _BEGIN_SECONDS)
                traffic.start()
                problems += _strike(schedule, Scene(grounds, crew, bed, traffic))
                grounds.heal()
                traffic.everywhere(_answer(lambda: bed.cluster.ends(*bed.topics)))
                traffic.stop()
                _drain(bed, crew)
                crew.stop()
                _wait(crew, "no transaction is open", lambda: _settled(bed), _DRAIN_SECONDS)
            except AssertionError as error:
                problems.append(str(error))
            finally:
                grounds.heal()
                crew.stop()
            seconds = time.monotonic() - started
            result, more = _reckon(bed, schedule, mode, crew, traffic, seconds)
            more += _audit(bed, mode, result)
            exits = tuple(crew.exits)
            logs = tuple(member.worker.log for member in crew.everybody if member.starts)
    crashes = [note.partition(":")[0] for note in exits if _NATIVE_CRASH in note]
    more += [f"a native crash: {crash}" for crash in crashes]
    return Outcome(result, (*problems, *more), exits, logs)


def _settings(schedule: Schedule, mode: str) -> dict[str, object]:
    settings: dict[str, object] = {
        "session_timeout_seconds": _SESSION_SECONDS,
        "group_protocol": schedule.group_protocol,
        "batch_max_records": schedule.batch_max_records,
        "poll_max_records": schedule.poll_max_records,
        "redis_timeout_seconds": 1.0,
        "drain_seconds": 8.0,
        # New partitions are found at the next look, by default within five minutes.
        "kafka__topic_metadata_refresh_interval_ms": 1_000,
    }
    if mode != MODES[0]:
        settings["delivery"] = mode
    if "while_rebuilding" in Settings.model_fields:
        # The use case has no fallback to serve by.
        settings["while_rebuilding"] = "wait"
    return settings


def _works(bed: Bed) -> bool:
    try:
        return bed.cluster.count(bed.usecase.predictions_topic) > 0
    except KafkaException:
        return False


def _wait(crew: Crew, what: str, look: Any, seconds: float) -> None:
    """Wait for something, looking after the workers meanwhile."""
    eventually(what, look, seconds, check=crew.look_after)


def _answer(ask: Callable[[], T]) -> T:
    """What brokers say, as soon as they do: after a fault they may still be at electing leaders."""

    def look() -> tuple[T] | None:
        try:
            return (ask(),)
        except KafkaException:
            return None

    answer = eventually("the brokers answer", look)
    assert answer is not None
    return answer[0]


def _drain(bed: Bed, crew: Crew) -> None:
    """Wait until all offsets are committed; say which are not."""
    try:
        _wait(crew, "all is committed", bed.drained, _DRAIN_SECONDS)
    except AssertionError as error:
        committed = _answer(lambda: bed.cluster.committed(bed.usecase.name, *bed.topics))
        ends = _answer(lambda: bed.cluster.ends(*bed.topics))
        behind = [
            f"{topic}[{number}] at {committed[topic, number]} of {end}"
            for (topic, number), end in ends.items()
            if committed.get((topic, number)) != end
        ]
        raise AssertionError(f"{error}: {', '.join(behind)}") from None


def _strike(schedule: Schedule, scene: Scene) -> list[str]:
    """Let every fault happen at its time; return what went wrong with the faults themselves."""
    over = threading.Event()
    started = time.monotonic()
    strikes: dict[Future[None], Fault] = {}
    with ThreadPoolExecutor(len(schedule.faults)) as pool:
        for fault in schedule.faults:
            while (wait := started + fault.at_seconds - time.monotonic()) > 0:
                time.sleep(min(wait, _LOOK_SECONDS))
                scene.crew.look_after()
            log.info("%5.1f s  %s", time.monotonic() - started, fault.kind)
            strikes[pool.submit(fault.strike, scene, over)] = fault
        while not all(strike.done() for strike in strikes):
            time.sleep(_LOOK_SECONDS)
            scene.crew.look_after()
    return [
        f"the fault {fault.kind} itself failed: {error!r}"
        for strike, fault in strikes.items()
        if (error := strike.exception()) is not None
    ]


def _settled(bed: Bed) -> bool:
    """Whether readers of committed records see the topics out to their ends."""
    topics = [bed.usecase.predictions_topic, bed.usecase.dead_letters_topic]
    try:
        places = list(bed.cluster.ends(*topics))
        admin = AdminClient({"bootstrap.servers": bed.cluster.bootstrap, "log_level": 0})
        ends = [
            log_offsets(admin, places, OffsetSpec.latest(), _REQUEST_SECONDS, level)
            for level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)
        ]
    except KafkaException:
        return False
    return ends[0] == ends[1]


def _reckon(
    bed: Bed, schedule: Schedule, mode: str, crew: Crew, traffic: Traffic, seconds: float
) -> tuple[Result, list[str]]:
    """Compare what came out, and the state, with the log."""
    records = bed.cluster.read(*bed.topics)
    events = list(bed.log(records))
    valid = {(out.topic, out.partition, out.offset): event for out, _, event in events}
    triggers = bed.usecase.features.triggers
    asking = {place for place, event in valid.items() if isinstance(event, triggers)}
    poison = {(out.topic, out.partition, out.offset) for out in records} - valid.keys()
    committed = _answer(lambda: bed.cluster.committed(bed.usecase.name, *bed.topics))
    found = fates(
        len(records), asking, poison, bed.predictions(), bed.dead_letters(),
        is_done=lambda place: place[2] < committed[place[0], place[1]],
    )  # fmt: skip
    difference = judge_state(bed, events)
    problems = []
    if len(records) != traffic.acknowledged:
        problems.append(
            f"{traffic.acknowledged} records were acknowledged, {len(records)} are there"
        )
    if found.waiting:
        problems.append(f"{found.waiting} records still wait")
    if found.lost:
        problems.append(f"{len(found.lost)} records are lost: {found.lost[:5]}")
    if found.unexpected:
        problems.append(f"{len(found.unexpected)} answers are unexpected: {found.unexpected[:5]}")
    if found.contradicting:
        problems.append(f"copies contradict each other: {found.contradicting[:5]}")
    if found.double and mode == "exactly_once":
        problems.append(f"{found.double} answers are double")
    if difference:
        problems.append(difference)
    result = Result(
        seed=schedule.seed,
        commit=commit(),
        mode=mode,
        brokers=schedule.brokers,
        group_protocol=schedule.group_protocol,
        faults=schedule.kinds,
        records=found.records,
        predictions=len(asking),
        dead_letters=len(poison),
        lost=len(found.lost),
        double=found.double,
        differing=found.differing,
        state_equal=difference is None,
        worker_starts=crew.starts,
        worker_exits=len(crew.exits),
        seconds=round(seconds, 1),
    )
    return result, problems


def _audit(bed: Bed, mode: str, result: Result) -> list[str]:
    """Let `stream-app audit` account for the round as well: it must come to the same."""
    settings = Settings(bootstrap_servers=bed.cluster.bootstrap, redis_url=SecretStr(bed.redis_url))
    report = audit(settings, bed.usecase, recompute_state=True, doubles_fail=mode != MODES[0])
    found = {
        "records": report.records,
        "missing": report.missing,
        "double": report.double > 0,
        "state equal": report.states_differ == 0,
    }
    expected = {
        "records": result.records,
        "missing": result.lost,
        "double": result.double > 0,
        "state equal": result.state_equal,
    }
    if found == expected or (report.waiting and not report.failed):
        return []
    return [f"the audit comes to another end: {found}, not {expected}; {report.notes}"]
