"""What a run says of the goals."""

from typing import Any

import pytest

from benchmarks.contest.contenders import ALONE, LOOP, WORKER, contenders, peers
from benchmarks.contest.goals import GOALS, Goal, Verdict, judged


def drained(contender: str, rate: float, cpu_us: float = 10.0, number: int = 0) -> dict[str, Any]:
    """A line of a drain."""
    return {
        "kind": "drain", "run": "r", "round": number, "contender": contender, "rate": rate,
        "cpu_us": cpu_us,
    }  # fmt: skip


def verdict(text: str, lines: list[dict[str, Any]], others: tuple[str, ...] = ()) -> Verdict:
    """The verdict on the goal of this text."""
    (found,) = (v for v in judged(lines, others) if v.goal.text == text)
    return found


def test_met() -> None:
    """A goal that is reached is met."""
    lines = [drained(WORKER, 80.0), drained(ALONE, 100.0)]
    assert verdict("rate, of the work alone", lines).text == "met: 0.80 of 0.75"


def test_short() -> None:
    """A goal that is not reached says how far it is."""
    lines = [drained(WORKER, 56.0), drained(ALONE, 100.0)]
    assert verdict("rate, of the work alone", lines).text == "short: 0.56 of 0.75"


def test_over() -> None:
    """More than a goal allows is over it."""
    lines = [drained(WORKER, 1.0, 80.0), drained("loop, in Python", 1.0, 100.0)]
    name = "CPU, aligned, at least once, of the loop in Python"
    assert verdict(name, lines).text == "over: 0.80 of 0.75"


def test_a_peer_that_did_not_publish_all_is_no_opponent() -> None:
    """However fast it computed what nobody got."""
    lines = [
        drained(WORKER, 30.0) | {"predictions": 5, "expected": 5},
        drained("one", 20.0) | {"predictions": 5, "expected": 5},
        drained("two", 40.0) | {"predictions": 1, "expected": 5},
    ]
    assert verdict("rate, of the best peer", lines, ("one", "two")).text == "met: 1.50 of 1.3"


def test_what_a_steady_rate_cost_is_no_drain() -> None:
    """Lines of the latency have CPU time as well, of the same contenders in the same round."""
    lines = [drained(WORKER, 1.0, 60.0), drained("loop, in Python", 1.0, 100.0)]
    lines += [
        line | {"run": "s", "kind": "latency", "load": 1_000, "cpu_us": 500.0} for line in lines
    ]
    name = "CPU, aligned, at least once, of the loop in Python"
    assert verdict(name, lines).ratio == pytest.approx(0.6)


def test_not_measured() -> None:
    """A goal whose opponent did not run is not measured."""
    assert verdict("rate, of the work alone", [drained(WORKER, 56.0)]).text == "not measured"


def test_within_a_round() -> None:
    """Ratios are taken within a round so that a machine that slows down spoils none."""
    lines = [
        drained(WORKER, 90.0, number=0), drained(ALONE, 100.0, number=0),
        drained(WORKER, 9.0, number=1), drained(ALONE, 10.0, number=1),
        drained(WORKER, 1.0, number=2), drained(ALONE, 100.0, number=3),
    ]  # fmt: skip
    assert verdict("rate, of the work alone", lines).ratio == pytest.approx(0.9)


def test_figure() -> None:
    """A goal without an opponent is held against the median of the rounds."""
    lines = [
        {"run": "r", "round": n, "contender": WORKER, "idle_percent": p}
        for n, p in enumerate((1.0, 1.5, 9.0))
    ]
    assert verdict("percent of a core, idle", lines).text == "met: 1.50 of 2"


def test_best_peer() -> None:
    """The best of the peers counts."""
    lines = [drained(WORKER, 100.0), drained("a", 10.0), drained("b", 80.0)]
    found = verdict("rate, of the best peer", lines, ("a", "b", "c"))
    assert found.ratio == pytest.approx(1.25)
    assert found.text == "short: 1.25 of 1.3"


def test_same_load() -> None:
    """A latency is held against that of the same load."""

    def waited(contender: str, load: int, p99_ms: float) -> dict[str, Any]:
        return {
            "kind": "latency", "run": "r", "round": 0, "contender": contender, "load": load,
            "p99_ms": p99_ms,
        }  # fmt: skip

    lines = [waited(WORKER, 2_000, 5.0), waited(WORKER, 10_000, 90.0),
             waited(LOOP, 2_000, 20.0), waited(LOOP, 10_000, 100.0)]  # fmt: skip
    assert verdict(f"p99 at 2,000/s, of {LOOP}", lines).text == "met: 0.25 of 0.5"
    assert verdict(f"p99 at 10,000/s, of {LOOP}", lines).text == "over: 0.90 of 0.5"


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.text)
def test_names_of_goals(goal: Goal) -> None:
    """A goal names contenders that there are."""
    names = {each.name for each in [*contenders(), *peers()]}
    assert goal.contender in names
    assert goal.other in {*names, "peers", None}


def test_names_differ() -> None:
    """No two contenders have one name."""
    names = [each.name for each in [*contenders(), *peers()]]
    assert len(names) == len({*names})
