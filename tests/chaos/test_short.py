"""A few rounds of faults, short enough for every run of the tests."""

from collections.abc import Iterator

import pytest

from tests.chaos.grounds import Grounds
from tests.chaos.run import MODES, available_faults, available_modes, play
from tests.chaos.schedule import draw
from tests.services import choose

#: A round takes 20 to 40 s on two cores; on a slow machine several times that.
_SECONDS = 600

#: By number of brokers: rounds that have faults of many kinds.
_SEEDS = {1: 2018, 3: 1276}


@pytest.fixture(scope="module", params=[1, 3], ids=["one broker", "three brokers"])
def grounds(request: pytest.FixtureRequest) -> Iterator[Grounds]:
    """Brokers and a Redis that are ours to kill."""
    option = request.config.getoption("--services")
    if choose(option) != "local":
        pytest.skip(f"kills local services, and this run has --services={option}")
    with Grounds(request.param) as grounds:
        yield grounds


@pytest.mark.timeout(_SECONDS)
@pytest.mark.parametrize("mode", MODES)
def test_a_round_of_faults_loses_nothing(grounds: Grounds, mode: str) -> None:
    """Each record has its answer, and the state is the log's.

    To play the round again: `python -m tests.chaos --seed ... --brokers ... --mode ...`.
    """
    if mode not in available_modes():
        pytest.skip(f"the worker knows no {mode} yet")
    brokers = len(grounds.brokers)
    schedule = draw(_SEEDS[brokers], available_faults(), brokers=brokers)
    outcome = play(schedule, mode, grounds)
    logs = "\n\n".join(outcome.logs) if outcome.problems else ""
    assert not outcome.problems, f"{outcome.problems}\n{schedule}\n{logs}"
