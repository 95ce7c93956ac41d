"""Groups on the status page: what is said of them, and when it is trouble."""

import json
import re
from pathlib import Path

import pytest

from stream_app.kafka.queries import Member
from stream_app.lag.fleet_status import FleetStatus, group_problems
from stream_app.lag.group import Standing
from stream_app.lag.verdict import Verdict
from stream_app.lag.waiting_records import Waiting
from stream_app.lag.watch import Known, PartitionLag, Sight
from stream_app.records.places import PartitionId
from stream_app.status_page.series import STEPS
from tests.browser.scenarios import fleet

RUNBOOK = Path(__file__).parents[3] / "docs" / "runbook.md"
NOW = 1_000.0


def group(
    verdict: Verdict = Verdict.OK,
    *,
    records: int = 3,
    seconds: float = 1.0,
    is_held: bool = True,
    drain_seconds: float | None = None,
    age: float = 0.0,
) -> Known:
    """A group with one partition."""
    member = Member("m", "worker", "/10.0.0.7", None) if is_held else None
    standing = Standing(5, 0, 9, member)
    waiting = Waiting(records, True, NOW - seconds)
    lag = PartitionLag(PartitionId("orders", 1), standing, waiting, 1.0, drain_seconds, verdict)
    return Known([lag], NOW - age)


TROUBLE = {
    "g stall": group(Verdict.STALL),
    "g stop": group(Verdict.STOP),
    "g rewind": group(Verdict.REWIND),
    "g warning": group(Verdict.WARNING),
    "g absent": group(Verdict.STOP, is_held=False),
    "g late": group(seconds=61.0),
    "g unseen": group(age=61.0),
}


@pytest.mark.parametrize("key", TROUBLE)
def test_each_fault_of_a_group_is_one_problem_with_its_section(key: str) -> None:
    """And says what to do."""
    (problem,) = group_problems("g", TROUBLE[key], NOW)
    assert problem.key == key
    assert problem.do.endswith(".")
    assert problem.runbook in re.findall(r"(?m)^## (\w+)$", RUNBOOK.read_text())


def test_a_group_that_keeps_up_has_no_problem() -> None:
    """Nor has one without members and without work: it was scaled to zero."""
    assert not list(group_problems("g", group(), NOW))
    assert not list(group_problems("g", group(records=0, is_held=False), NOW))


def test_a_group_of_which_nothing_was_told_is_not_well() -> None:
    """Nothing known is no 'All is well', whether the brokers never answered or know no such group."""
    (problem,) = group_problems("g", Known([], NOW - 5.0, is_seen=False, why="refused"), NOW)
    assert (problem.key, problem.level, problem.detail) == ("g awaited", "notice", "refused")
    (problem,) = group_problems("g", Known([], NOW - 61.0, is_seen=False), NOW)
    assert (problem.key, problem.level) == ("g awaited", "trouble")
    (problem,) = group_problems("g", Known([], NOW), NOW)
    assert (problem.key, problem.level) == ("g unknown", "trouble")


def test_what_nobody_has_counted_is_not_drawn() -> None:
    """While the brokers do not answer, only the age of what waits goes on; the page says why."""
    sight, now = Sight("g"), NOW
    status = FleetStatus([sight], clock=lambda: now, step_now=lambda: 3)
    sight.known = group(seconds=1.0)
    status.sample(1)
    sight.not_seen("Connection refused")
    now = NOW + 10.0
    status.sample(2)
    document = status.document()
    assert document["lag"]["records"][-2:] == [3, None]
    assert document["lag"]["seconds"][-2:] == [1.0, 11.0]
    assert document["partitions"][0]["history"]["records"][-2:] == [3, None]
    assert document["groups"][0]["history"]["offsets_per_second"][-2:] == [1.0, None]
    unseen = next(each for each in document["problems"] if each["key"] == "g unseen")
    assert (unseen["level"], unseen["detail"]) == ("notice", "Connection refused")
    now = NOW + 61.0
    status.sample(3)
    problems = status.document()["problems"]
    assert {each["key"]: each["level"] for each in problems}["g unseen"] == "trouble"


def test_a_group_that_was_never_seen_has_no_figures() -> None:
    """Nought records of a group that nobody could ask for would read as done."""
    told = FleetStatus([Sight("g")]).document()["groups"][0]
    assert [told[name] for name in ("records", "seconds", "members", "looked_at")] == [None] * 4


def test_a_group_that_catches_up_is_no_trouble() -> None:
    """When it will be done is told."""
    (problem,) = group_problems("g", group(seconds=90.0, drain_seconds=12.0), NOW)
    assert problem.level == "notice"
    assert problem.detail == "orders[1]: 90 s, 3 records, done in 12 s"


def test_all_partitions_of_all_groups_are_told_with_what_the_command_tells() -> None:
    """The total counts those without a history of their own, too."""
    document = fleet().status.document()
    json.dumps(document, allow_nan=False)
    assert document["kind"] == "fleet"
    assert [each["members"] for each in document["groups"]] == [3, 3, 3]
    assert len(document["partitions"]) == 8 + 4 + 30
    stalled = next(each for each in document["partitions"] if each["verdict"] == "stall")
    assert (stalled["group"], stalled["topic"], stalled["partition"]) == ("billing", "topic-1", 0)
    assert stalled["member"] == "billing@worker-0 10.0.0.7"
    assert len(stalled["history"]["seconds"]) == STEPS
    assert document["lag"]["records"][-1] == sum(each["records"] for each in document["partitions"])
    assert document["problems"][0]["key"] == "billing stall"
