"""What is thought of a partition, by the figures of ten looks."""

import pytest

from stream_app.lag.verdict import LOOKS, Look, Verdict, Window


def window(*looks: tuple[int, int], held: bool = True, looks_kept: int = LOOKS) -> Window:
    """A look a second, each a next offset and an end."""
    made = Window(looks_kept)
    for second, (next_offset, end) in enumerate(looks):
        made.add(Look(float(second), next_offset, end, max(0, end - next_offset), held))
    return made


STILL = [(10, 20)] * LOOKS

CASES: dict[str, tuple[list[tuple[int, int]], bool, Verdict]] = {
    "nothing waits": ([(20, 20)] * LOOKS, True, Verdict.OK),
    "nothing waits, at the first look": ([(20, 20)], True, Verdict.OK),
    "nothing waits, and nobody is there": ([(20, 20)] * LOOKS, False, Verdict.OK),
    "something waits, at the first look": ([(10, 20)], True, Verdict.UNDECIDED),
    "something waits, one look too few": (STILL[1:], True, Verdict.UNDECIDED),
    "held, and nothing moves": (STILL, True, Verdict.STALL),
    "held, and more comes": ([(10, 20 + n) for n in range(LOOKS)], True, Verdict.STALL),
    "held by nobody": (STILL[:2], False, Verdict.STOP),
    "it catches up": ([(10 + n, 30) for n in range(LOOKS)], True, Verdict.OK),
    "it is steady": ([(10 + n, 20 + n) for n in range(LOOKS)], True, Verdict.OK),
    "it falls behind": ([(10 + n, 20 + 2 * n) for n in range(LOOKS)], True, Verdict.WARNING),
    "it falls behind, and caught up once": (
        [(10, 20), *((10 + n, 20 + 2 * n) for n in range(1, LOOKS - 1)), (30, 45)],
        True,
        Verdict.OK,
    ),
    "it was done once": ([(20, 20), *((20, 21 + n) for n in range(LOOKS - 1))], True, Verdict.OK),
    "it was set back": ([(10, 20), (15, 20), (5, 20)], True, Verdict.REWIND),
    "it was set back to an end that shrank": ([(20, 20), (10, 10)], True, Verdict.REWIND),
}


@pytest.mark.parametrize("name", CASES)
def test_a_verdict_follows_burrows_rules(name: str) -> None:
    """Each case is a window of looks and what is to be thought of it."""
    looks, held, expected = CASES[name]
    assert window(*looks, held=held).verdict is expected


def test_a_partition_that_the_flood_breaker_stopped_is_named_at_once() -> None:
    """It stands on purpose: that is no stall, and needs no ten looks; and it is over when it goes on."""
    made = Window()
    made.add(Look(0.0, 10, 20, 10, True, is_stopped=True))
    assert made.verdict is Verdict.FLOOD
    assert made.verdict.is_bad
    made.add(Look(1.0, 12, 20, 8, True))
    assert made.verdict is Verdict.UNDECIDED


def test_a_rewind_is_forgotten_with_its_window() -> None:
    """What happened longer ago says nothing of now."""
    back = window((15, 20), (5, 20))
    for second in range(LOOKS):
        back.add(Look(2.0 + second, 20, 20, 0, True))
    assert back.verdict is Verdict.OK


def test_a_member_that_came_meanwhile_is_given_its_time() -> None:
    """Nobody held the partition before; it is no stop any more, and no stall yet."""
    found = window((10, 20), (10, 20), held=False)
    found.add(Look(2.0, 10, 20, 10, True))
    assert found.verdict is Verdict.UNDECIDED


def test_rates_are_those_of_the_window() -> None:
    """Ten a second are done and four a second come: sixty waiting are gone in ten seconds."""
    found = window(*((100 + 10 * n, 214 + 4 * n) for n in range(LOOKS)))
    assert found.rate == 10.0
    assert found.drain_seconds == pytest.approx((214 + 36 - 190) / 6)


def test_there_is_no_end_in_sight_where_the_lag_does_not_shrink() -> None:
    """Nor where one look is all there is; where nothing waits it is now."""
    assert window(*STILL).drain_seconds is None
    assert window((10, 20)).drain_seconds is None
    assert window((20, 20)).drain_seconds == 0.0
    assert window((20, 20)).rate is None
