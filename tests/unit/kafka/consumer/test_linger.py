"""When a poll waits for more records, and when it does not."""

import math

import pytest

from stream_app.kafka.consumer.linger import Linger

MOMENT = 1_000.0
"""Of a monotonic clock."""
SECONDS = 0.003


def lingering() -> Linger:
    """One after a poll at `MOMENT` that brought all there was."""
    linger = Linger(SECONDS)
    linger.polled(MOMENT, is_behind=False)
    return linger


def test_the_first_record_does_not_wait() -> None:
    """Whatever the clock says when the process begins."""
    assert Linger(SECONDS).seconds_left(0.0) == 0.0


def test_a_lone_record_does_not_wait() -> None:
    """It comes when the time after the poll before is over."""
    assert lingering().seconds_left(MOMENT + SECONDS) == 0.0
    assert lingering().seconds_left(MOMENT + 60.0) == 0.0


def test_records_that_follow_closely_share_a_poll() -> None:
    """They wait for what is left of the time, so never longer than that."""
    linger = lingering()
    assert linger.seconds_left(MOMENT) == pytest.approx(SECONDS)
    assert linger.seconds_left(MOMENT + 0.001) == pytest.approx(SECONDS - 0.001)


def test_nothing_waits_while_records_are_at_hand() -> None:
    """A poll that left some behind is followed by the next one at once, as in a backlog."""
    linger = lingering()
    linger.polled(MOMENT + SECONDS, is_behind=True)
    assert linger.seconds_left(MOMENT + SECONDS) == 0.0
    linger.polled(MOMENT + 1.0, is_behind=False)
    assert linger.seconds_left(MOMENT + 1.0) == pytest.approx(SECONDS)


def test_nothing_waits_behind_a_batch_that_took_longer() -> None:
    """Under load the work itself is what records gather behind."""
    assert lingering().seconds_left(MOMENT + 0.080) == 0.0


def test_it_can_be_turned_off() -> None:
    """0 seconds: each poll follows the one before at once."""
    linger = Linger(0.0)
    linger.polled(MOMENT, is_behind=False)
    assert linger.seconds_left(MOMENT) == 0.0


@pytest.mark.parametrize("gap", [0.0001, 0.001, 0.0029, 0.0031, 0.01])
def test_polls_that_bring_records_are_no_closer_than_the_time(gap: float) -> None:
    """At a steady rate of any height; and no record waits longer."""
    linger, comes, polled_at = Linger(SECONDS), MOMENT, -math.inf
    for _ in range(1_000):
        polled = comes + linger.seconds_left(comes)
        assert polled - comes <= SECONDS
        assert polled - polled_at >= SECONDS - 1e-9
        linger.polled(polled, is_behind=False)
        polled_at = polled
        # The next poll takes all that came until then: the first to wait for it is the next to come.
        comes += gap * (math.floor((polled - comes) / gap) + 1)
