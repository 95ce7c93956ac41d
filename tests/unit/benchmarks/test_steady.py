"""The part of a drain that is measured."""

from benchmarks.steady import steady


def test_beginning_and_end_of_a_drain_are_left_out() -> None:
    """From a tenth of the records to nine tenths of them."""
    assert steady([0, 50, 120, 400, 880, 950, 1_000], 1_000) == (2, 4)


def test_a_drain_of_few_steps_is_measured_whole() -> None:
    """No look, or no progress, lies between: better all of it than nothing."""
    assert steady([0, 960, 1_000], 1_000) == (0, 2)
    assert steady([0, 500, 500, 1_000], 1_000) == (0, 3)
