"""The status page of several workers of one host: added up, and each named."""

import json

import pytest

from stream_app.status_page.series import STEPS
from stream_app.supervisor.merged_status import merged_status
from tests.browser.scenarios import healthy, in_trouble


def test_figures_are_added_up_and_each_problem_names_its_worker() -> None:
    """A page of one worker and that of several have the same fields."""
    one, other = healthy().status.document(), in_trouble().status.document()
    merged = merged_status({0: one, 1: other}, now=10.0)
    json.dumps(merged, allow_nan=False)
    assert merged.keys() - one.keys() == {"workers"}
    assert not one.keys() - merged.keys()
    assert merged["problems"][0]["sentence"].startswith("Worker 1: The worker waits for redis")
    rates = [each["throughput"]["predicted"][5] for each in (one, other, merged)]
    assert rates[0] + rates[1] == pytest.approx(rates[2], abs=0.1)
    assert len(merged["partitions"]) == len(one["partitions"]) + len(other["partitions"])
    assert merged["lag"]["seconds"][-1] == other["lag"]["seconds"][-1]
    assert merged["latency"]["last_minute"] == one["latency"]["last_minute"]
    assert sum(each["share"] for each in merged["serving"]) == pytest.approx(1.0, abs=0.001)
    counts = [
        sum(each["count"] for each in document["dead_letters"]["last_ten_minutes"])
        for document in (one, other, merged)
    ]
    assert counts[0] + counts[1] == counts[2]
    assert merged["waits"][0]["service"] == "redis (worker 1)"
    assert {each["what"].partition(":")[0] for each in merged["happenings"]} == {
        "Worker 0",
        "Worker 1",
    }


def test_a_worker_that_does_not_answer_is_a_problem_and_the_others_are_told() -> None:
    """Also where none of them answers."""
    merged = merged_status({0: None, 1: healthy().status.document()}, now=10.0)
    assert [each["sentence"] for each in merged["problems"]] == ["Worker 0 does not answer"]
    assert merged["partitions"]
    nobody = merged_status({0: None, 1: None}, now=10.0)
    assert len(nobody["problems"]) == 2
    assert nobody["throughput"]["predicted"] == [None] * STEPS
    assert nobody["serving"] == []


def test_workers_that_are_well_are_well_together() -> None:
    """And no share is made of nothing."""
    merged = merged_status({n: healthy().status.document() for n in range(3)}, now=10.0)
    assert merged["problems"] == []
    assert merged["worker"] == "3 workers of one host"
    assert merged["serving"][0]["share"] == 1.0
