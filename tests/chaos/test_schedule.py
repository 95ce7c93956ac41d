"""A seed decides everything about a round."""

from itertools import pairwise

import pytest

from tests.chaos.conditions import CONDITIONS
from tests.chaos.faults import CATALOGUE, STATE_LOSS
from tests.chaos.schedule import draw

SEEDS = range(200)
KINDS = [*CATALOGUE, *CONDITIONS]


@pytest.mark.parametrize("seed", [0, 7, 123_456])
def test_the_same_seed_gives_the_same_round(seed: int) -> None:
    """And the order in which kinds are named does not matter."""
    assert draw(seed, KINDS) == draw(seed, list(reversed(KINDS)))


def test_seeds_give_different_rounds() -> None:
    """Each of two hundred is its own."""
    assert len({str(draw(seed, KINDS)) for seed in SEEDS}) == len(SEEDS)


def test_every_kind_comes_up() -> None:
    """In two hundred rounds, and nothing that was not asked for."""
    asked = set(KINDS) - STATE_LOSS - {"small-predictions"}
    assert {kind for seed in SEEDS for kind in draw(seed, asked).kinds} == asked


def test_some_rounds_have_few_entities() -> None:
    """So that workers meet at every one of them."""
    drawn = [draw(seed, KINDS).entities for seed in SEEDS]
    assert 60 < sum(entities <= 4 for entities in drawn) < 140


def test_kinds_whose_outcome_together_is_not_defined_share_no_round() -> None:
    """A state that is lost cannot be built again from a topic that was deleted."""
    for seed in SEEDS:
        kinds = draw(seed, KINDS).kinds
        for kind in kinds.keys() & CATALOGUE.keys():
            assert not CATALOGUE[kind].not_with & kinds.keys()
            assert kinds[kind] <= CATALOGUE[kind].most


def test_a_condition_can_be_asked_for_alone() -> None:
    """Then it is the round's, whatever the seed says."""
    drawn = draw(3, ["small-predictions"])
    assert (drawn.conditions, drawn.faults) == (("small-predictions",), ())


def test_workers_may_end_for_what_the_round_s_faults_allow() -> None:
    """And for nothing in a round whose faults all pass."""
    assert draw(1, ["worker-killed", "redis-cut"]).ends_workers == []
    assert draw(1, ["clock-behind"]).ends_workers == list(CATALOGUE["clock-behind"].ends_workers)


def test_a_leader_is_killed_only_where_another_can_lead() -> None:
    """A single broker's leader is killed as a broker."""
    for seed in SEEDS:
        drawn = draw(seed, KINDS)
        if drawn.brokers == 1:
            assert "leader-killed" not in drawn.kinds


def test_nobody_is_struck_while_another_fault_has_him() -> None:
    """Faults of one target follow each other; those of others overlap."""
    overlaps = 0
    for seed in SEEDS:
        drawn = draw(seed, KINDS)
        by_target: dict[str, list[tuple[float, float]]] = {}
        for fault in drawn.faults:
            whom = fault.whom(fault.choice, drawn.workers)
            end = fault.at_seconds + fault.lasts_seconds
            by_target.setdefault(whom, []).append((fault.at_seconds, end))
        for spans in by_target.values():
            assert all(end <= start for (_, end), (start, _) in pairwise(spans))
        overlaps += sum(
            first.at_seconds + first.lasts_seconds > second.at_seconds
            for first, second in pairwise(drawn.faults)
        )
    assert overlaps > len(SEEDS)


def test_the_number_of_brokers_can_be_overruled() -> None:
    """And the rest of the round stays as the seed says, but for what needs three."""
    kinds = {"worker-killed", "redis-killed"}
    alone, together = draw(5, kinds, brokers=1), draw(5, kinds, brokers=3)
    assert (alone.brokers, together.brokers) == (1, 3)
    assert alone.faults == together.faults
