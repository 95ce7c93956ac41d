"""The part of a drain that is measured."""

from benchmarks.steady import steady


def test_beginning_and_end_of_a_drain_are_left_out() -> None:
    """From a tenth of the records to nine tenths of them."""
    looks = [0, 50, 120, 240, 400, 520, 640, 760, 880, 950, 1_000]
    assert steady(looks, 1_000) == (2, 8)


def test_a_drain_of_few_steps_is_measured_whole() -> None:
    """No look, or no progress, or a jump lies between: better all of it than nothing, or than the jump."""
    assert steady([0, 960, 1_000], 1_000) == (0, 2)
    assert steady([0, 500, 500, 1_000], 1_000) == (0, 3)
    assert steady([0, 0, 0, 110, 880, 1_000], 1_000) == (0, 5)
