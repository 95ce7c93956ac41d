"""A worker whose clock is days behind, on partitions that others have worked on."""

import pytest

from tests.chaos import clock
from tests.integration.testbed import Testbed

DAYS = 2 * 86_400


@pytest.mark.skipif(bool(clock.lacks()), reason=clock.lacks() or "nothing is lacking")
def test_not_even_the_first_record_is_dead_lettered_for_a_clock_that_is_behind(
    tickets: Testbed,
) -> None:
    """Those before it in the log accuse the clock; the next worker, whose clock is right, takes it."""
    records = tickets.tickets(40)
    tickets.cluster.produce(records[:-1])
    with tickets.worker() as worker:
        worker.until("all is done", tickets.drained)
    tickets.cluster.produce(records[-1:])
    late = tickets.worker(refusal_seconds=2).environment(**clock.shifted(-DAYS))
    with late:
        assert late.wait() == 1
        assert "set the clock" in late.log
    assert tickets.dead_letters() == []
    with tickets.worker() as worker:
        worker.until("all is done", tickets.drained)
    assert len(tickets.predictions()) == 40
