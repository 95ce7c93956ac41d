"""The audit has to come to the verdict's end, and where it does not that is told."""

from dataclasses import dataclass, field
from typing import Any

from tests.chaos.history import History, Incarnation
from tests.chaos.reckoning import Reckoning, disagreement
from tests.chaos.verdict import Fates


@dataclass
class Said:
    """What an audit reports, as far as it is looked at."""

    exit_status: int = 0
    records: int = 10
    missing: int = 0
    double: int = 0
    states_differ: int = 0
    waiting: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether it found something."""
        return self.exit_status == 1


def found(*problems: str, lost: tuple[Any, ...] = (), cut: int = 0) -> Reckoning:
    """What the verdict found."""
    fates = Fates(lost, 0, (), 0, 0, ())
    return Reckoning(10, 10, 5, 1, fates, 0, cut, 0, True, list(problems))


def told(said: Said, reckoning: Reckoning, history: History | None = None) -> str:
    """How they disagree."""
    report: Any = said
    return disagreement(report, reckoning, history or History())


def test_where_both_say_the_same_there_is_nothing_to_tell() -> None:
    """All is well, or the same is missing."""
    assert told(Said(), found()) == ""
    lost = found("1 records are lost", lost=(("in", 0, 1),))
    assert told(Said(exit_status=1, missing=1), lost) == ""


def test_an_audit_that_says_fine_where_the_verdict_does_not_has_failed() -> None:
    """Whatever the verdict's problem is."""
    assert "the audit says fine" in told(Said(), found("an answer is broken"))


def test_an_audit_that_cries_wolf_has_failed_too() -> None:
    """And so has one that proves nothing, unless what it would prove it by is gone."""
    assert "the verdict passes" in told(Said(exit_status=1, states_differ=1), found())
    assert "unproven" in told(Said(exit_status=2), found())
    deleted = History([Incarnation("in", "old", "cluster", [], {})])
    assert told(Said(exit_status=2), found(), deleted) == ""


def test_both_count_the_same_records() -> None:
    """Those of today's topics."""
    assert "counts 9 records" in told(Said(records=9), found())
    lost = found("2 records are lost", lost=(("in", 0, 1), ("in", 0, 2)))
    assert "1 missing" in told(Said(exit_status=1, missing=1), lost)


def test_what_the_brokers_forgot_is_missing_for_an_audit() -> None:
    """And rightly fails it; more than that is more than the brokers forgot."""
    assert told(Said(exit_status=1, missing=2), found(cut=2)) == ""
    assert "3 missing" in told(Said(exit_status=1, missing=3), found(cut=2))
