"""The contest runs: two contenders, few events, real services."""

from pathlib import Path

import pytest

from benchmarks.contest.__main__ import main
from benchmarks.contest.contenders import LOOP, WORKER
from benchmarks.contest.latency import main as latency
from benchmarks.contest.results import read


@pytest.mark.usefixtures("local_only")
def test_contest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each contender drains the whole backlog and publishes each prediction; both are in the table."""
    results = tmp_path / "results.jsonl"
    main(["--events", "12000", "--rounds", "1", "--results", str(results),
          "--only", WORKER, LOOP])  # fmt: skip
    lines = list(read(results))
    assert [line["contender"] for line in lines] == [LOOP, WORKER]
    for line in lines:
        assert line["is_whole"], line
        assert line["predictions"] == line["expected"] > 3_000
        assert line["cpu_us"] > 0
    told = capsys.readouterr().out
    assert f"\n| {WORKER} | " in told
    assert "rate, aligned, of the compiled loop: " in told


@pytest.mark.usefixtures("local_only")
def test_latency(tmp_path: Path) -> None:
    """The worker keeps up with a schedule, and each prediction is counted from when its record was due."""
    results = tmp_path / "results.jsonl"
    latency(["--only", WORKER, "--loads", "500", "--seconds", "4", "--results", str(results)])
    idle, line = read(results)
    assert 0 <= idle["idle_percent"] < 100
    assert line["keeps_up"], line
    assert 0 < line["p50_ms"] <= line["p99_ms"] <= line["p999_ms"]
