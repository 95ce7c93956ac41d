"""What happens in a round and when, all of it decided by a seed."""

import random
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from tests.chaos.conditions import CONDITIONS
from tests.chaos.faults import CATALOGUE, Fault

__all__ = ["Schedule", "draw"]

_FAULTS = (8, 12)
_PAUSE_SECONDS = (0.2, 2.0)
_BACKLOG = (1_500, 6_000)
_RATE = (100.0, 500.0)
#: batch_max_records and poll_max_records: small ones so that a fault hits many things at once.
_SIZES = ((30, 200), (30, 200), (200, 1_000), (4_096, 4_096))
#: How many entities the events are about: with few of them, workers meet at every one.
_ENTITIES = (2, 4, 20, 20)
_WITH_CONDITION = 0.35


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
    entities: int
    backlog: int
    """Records that are there before the first worker starts."""
    rate: float
    """Records a second that keep coming, until the last fault is over."""
    conditions: tuple[str, ...]
    """What the round is played under, from beginning to end."""
    faults: tuple[Fault, ...]

    @property
    def kinds(self) -> dict[str, int]:
        """How many faults and conditions there are of each kind."""
        kinds = Counter(fault.kind for fault in self.faults)
        return dict(sorted((kinds + Counter(self.conditions)).items()))

    @property
    def ends_workers(self) -> list[str]:
        """Patterns of the sentences with which workers may end."""
        found = [CONDITIONS[kind].ends_workers for kind in self.conditions]
        found += [fault.ends_workers for fault in self.faults]
        return sorted({pattern for patterns in found for pattern in patterns})

    def __str__(self) -> str:
        """For people: one line on the round, one a fault."""
        under = "".join(f", {kind}" for kind in self.conditions)
        about = (
            f"seed {self.seed}: {self.brokers} broker(s), {self.workers} workers "
            f"({self.group_protocol}, batches of {self.batch_max_records}), {self.entities} "
            f"entities, a backlog of {self.backlog}, {self.rate:.0f} records/s{under}"
        )
        return "\n".join([about, *map(str, self.faults)])


def draw(
    seed: int, kinds: Collection[str], *, brokers: int | None = None, faults: int | None = None
) -> Schedule:
    """The round of a seed with faults and conditions of these kinds.

    `brokers` and `faults`, how many there are, overrule what the seed says. The same arguments give
    the same round, on every machine.
    """
    rng = random.Random(seed)
    drawn_brokers = 3 if rng.random() < 0.25 else 1
    brokers = drawn_brokers if brokers is None else brokers
    workers = rng.choice((2, 2, 3))
    protocol = rng.choice(("classic", "classic", "consumer"))
    batch, poll = rng.choice(_SIZES)
    entities = rng.choice(_ENTITIES)
    backlog, rate = rng.randint(*_BACKLOG), rng.uniform(*_RATE)
    possible = sorted(k for k in kinds if k in CATALOGUE and CATALOGUE[k].brokers <= brokers)
    conditions = sorted(k for k in kinds if k in CONDITIONS)
    count = rng.randint(*_FAULTS) if faults is None else faults
    chosen = (rng.choice(conditions),) if conditions and rng.random() < _WITH_CONDITION else ()
    if not possible:
        chosen = tuple(conditions[:1])
    return Schedule(
        seed, brokers, workers, protocol, batch, poll, entities, backlog, rate, chosen,
        _faults(rng, possible, workers, count),
    )  # fmt: skip


def _faults(rng: random.Random, kinds: list[str], workers: int, count: int) -> tuple[Fault, ...]:
    """Faults in the order they begin; none strikes whom another one has or has just had."""
    free_at: dict[str, float] = {}
    faults: list[Fault] = []
    drawn: Counter[str] = Counter()
    at = 0.0
    while len(faults) < count:
        possible = [kind for kind in kinds if _goes_with(kind, drawn)]
        if not possible:
            break
        (kind,) = rng.choices(possible, [CATALOGUE[kind].weight for kind in possible])
        fault = CATALOGUE[kind]
        choice = rng.randrange(2**31)
        lasts = rng.uniform(fault.shortest_seconds, fault.longest_seconds)
        whom = fault.whom(choice, workers)
        if free_at.get(whom, 0.0) > at:
            at += 0.1  # another draw, a little later, or nothing might ever be free
            continue
        free_at[whom] = at + lasts + fault.recovers_seconds
        drawn[kind] += 1
        faults.append(fault(round(at, 1), round(lasts, 1), choice))
        at += rng.uniform(*_PAUSE_SECONDS)
    return tuple(faults)


def _goes_with(kind: str, drawn: Counter[str]) -> bool:
    """Whether one more of a kind may come in a round that has these."""
    fault = CATALOGUE[kind]
    return drawn[kind] < fault.most and not any(
        other in fault.not_with or kind in CATALOGUE[other].not_with for other in drawn
    )
