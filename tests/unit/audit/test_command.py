"""The command's arguments, and the words of its report."""

import math
from pathlib import Path

import pytest
from click.testing import CliRunner

from stream_app.audit.ledger import Kind, Ledger, Terms
from stream_app.audit.report import PartitionReport, Report
from stream_app.audit.scope import Scope
from stream_app.audit.wording import lines
from stream_app.cli import main
from stream_app.records.places import PartitionId


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--since", "2026-03-01T08:00:00"], "expected a time such as"),
        (["--since", "yesterday"], "expected a time such as"),
        (["--since", "2026-03-01"], "expected a time such as"),
        (
            ["--since", "2026-03-01T08:00:00Z", "--until", "2026-03-01T09:00:00+02:00"],
            "--since must be earlier",
        ),
        (["--partition", "flights"], "expected TOPIC:NUMBER"),
        (["--partition", "flights:x"], "expected TOPIC:NUMBER"),
        (["--offsets", "1-2"], "needs exactly one --partition"),
        (["--partition", "a:1", "--partition", "a:2", "--offsets", "1-2"], "needs exactly one"),
        (["--partition", "a:1", "--offsets", "2-1"], "lies behind the last"),
        (["--partition", "a:1", "--offsets", "-"], "expected FIRST-LAST"),
        (["--partition", "a:1", "--offsets", "x-2"], "expected FIRST-LAST"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(arguments: list[str], complaint: str) -> None:
    """Before anything is connected to."""
    result = CliRunner().invoke(main, ["audit", "features.flights:usecase", *arguments])
    assert result.exit_code == 2, result.output
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--partition", "a:1"], Scope(partitions=frozenset({PartitionId("a", 1)}))),
        (["--partition", "a[1]"], Scope(partitions=frozenset({PartitionId("a", 1)}))),
        (["--partition", "a:1", "--offsets", "4-9"], Scope(None, None, frozenset({PartitionId("a", 1)}), 4, 9)),
        (["--partition", "a:1", "--offsets", "4-"], Scope(None, None, frozenset({PartitionId("a", 1)}), 4)),
        (["--partition", "a:1", "--offsets", "-9"], Scope(None, None, frozenset({PartitionId("a", 1)}), None, 9)),
        (["--partition", "a:1", "--offsets", "4"], Scope(None, None, frozenset({PartitionId("a", 1)}), 4, 4)),
        (["--since", "1970-01-01T01:00:00+01:00"], Scope(since=0.0)),
        ([], Scope()),
    ],
)  # fmt: skip
def test_a_range_may_be_written_as_it_is_printed(
    given: list[str], expected: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ends are included, and either may be left out."""
    asked: list[Scope] = []

    def audit(_settings: object, _usecase: object, scope: Scope, **_options: object) -> Report:
        asked.append(scope)
        return Report("application", doubles_fail=False)

    monkeypatch.setattr("stream_app.cli.audit.audit", audit)
    result = CliRunner().invoke(main, ["audit", "features.flights:usecase", *given])
    assert result.exit_code == 0, result.output
    assert asked == [expected]


def report(*, doubles_fail: bool = False, removed_until: float = -math.inf) -> Report:
    """Of five records, one is double, one missing, one waiting; two offsets are gone."""
    ledger = Ledger(2, 7)
    kinds = [Kind.RECORD | Kind.ASKS] * 5
    ledger.records(range(2, 7), kinds, [1] * 5)
    ledger.predictions([2, 3, 3, 5])
    made = Report("application", doubles_fail=doubles_fail)
    partition = PartitionReport(PartitionId("events", 0), 0, 7, 2, 6, None)
    made.add_gone(partition, 0, 2)
    made.add(partition, ledger.judge(Terms(6, None, removed_until)))
    return made


def test_the_words_name_every_offset_and_end_with_the_verdict() -> None:
    """What is missing, double or gone is listed; the last line says whether that is a failure."""
    told = list(lines(report()))
    assert "missing                      1" in told
    assert told[told.index("Missing:") + 1] == "  events[0] 4"
    assert told[told.index("More than once:") + 1] == "  events[0] 3"
    assert told[told.index("Gone by retention:") + 1] == "  events[0] 0-1"
    assert told[-1] == "Failed: 1 missing."
    assert list(lines(report(doubles_fail=True)))[-1] == "Failed: 1 missing, 1 more than once."


def test_the_status_is_that_of_the_worst() -> None:
    """Missing or, where they count, double: 1; not proven: 2."""
    assert report().exit_status == 1
    unproven = report(removed_until=5.0)
    assert (unproven.missing, unproven.unproven, unproven.exit_status) == (0, 1, 2)
    assert list(lines(unproven))[-1].startswith("Not proven")
    assert report(removed_until=5.0, doubles_fail=True).exit_status == 1


def test_the_guide_names_every_figure_of_the_json() -> None:
    """A figure that is not explained helps nobody."""
    guide = (Path(__file__).parents[3] / "docs" / "audit.md").read_text(encoding="utf-8")
    unnamed = [name for name in report().as_json() if f"`{name}`" not in guide]
    assert unnamed == []
