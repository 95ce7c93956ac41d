"""`python -m tests.fuzz --records 1000000 --seed 1`: that each of many records has exactly one end."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from random import Random

from stream_app.models import load_models
from tests.fuzz.account import Account
from tests.fuzz.records import record
from tests.usecases.regression import train, usecase

_AT_ONCE = 500


def main() -> None:
    """Take the records of a seed, and print how they ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        train(Path(folder))
        account = Account(usecase, load_models(usecase, Path(folder)))
    rng, began, left = Random(given.seed), time.monotonic(), given.records
    while left > 0:
        # A batch is what is ready: one record as well as hundreds.
        count = min(left, rng.choice((1, 7, _AT_ONCE, _AT_ONCE, _AT_ONCE)))
        account([record(rng) for _ in range(count)])
        left -= count
    account.close()
    took = time.monotonic() - began
    for outcome, count in account.outcomes.most_common():
        print(f"{count:>12,}  {outcome}")
    print(
        f"{given.records:>12,}  records, each with exactly one end, in {took:.0f} s; seed {given.seed}"
    )


if __name__ == "__main__":
    main()
