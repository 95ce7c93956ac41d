"""When refusals are a flood."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.flood.refusal_counts import Limit, Limits, RefusalCounts

NEVER = Limit(1_000, 1.0)


def first_stop(limits: Limits, fates: Sequence[str]) -> int | None:
    """The number of the record that stops, from 0; fates are "passed", "poison" or "bug"."""
    counts = RefusalCounts(limits)
    for number, fate in enumerate(fates):
        if fate == "passed":
            counts.passed()
        elif counts.refused(fate) is not None:
            return number
    return None


def reference(limits: Limits, fates: Sequence[str]) -> int | None:
    """The same, by the words of the settings, with no state kept from record to record."""
    for number, fate in enumerate(fates):
        if fate == "passed":
            continue
        limit = {"poison": limits.poison, "bug": limits.bug}[fate]
        until_now = fates[: number + 1]
        passed = [at for at, each in enumerate(until_now) if each == "passed"]
        row = until_now[passed[-1] + 1 if passed else 0 :].count(fate)
        share = until_now[-limits.window_records :].count(fate) / limits.window_records
        if row >= limit.in_a_row or share > limit.share:
            return number
    return None


limits_of_any_kind = st.builds(
    Limits,
    st.builds(Limit, st.integers(1, 8), st.sampled_from([0.125, 0.25, 0.5, 0.75, 1.0])),
    st.builds(Limit, st.integers(1, 8), st.sampled_from([0.125, 0.25, 0.5, 0.75, 1.0])),
    st.sampled_from([1, 2, 4, 8, 16]),
)


@given(limits_of_any_kind, st.lists(st.sampled_from(["passed", "passed", "poison", "bug"])))
def test_it_stops_where_the_words_of_the_settings_say(limits: Limits, fates: list[str]) -> None:
    """At the same record as a count made anew at each record, from all of them."""
    assert first_stop(limits, fates) == reference(limits, fates)


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 3)), max_size=30))
def test_records_that_pass_may_be_counted_together(runs: list[tuple[int, int]]) -> None:
    """So many at once are as many one by one."""
    limits = Limits(Limit(5, 0.3), NEVER, 20)
    together, alone = RefusalCounts(limits), RefusalCounts(limits)
    for passed, refused in runs:
        together.passed(passed)
        for _ in range(passed):
            alone.passed()
        for _ in range(refused):
            assert together.refused("poison") == alone.refused("poison")


def test_poison_and_bug_have_limits_of_their_own() -> None:
    """Neither counts towards the other's, and neither ends the other's run."""
    limits = Limits(Limit(3, 1.0), Limit(2, 1.0), 100)
    assert first_stop(limits, ["poison", "poison", "bug", "poison"]) == 3
    assert first_stop(limits, ["bug", "poison", "bug"]) == 2
    assert first_stop(limits, ["poison", "bug", "poison", "passed"] * 9) is None


def test_a_topic_that_is_nearly_silent_is_not_stopped_by_its_first_bad_record() -> None:
    """Records that have not come yet count as passed."""
    assert first_stop(Limits(Limit(100, 0.5), NEVER, 1_000), ["poison"] * 50) is None


@pytest.mark.parametrize(
    ("fates", "why"),
    [
        (["poison"] * 3, "3 records in a row were refused (poison)"),
        (["poison", "passed"] * 5, "3 of the last 5 records were refused (poison)"),
        (["passed"] * 20 + ["poison", "passed"] * 5, "3 of the last 5 records were refused (poison)"),
    ],
)  # fmt: skip
def test_it_says_why(fates: list[str], why: str) -> None:
    """In figures, for the log."""
    counts = RefusalCounts(Limits(Limit(3, 0.5), NEVER, 5))
    told: list[str | None] = []
    for fate in fates:
        if fate == "passed":
            counts.passed()
        else:
            told.append(counts.refused(fate))
    assert next(each for each in told if each) == why


def test_what_is_neither_poison_nor_bug_counts_as_poison() -> None:
    """A disposition comes from a failure, which is data."""
    assert first_stop(Limits(Limit(2, 1.0), NEVER, 10), ["poison", "poison"]) == 1
    counts = RefusalCounts(Limits(Limit(2, 1.0), NEVER, 10))
    counts.refused("unknown")
    assert counts.refused("poison")


def test_its_memory_is_bounded_by_the_window() -> None:
    """However many are refused while nothing is stopped."""
    counts = RefusalCounts(Limits(Limit(10**9, 1.0), NEVER, 10))
    for _ in range(1_000):
        assert counts.refused("poison") is None
    assert len(counts._refused["poison"]) <= 10
