"""What the first line of the status page says, and when."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from stream_app.observer.events import PartitionStopped
from stream_app.status_page.problems import (
    Lag,
    Problem,
    Wait,
    WorkerFacts,
    since_when,
    worker_problems,
)
from tests.unit.builders import partition

RUNBOOK = Path(__file__).parents[3] / "docs" / "runbook.md"
WELL = WorkerFacts(is_ready=True, why="", records=1_000, predictions=400)


class Old(NamedTuple):
    """Work that has been in hand for long."""

    stage: str = "enrich"
    seconds: float = 30.0
    records: str = "orders[3] 17-240"


TROUBLE = {
    "wait redis": WELL._replace(is_ready=False, waits=[Wait("redis", 5.0, "Connection refused")]),
    "not ready The worker is starting.": WELL._replace(
        is_ready=False, why="The worker is starting."
    ),
    "stuck enrich": WELL._replace(in_hand=Old()),
    "stopped orders[1]": WELL._replace(
        stopped=[PartitionStopped(partition(1), 17, "a flood", 5.0, is_new=True)]
    ),
    "gone": WELL._replace(gone="orders[1]"),
    "bugs": WELL._replace(bugs=20, dead_letters=20, worst_bug="feature-error at stage enrich"),
    "dead letters": WELL._replace(dead_letters=60, worst_reason="out-of-range in orders"),
    "lag": WELL._replace(lags=[Lag("orders", 1, 7, 61.0)], grows=True),
    "behind": WELL._replace(lags=[Lag("orders", 1, 7, 11.0)]),
    "rebuilding": WELL._replace(rebuilding=3),
    "fallback": WELL._replace(fallback=5, degraded="model-error"),
}


@pytest.mark.parametrize("key", TROUBLE)
def test_each_fault_is_one_problem_that_says_what_to_do(key: str) -> None:
    """In a sentence, with a section of the runbook that exists."""
    (problem,) = worker_problems(TROUBLE[key])
    assert problem.key == key
    assert problem.do.endswith(".")
    headings = re.findall(r"(?m)^## (\w+)$", RUNBOOK.read_text())
    assert problem.runbook in headings


def test_a_worker_that_is_well_has_no_problem() -> None:
    """Nor has one that did nothing yet, or refuses a record now and then."""
    assert worker_problems(WELL) == []
    assert worker_problems(WELL._replace(records=0, predictions=0)) == []
    now_and_then = WELL._replace(dead_letters=40, bugs=9, fallback=4, lags=[Lag("t", 0, 3, 2.0)])
    assert worker_problems(now_and_then) == []


def test_what_is_trouble_comes_before_what_passes_by_itself() -> None:
    """And what causes the rest comes first."""
    both = TROUBLE["wait redis"]._replace(
        rebuilding=3, lags=[Lag("orders", 1, 7, 61.0)], grows=True
    )
    assert [each.key for each in worker_problems(both)] == ["wait redis", "lag", "rebuilding"]


def test_a_lag_that_shrinks_is_no_trouble() -> None:
    """After an outage there is nothing to do but wait."""
    (problem,) = worker_problems(TROUBLE["lag"]._replace(grows=False))
    assert (problem.key, problem.level) == ("lag", "notice")
    assert "catches up" in problem.sentence


def test_a_sentence_has_no_figure_that_changes() -> None:
    """A screen reader would tell it every two seconds."""
    for seconds in (61.0, 75.0, 500.0):
        facts = WELL._replace(lags=[Lag("orders", 1, round(seconds), seconds)], grows=True)
        (problem,) = worker_problems(facts)
        assert "minute" in problem.sentence
        assert str(round(seconds)) not in problem.sentence
        assert f"{seconds:.0f} s" in problem.detail


def test_a_problem_keeps_its_beginning_as_long_as_it_lasts() -> None:
    """And begins anew when it comes back."""
    one, other = (Problem(key, "notice", "s", "d") for key in ("one", "other"))
    told, known = since_when([one], {}, 10.0)
    assert told[0].since == 10.0
    told, known = since_when([other, one], known, 20.0)
    assert [each.since for each in told] == [20.0, 10.0]
    _, known = since_when([], known, 30.0)
    told, _ = since_when([one], known, 40.0)
    assert told[0].since == 40.0
    told, _ = since_when([one._replace(since=3.0)], {}, 50.0)
    assert told[0].since == 3.0
