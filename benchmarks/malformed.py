"""What malformed records cost: a stream without any, with 1 % and with 50 % of them.

    python -m benchmarks.malformed --events 200000 --rounds 3
    python -m benchmarks.malformed --against ../stream_app-before

As `python -m benchmarks` measures: a backlog from a real Kafka, with the state in a real Redis. Each drain
has brokers of its own, for the streams differ. Malformed records are spread at random, so that half of
them are no flood in a row; the limit by share is off (`flood_poison_share = 1`), and all else of the
flood breaker is on and counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Final

from benchmarks.throughput import Contender, Drained, circumstances, drain, told
from benchmarks.workload import all_topics, load, publish
from features.flights.data.year import Record
from stream_app.local import LocalServices

_SHARES: Final = {"clean": 0.0, "1 % malformed": 0.01, "50 % malformed": 0.5}
_SETTINGS: Final = {"flood_poison_share": "1"}


def main() -> None:
    """Drain each stream in turn and print medians and ratios."""
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.malformed", description=__doc__.splitlines()[0]
    )
    arguments.add_argument("--events", type=int, default=200_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument(
        "--against",
        type=Path,
        metavar="FOLDER",
        help="drain each stream with the worker of another checkout as well",
    )
    options = arguments.parse_args()
    workload = load(options.events)
    workers = {"": Contender(settings=_SETTINGS)}
    if options.against:
        workers[" (there)"] = Contender(settings=_SETTINGS, root=options.against.resolve())
    drained: dict[str, list[Drained]] = {}
    for number in range(options.rounds):
        for share in list(_SHARES)[:: 1 if number % 2 == 0 else -1]:
            found = _drained(number, spoilt(workload, _SHARES[share]), workers)
            for whose, each in found.items():
                drained.setdefault(f"{share}{whose}", []).append(each)
                print(f"{share}{whose}: {told(each)}", flush=True)
    print(json.dumps(_result(drained, workers) | circumstances()))


def _result(drained: dict[str, list[Drained]], workers: Iterable[str]) -> dict[str, float | str]:
    result: dict[str, float | str] = {
        name: round(statistics.median([each.rate for each in found]))
        for name, found in drained.items()
    }
    clean, *others = _SHARES
    pairs = [(f"{other}{whose}", f"{clean}{whose}") for whose in workers for other in others]
    if len(result) > len(_SHARES):
        pairs += [(share, f"{share} (there)") for share in _SHARES]
    for one, other in pairs:
        both = list(zip(drained[one], drained[other], strict=True))
        rate = statistics.median([a.rate / b.rate for a, b in both])
        cpu = statistics.median([a.cpu_us / b.cpu_us for a, b in both])
        result |= {f"{one} / {other}: rate": round(rate, 3), f"{one} / {other}: cpu": round(cpu, 3)}
    return result


def spoilt(workload: list[Record], share: float) -> list[Record]:
    """The records, so many of them malformed in one of the usual ways."""
    rng = Random(7)
    return [_spoil(record, rng) if rng.random() < share else record for record in workload]


def _spoil(record: Record, rng: Random) -> Record:
    value = record.value
    match rng.randrange(4):
        case 0:
            value = value[: len(value) // 2]
        case 1:
            value = b""
        case 2:
            value = json.dumps({**json.loads(value), "event_time": "yesterday"}).encode()
        case _:
            event = json.loads(value)
            event.pop("flight_id", None)
            value = json.dumps(event).encode()
    return record._replace(value=value)


def _drained(
    number: int, workload: list[Record], workers: Mapping[str, Contender]
) -> dict[str, Drained]:
    with LocalServices(topics=all_topics()) as services:
        publish(services.kafka, workload)
        return {
            whose: drain(services, f"malformed-{number}-{place}", len(workload), workers[whose])
            for place, whose in enumerate(list(workers)[:: 1 if number % 2 == 0 else -1])
        }


if __name__ == "__main__":
    main()
