"""Table and plots, from a file of results."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.contest.contenders import LOOP, WORKER
from benchmarks.contest.latencies import curves
from benchmarks.contest.report import plots, report
from benchmarks.contest.results import Results, last_run, read
from benchmarks.contest.trials import told_of_kill, told_of_malformed

DRAINED = {
    "cpu_us": 20.0, "peak_mib": 100.0, "expected": 10, "predictions": 10,
    "guarantee": "at least once",
}  # fmt: skip


def written(path: Path) -> list[dict[str, Any]]:
    """A file of two runs."""
    old = Results(path, "old", {"python": "CPython 3.11.7 with PGO", "cores": 2})
    old.add("drain", WORKER, round=0, rate=1.0, **DRAINED)
    new = Results(path, "new", {"python": "CPython 3.11.7 without PGO", "cores": 2})
    for number, rate in enumerate((30_000.0, 33_000.0, 36_000.0)):
        new.add("drain", LOOP, round=number, rate=30_000.0, **DRAINED)
        new.add("drain", WORKER, round=number, rate=rate, **DRAINED)
    new.add("drain", "a peer", round=0, error="ended with 1: no wheel")
    new.add("latency", WORKER, round=0, load=1_000, p50_ms=2.0, p99_ms=5.0, p999_ms=9.0,
            cpu_us=40.0, keeps_up=True)  # fmt: skip
    new.add("latency", LOOP, round=0, load=1_000, keeps_up=False)
    return list(read(path))


def test_newest_run(tmp_path: Path) -> None:
    """The report is of the newest run alone."""
    found = written(tmp_path / "results.jsonl")
    assert {line["run"] for line in last_run(found, "drain")} == {"new"}
    assert "CPython 3.11.7 without PGO" in report(found)


def test_row(tmp_path: Path) -> None:
    """A row has the median its spread and the ratio within each round."""
    text = report(written(tmp_path / "results.jsonl"))
    assert (
        "| worker | 33,000 (30,000 to 36,000) | 20.0 (20.0 to 20.0) | 1.10 (1.00 to 1.20) |" in text
    )


def test_error(tmp_path: Path) -> None:
    """Who could not run is named with the error."""
    text = report(written(tmp_path / "results.jsonl"))
    assert "| a peer | did not run: ended with 1: no wheel |" in text


def test_falls_behind(tmp_path: Path) -> None:
    """A contender that falls behind has no percentiles."""
    text = report(written(tmp_path / "results.jsonl"))
    assert f"| {LOOP} | 1,000 | does not keep up |" in text
    assert f"| {WORKER} | 1,000 | 2.0 | 5.0 | 9.0 | 40.0 |" in text


def test_latencies_of_several_rounds_are_told_as_medians(tmp_path: Path) -> None:
    """With the lowest and the highest; and a contender that kept up in some rounds did not keep up."""
    results = Results(tmp_path / "results.jsonl", "r", {})
    for number, p99 in enumerate((7.0, 5.0, 30.0)):
        figures = {"p50_ms": 2.0, "p99_ms": p99, "p999_ms": 40.0, "cpu_us": 60.0}
        for load in (2_000, 1_000):
            results.add("latency", WORKER, round=number, load=load, keeps_up=True, **figures)
        results.add("latency", LOOP, round=number, load=1_000, keeps_up=number < 2, **figures)
    text = report(results.lines)
    row = "2.0 (2.0 to 2.0) | 7.0 (5.0 to 30.0) | 40.0 (40.0 to 40.0) | 60.0 (60.0 to 60.0)"
    assert f"| {WORKER} | 1,000 | {row} |\n| {WORKER} | 2,000 | {row} |\n" in text
    assert f"| {LOOP} | 1,000 | does not keep up in 1 of 3 |" in text
    assert curves(results.lines)[WORKER] == [(1_000, 7.0), (2_000, 7.0)]


def test_lacking(tmp_path: Path) -> None:
    """Predictions that lack are told beside the guarantee."""
    results = Results(tmp_path / "results.jsonl", "r", {})
    results.add("drain", WORKER, round=0, rate=1.0, **{**DRAINED, "predictions": 7})
    assert "at least once; 3 predictions lacked" in report(results.lines)


def test_plots(tmp_path: Path) -> None:
    """Each plot is xml that names the contenders."""
    drawn = plots(written(tmp_path / "results.jsonl"))
    assert drawn.keys() == {"contest-rate.svg", "contest-cpu.svg", "contest-latency.svg"}
    for svg in drawn.values():
        assert WORKER in "".join(ElementTree.fromstring(svg).itertext())


def test_no_results() -> None:
    """Without results there is no plot."""
    assert plots([]) == {}


def test_told_of_kill() -> None:
    """What a kill did is told by what was seen."""
    seen = {"kill_lost": 0, "kill_doubles": 1_278, "kill_updates": 9, "kill_updates_expected": 9}
    assert told_of_kill(seen) == "nothing lost, 1,278 twice, states exact"
    lossy = {"kill_lost": 3, "kill_doubles": 0, "kill_updates": 12, "kill_updates_expected": 9}
    assert told_of_kill(lossy) == "3 predictions lost, none twice, +3 updates of states"
    own = {"kill_lost": 0, "kill_doubles": 0, "kill_updates": 0, "kill_updates_expected": 9}
    assert told_of_kill(own) == "nothing lost, none twice"


def test_told_of_malformed() -> None:
    """What a malformed record did is told by what was seen."""
    seen = {
        "malformed_records": 3, "malformed_dead_letters": 3, "malformed_expected": 10,
        "malformed_predictions": 10, "malformed_ended": "",
    }  # fmt: skip
    assert told_of_malformed(seen) == "a dead letter each"
    assert told_of_malformed(seen | {"malformed_dead_letters": 0}) == "0 of 3 dead letters"
    ended = seen | {"malformed_ended": "ended: x", "malformed_predictions": 4}
    assert told_of_malformed(ended) == "ends the process; 6 predictions lacked"
