"""A few rounds of faults, short enough for every run of the tests."""

from collections.abc import Iterator

import pytest

from tests.chaos.run import available_faults, play
from tests.chaos.schedule import draw
from tests.chaos.services import Services
from tests.services import choose

#: A round takes 10 to 20 s on two cores; on a slow machine several times that.
_SECONDS = 600

#: By number of brokers: the seed of a short round, how many faults it has, and how it delivers.
_ROUNDS = {1: (3010, 6, "at_least_once"), 3: (3009, 5, "exactly_once")}


@pytest.fixture(scope="module", params=[1, 3], ids=["one broker", "three brokers"])
def services(request: pytest.FixtureRequest) -> Iterator[Services]:
    """Brokers and a Redis that are ours to kill."""
    option = request.config.getoption("--services")
    if choose(option) != "local":
        pytest.skip(f"kills local services, and this run has --services={option}")
    with Services(request.param) as services:
        yield services


@pytest.mark.timeout(_SECONDS)
def test_a_round_of_faults_loses_nothing(services: Services) -> None:
    """Each record has its answer, the state is the log's, and the audit says so.

    To play such a round again: `python -m tests.chaos --seed ... --brokers ... --mode ...`.
    """
    brokers = len(services.brokers)
    seed, count, mode = _ROUNDS[brokers]
    schedule = draw(seed, available_faults(), brokers=brokers, faults=count)
    outcome = play(schedule, mode, services)
    logs = "\n\n".join(outcome.logs.values()) if outcome.problems else ""
    assert not outcome.problems, f"{outcome.problems}\n{schedule}\n{logs}"
