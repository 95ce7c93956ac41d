"""`python -m tests.chaos`: rounds of faults, one seed after the other."""

import argparse
import logging
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.chaos.conditions import CONDITIONS
from tests.chaos.faults import CATALOGUE
from tests.chaos.results import PAGE, RESULTS, ROOT, append, read, table, write
from tests.chaos.run import MODES, Outcome, UnplayedError, available_faults, available_modes, play
from tests.chaos.schedule import Schedule, draw
from tests.chaos.services import Services

_FAILURES = ROOT / ".stream-app" / "chaos"


def main(arguments: list[str] | None = None) -> int:
    """Play the rounds; return 1 if any failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="how many (default: 1)")
    parser.add_argument("--seed", type=int, default=1, help="of the first; the next is one higher")
    parser.add_argument("--mode", choices=MODES, default=MODES[0])
    parser.add_argument("--faults", metavar="KIND,...", help="these kinds only: "
                        + ", ".join([*CATALOGUE, *CONDITIONS]))  # fmt: skip
    parser.add_argument("--brokers", type=int, choices=(1, 3), help="default: as the seed says")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where a line is added")
    parser.add_argument("--show", action="store_true", help="print the schedules and end")
    chosen = parser.parse_args(arguments)
    if chosen.mode not in available_modes():
        parser.error(f"the worker knows no {chosen.mode} yet")
    kinds = chosen.faults.split(",") if chosen.faults else available_faults()
    if unknown := set(kinds) - CATALOGUE.keys() - CONDITIONS.keys():
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    seeds = range(chosen.seed, chosen.seed + chosen.rounds)
    failed = []
    with ExitStack() as stack:
        services: dict[int, Services] = {}
        for seed in seeds:
            schedule = draw(seed, kinds, brokers=chosen.brokers)
            _say(f"\n{schedule}")
            if chosen.show:
                continue
            if schedule.brokers not in services:
                services[schedule.brokers] = Services(schedule.brokers)
                stack.callback(services[schedule.brokers].close)
            try:
                outcome = play(schedule, chosen.mode, services[schedule.brokers])
            except UnplayedError as unplayed:  # the other rounds are still worth playing
                failed += _tell(unplayed, schedule, chosen.mode)
                services.pop(schedule.brokers).close()
                continue
            append(outcome.result, chosen.results)
            _say(_summary(outcome))
            if outcome.problems:
                failed.append(seed)
                kept = _keep(schedule, chosen.mode, _summary(outcome), outcome.logs)
                _say(f"its logs are in {kept}")
    if chosen.results == RESULTS and not chosen.show:
        write(PAGE, table(read(RESULTS)))
    if failed:
        again = f"python -m tests.chaos --mode {chosen.mode} --seed {failed[0]}"
        _say(f"\nfailed: {', '.join(map(str, failed))}; to play one again: {again}")
    return bool(failed)


def _tell(unplayed: UnplayedError, schedule: Schedule, mode: str) -> list[int]:
    """Say why a round has no verdict; return its seed if that is a failure."""
    if unplayed.is_brokers_fault:
        _say("void: a broker ended a transaction without its marker (docs/delivery.md)")
    else:
        logging.getLogger(__name__).error("the round came to no verdict", exc_info=unplayed)
    told = "\n".join((*unplayed.problems, *unplayed.exits))
    _say(f"its logs are in {_keep(schedule, mode, told, unplayed.logs)}")
    return [] if unplayed.is_brokers_fault else [schedule.seed]


def _summary(outcome: Outcome) -> str:
    result = outcome.result
    first = (
        f"{'FAILED' if outcome.problems else 'passed'}: {result.records} records, "
        f"{result.lost} lost, {result.double} double ({result.differing} differ), state "
        f"{'equal' if result.state_equal else 'NOT equal'}; {result.worker_starts} starts, "
        f"{result.worker_exits} ended by themselves ({result.wrong_ends} wrongly), "
        f"{result.broken} broken, {result.gone} gone, {result.peak_memory_mib} MiB, "
        f"{result.seconds:.0f} s"
    )
    return "\n".join([first, *(f"  {each}" for each in (*outcome.problems, *outcome.exits))])


def _keep(schedule: Schedule, mode: str, told: str, logs: Mapping[str, str]) -> Path:
    """Keep the schedule and the logs of a failed round."""
    folder = _FAILURES / f"{mode}-{schedule.seed}-{time.strftime('%Y%m%dT%H%M%S')}"
    folder.mkdir(parents=True)
    (folder / "round.txt").write_text(f"{schedule}\n\n{told}\n")
    for name, text in logs.items():
        (folder / f"{name}.log").write_text(text)
    return folder


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
