"""Hostile records through a real worker: each has one end, and the worker stays up."""

import pytest

from tests.fuzz.through_worker import through_worker
from tests.integration.testbed import Testbed


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_each_of_some_thousand_hostile_records_has_exactly_one_end(
    meters: Testbed, delivery: str
) -> None:
    """As `python -m tests.fuzz --worker --records 200000` does with more."""
    meters.settings["delivery"] = delivery
    outcomes = through_worker(meters, 3_000, seed=5)
    assert outcomes["prediction"] > 100
    assert outcomes["update"] > 300
    assert len(outcomes) > 15
