"""What a malformed record and a kill do to a contender: tried, not claimed.

    python -m benchmarks.contest.trials --only worker

In the first trial, one record in a thousand is cut in half. In the second, the process and all below it
are killed by ``kill -9`` when about a third of a backlog is done, and started again. What is in the topics
afterwards says what was lost and what came twice; the states' own counts say what was counted twice.
"""

from __future__ import annotations

import argparse
import re
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from redis import Redis

from benchmarks.contest.backlogs import Backlog, fill
from benchmarks.contest.contender import Contender
from benchmarks.contest.contenders import ALONE, chosen
from benchmarks.contest.drain import DidNotRunError, Running, file_name, running, surroundings_of
from benchmarks.contest.outputs import Outputs, Seen
from benchmarks.contest.results import RESULTS, Results, circumstances
from benchmarks.workload import load
from features.flights import usecase
from stream_app.features.events.message import LogRecord
from stream_app.features.stores.redis.keys import Keys
from stream_app.local import LocalServices

__all__ = ["main", "told_by_contender", "told_of_kill", "told_of_malformed"]

_TRIAL_SECONDS: Final = 40.0
_QUIET_SECONDS: Final = 6.0
_PATIENCE_SECONDS: Final = 70.0
"""How long a killed process may keep others from its work, or hide it: its partitions are its own until its session
is over, 45 s by default, and its transaction is open until brokers abort it, 10 to 20 s for the worker."""
_LOOK_SECONDS: Final = 0.02
# What SCAN's patterns take for more than itself.
_GLOB: Final = re.compile(r"([*?\[\]\\^-])")


def main(arguments: Sequence[str] | None = None) -> None:
    """Try each contender, print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contest.trials")
    parser.add_argument("--only", nargs="*", metavar="PART", help="contenders whose names hold it")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE")
    options = parser.parse_args(arguments)
    run = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}"
    results = Results(options.results, run, circumstances())
    with (
        LocalServices() as services,
        LocalServices(redis=False) as malformed,
        LocalServices(redis=False) as slow,
    ):
        spoilt = fill(malformed.kafka, 3_000, malformed=3)
        backlogs = {False: fill(services.kafka, 20_000), True: fill(slow.kafka, 3_000)}
        for contender in chosen(options.only):
            if contender.name == ALONE or contender.missing() is not None:
                continue
            found = _malformed(contender, spoilt, services.redis, run)
            found |= _killed(contender, backlogs[contender.is_slow], services.redis, run)
            results.add("trial", contender.name, **found)
            told = told_by_contender(results.lines)[contender.name]
            print(f"{contender.name}: malformed: {told['malformed']}; kill -9: {told['kill']}")


def _malformed(contender: Contender, backlog: Backlog, redis_url: str, run: str) -> dict[str, Any]:
    with (
        surroundings_of(backlog.bootstrap, redis_url, _group(run, "m", contender)) as (where, log),
        Outputs(backlog.bootstrap) as outputs,
        running(contender, where, log) as process,
    ):
        ended = _until(process, backlog.events)
        seen = outputs.seen(0, quiet_seconds=_QUIET_SECONDS)
    return {
        "malformed_records": backlog.malformed,
        "malformed_dead_letters": seen.dead_letters,
        "malformed_predictions": len(seen.predictions),
        "malformed_expected": backlog.predictions,
        "malformed_ended": ended,
    }


def _killed(contender: Contender, backlog: Backlog, redis_url: str, run: str) -> dict[str, Any]:
    group = _group(run, "k", contender)
    with (
        surroundings_of(backlog.bootstrap, redis_url, group) as (where, log),
        Outputs(backlog.bootstrap) as outputs,
    ):
        try:
            with running(contender, where, log) as process:
                _until(process, backlog.events // 3)
                process.kill()
            before = process.finished
            with running(contender, where, log) as process:
                # Counted are the records of both lives. What was begun when the first one ended is done
                # again and not counted twice: when nothing comes any more, it is over.
                _until(process, backlog.events)
                seen = _seen_in_the_end(outputs, backlog.predictions)
        except DidNotRunError as error:
            return {"kill_error": str(error)}
        return {
            "kill_at": before,
            "kill_events": backlog.events,
            "kill_lost": backlog.predictions - len(seen.predictions),
            "kill_doubles": seen.doubles,
            "kill_updates": _updates_in_redis(redis_url, group),
            "kill_updates_expected": _updates_of(backlog.events),
        }


def _seen_in_the_end(outputs: Outputs, expected: int) -> Seen:
    """What can be read when the killed process is forgotten; less than `expected` only if that is lost."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        seen = outputs.seen(0, quiet_seconds=_QUIET_SECONDS)
        if len(seen.predictions) >= expected or time.monotonic() > deadline:
            return seen


def _until(process: Running, events: int) -> str:
    """Wait until so many records are finished; why it ended instead, or an empty text."""
    deadline = time.monotonic() + _TRIAL_SECONDS
    while process.finished < events and time.monotonic() < deadline:
        if process.has_ended:
            return process.told("ended")
        time.sleep(_LOOK_SECONDS)
    return ""


def _group(run: str, trial: str, contender: Contender) -> str:
    return f"{run}-{trial}-{file_name(contender.name)}"


def _updates_in_redis(redis_url: str, group: str) -> int:
    """How many updates the library's states hold; 0 where a contender keeps others."""
    keys = Keys(group, usecase.features.views, 1, 0)
    total = 0
    with Redis.from_url(redis_url) as client:
        for prefix in keys.states[0]:
            names = list(client.scan_iter(match=_GLOB.sub(r"\\\1", prefix) + "*", count=5_000))
            if names:
                # Behind the version, as `stream_app.features.stores.codec` packs a state.
                found: Any = client.mget(names)
                total += sum(int.from_bytes(packed[8:16], "little") for packed in found)
    return total


@cache
def _updates_of(events: int) -> int:
    """How many updates a backlog without malformed records makes, by the declaration."""
    decoders = {topic.name: topic.decoder for topic in usecase.topics}
    total = 0
    for record in load(events):
        event: Any = decoders[record.topic](LogRecord(record.value, record.key))
        total += sum(
            type(event) in view.on and view.entity.key(event) is not None
            for view in usecase.features.views
        )
    return total


def told_by_contender(lines: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """For each contender what its last trial showed, in a few words."""
    return {
        line["contender"]: {"malformed": told_of_malformed(line), "kill": told_of_kill(line)}
        for line in lines
        if line["kind"] == "trial"
    }


def told_of_malformed(trial: Mapping[str, Any]) -> str:
    """What malformed records did."""
    lacking = trial["malformed_expected"] - trial["malformed_predictions"]
    letters, records = trial["malformed_dead_letters"], trial["malformed_records"]
    if trial["malformed_ended"]:
        return f"ends the process; {lacking} predictions lacked"
    if lacking > 0:
        return f"{lacking} predictions lacked"
    return "a dead letter each" if letters == records else f"{letters} of {records} dead letters"


def told_of_kill(trial: Mapping[str, Any]) -> str:
    """What a kill did."""
    if "kill_error" in trial:
        return f"did not start again: {trial['kill_error']}"
    lost, doubles = trial["kill_lost"], trial["kill_doubles"]
    parts = [f"{lost:,} predictions lost" if lost else "nothing lost"]
    parts.append(f"{doubles:,} twice" if doubles else "none twice")
    if trial["kill_updates"]:
        wrong = trial["kill_updates"] - trial["kill_updates_expected"]
        parts.append("states exact" if not wrong else f"{wrong:+,} updates of states")
    return ", ".join(parts)


if __name__ == "__main__":
    main()
