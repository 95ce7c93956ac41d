"""Results are kept a line a round, and added up by delivery mode."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.results import BEGIN, END, PAGE, RESULTS, Result, append, main, read, table

RESULT = Result(
    seed=1, commit="0123456789ab", mode="at_least_once", brokers=1, group_protocol="classic",
    faults={"worker-killed": 3, "redis-cut": 1}, records=9_000, predictions=3_000, dead_letters=90,
    lost=0, double=40, differing=2, state_equal=True, worker_starts=5, worker_exits=0, seconds=21.5,
    entities=4, peak_memory_mib=180, audit="it counts 9", problems=("3 are lost",),
)  # fmt: skip


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    """In order, and a file that is not there holds nothing."""
    file = tmp_path / "docs" / "results.jsonl"
    assert read(file) == []
    other = replace(RESULT, seed=2)
    append(RESULT, file)
    append(other, file)
    assert read(file) == [RESULT, other]


def test_lines_of_earlier_versions_are_read(tmp_path: Path) -> None:
    """They lack what was not looked at then."""
    file = tmp_path / "results.jsonl"
    append(RESULT, file)
    line = json.loads(file.read_text())
    new = ("entities", "wrong_ends", "broken", "gone", "peak_memory_mib", "audit", "problems")
    file.write_text(json.dumps({name: v for name, v in line.items() if name not in new}) + "\n")
    assert read(file) == [replace(RESULT, entities=0, peak_memory_mib=0, audit="", problems=())]


def test_the_table_adds_up_by_mode() -> None:
    """Faults by kind, and nothing of one mode in the other."""
    worse = replace(RESULT, seed=2, lost=3, state_equal=False)
    once = replace(RESULT, mode="exactly_once", double=0, faults={"worker-killed": 5}, problems=())
    lines = table([RESULT, worse, once]).splitlines()
    assert "| `at_least_once` | 2 | 0 | 8 | 0 | 18,000 | 3 | 80 | 1 of 2 | 10 |" in lines
    assert "| `exactly_once` | 1 | 1 | 5 | 5 | 9,000 | 0 | 0 | 1 of 1 | 5 |" in lines
    assert "| worker-killed | 6 | 5 |" in lines
    assert "| redis-cut | 2 | 0 |" in lines


def test_the_table_is_written_between_the_markers(tmp_path: Path) -> None:
    """Twice leaves the page as once does, and a page without markers is left alone."""
    file, page = tmp_path / "results.jsonl", tmp_path / "page.md"
    append(RESULT, file)
    page.write_text(f"# Page\n\n{BEGIN}\nold\n{END}\n\nthe rest\n")
    for _ in range(2):
        main(["--results", str(file), "--write", str(page)])
        assert page.read_text() == f"# Page\n\n{BEGIN}\n\n{table([RESULT])}\n\n{END}\n\nthe rest\n"
    page.write_text("nothing")
    with pytest.raises(SystemExit, match="has no markers"):
        main(["--results", str(file), "--write", str(page)])
    assert page.read_text() == "nothing"


def test_the_page_of_the_project_is_up_to_date() -> None:
    """`docs/chaos.md` holds the table of `docs/chaos-results.jsonl`."""
    assert f"{BEGIN}\n\n{table(read(RESULTS))}\n\n{END}" in PAGE.read_text()
