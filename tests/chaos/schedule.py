"""What happens in a round and when, all of it decided by a seed."""

import random
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from tests.chaos.faults import CATALOGUE, Fault

__all__ = ["Schedule", "draw"]

_FAULTS = (7, 11)
_PAUSE_SECONDS = (0.2, 2.0)
_BACKLOG = (1_500, 6_000)
_RATE = (100.0, 500.0)
#: batch_max_records and poll_max_records: small ones so that a fault hits many things at once.
_SIZES = ((30, 200), (30, 200), (200, 1_000), (4_096, 4_096))


@dataclass(frozen=True)
class Schedule:
    """A round."""

    seed: int
    brokers: int
    """1 or 3."""
    workers: int
    group_protocol: str
    batch_max_records: int
    poll_max_records: int
    backlog: int
    """Records that are there before the first worker starts."""
    rate: float
    """Records a second that keep coming, until the last fault is over."""
    faults: tuple[Fault, ...]

    @property
    def kinds(self) -> dict[str, int]:
        """How many faults there are of each kind."""
        return dict(sorted(Counter(fault.kind for fault in self.faults).items()))

    def __str__(self) -> str:
        """For people: one line on the round, one a fault."""
        about = (
            f"seed {self.seed}: {self.brokers} broker(s), {self.workers} workers "
            f"({self.group_protocol}, batches of {self.batch_max_records}), a backlog of "
            f"{self.backlog}, {self.rate:.0f} records/s"
        )
        return "\n".join([about, *map(str, self.faults)])


def draw(seed: int, kinds: Collection[str], *, brokers: int | None = None) -> Schedule:
    """The round of a seed with faults of these kinds; `brokers` overrules what the seed says.

    The same arguments give the same round, on every machine.
    """
    rng = random.Random(seed)
    drawn_brokers = 3 if rng.random() < 0.25 else 1
    brokers = drawn_brokers if brokers is None else brokers
    workers = rng.choice((2, 2, 3))
    protocol = rng.choice(("classic", "classic", "consumer"))
    batch, poll = rng.choice(_SIZES)
    backlog, rate = rng.randint(*_BACKLOG), rng.uniform(*_RATE)
    possible = sorted(kind for kind in kinds if CATALOGUE[kind].brokers <= brokers)
    return Schedule(
        seed, brokers, workers, protocol, batch, poll, backlog, rate,
        _faults(rng, possible, workers),
    )  # fmt: skip


def _faults(rng: random.Random, kinds: list[str], workers: int) -> tuple[Fault, ...]:
    """Faults in the order they begin; none strikes whom another one has or has just had."""
    weights = [CATALOGUE[kind].weight for kind in kinds]
    free_at: dict[str, float] = {}
    faults: list[Fault] = []
    count = rng.randint(*_FAULTS)
    at = 0.0
    while len(faults) < count:
        (kind,) = rng.choices(kinds, weights)
        fault = CATALOGUE[kind]
        choice = rng.randrange(2**31)
        lasts = rng.uniform(fault.shortest_seconds, fault.longest_seconds)
        whom = fault.whom(choice, workers)
        if free_at.get(whom, 0.0) > at:
            at += 0.1  # another draw, a little later, or nothing might ever be free
            continue
        free_at[whom] = at + lasts + fault.recovers_seconds
        faults.append(fault(round(at, 1), round(lasts, 1), choice))
        at += rng.uniform(*_PAUSE_SECONDS)
    return tuple(faults)
