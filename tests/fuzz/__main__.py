"""`python -m tests.fuzz --records 1000000 --seed 1`: that each of many records has exactly one end.

With --worker they go through a real worker, on a Kafka and a Redis of their own.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from random import Random

from stream_app.local import LocalKafka, LocalRedis
from stream_app.models import load_models
from tests.fuzz.account import Account
from tests.fuzz.records import record
from tests.fuzz.through_worker import through_worker
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster
from tests.usecases import regression
from tests.usecases.regression import train, usecase

_AT_ONCE = 500


def main() -> None:
    """Take the records of a seed, and print how they ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worker", action="store_true", help="through a real worker")
    parser.add_argument(
        "--delivery",
        choices=("at_least_once", "exactly_once"),
        default="at_least_once",
        help="how that worker delivers",
    )
    given = parser.parse_args()
    began = time.monotonic()
    if given.worker:
        outcomes = _through_worker(given.records, given.seed, given.delivery)
    else:
        outcomes = _in_memory(given.records, given.seed)
    took = time.monotonic() - began
    for outcome, count in outcomes.most_common():
        print(f"{count:>12,}  {outcome}")
    print(
        f"{given.records:>12,}  records, each with exactly one end, in {took:.0f} s; seed {given.seed}"
    )


def _through_worker(records: int, seed: int, delivery: str) -> Counter[str]:
    with (
        LocalKafka() as kafka,
        LocalRedis() as redis,
        closing(Cluster(kafka.bootstrap)) as cluster,
        tempfile.TemporaryDirectory() as folder,
    ):
        settings: dict[str, object] = {"delivery": delivery}
        testbed = Testbed(regression, Path(folder), cluster, redis.url, settings)
        return through_worker(testbed, records, seed)


def _in_memory(records: int, seed: int) -> Counter[str]:
    with tempfile.TemporaryDirectory() as folder:
        train(Path(folder))
        account = Account(usecase, load_models(usecase, Path(folder)))
    rng, left = Random(seed), records
    while left > 0:
        # A batch is what is ready: one record as well as hundreds.
        count = min(left, rng.choice((1, 7, _AT_ONCE, _AT_ONCE, _AT_ONCE)))
        account([record(rng) for _ in range(count)])
        left -= count
    account.close()
    return account.outcomes


if __name__ == "__main__":
    main()
