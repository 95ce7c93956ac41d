"""Growth, the parts that need no service: which points there are, what is made of looks, and what is told."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.growth.feed import readings
from benchmarks.growth.judging import judged
from benchmarks.growth.measure import Look, Measured, measured_of
from benchmarks.growth.points import VARIABLES, Point, points
from benchmarks.growth.report import section, write_plots
from benchmarks.growth.results import Known, append, latest, read
from benchmarks.growth.shape import MLP, Reading, Shape, make_usecase, written_usecase
from benchmarks.page_section import put_into
from benchmarks.scrape import parsed

RUN = {"began": "2026-01-01T00:00:00+00:00", "commit": "abc", "python": "3.11", "cores": 2}


def looks(*, rate: float = 1_000.0, cpu_us: float = 50.0, end: int = 20_000) -> list[Look]:
    """Four looks a second at a worker that does as many records a second."""
    return [
        Look(at / 4, round(rate * at / 4), rate * at / 4 * cpu_us / 1e6, 2**20 * 100.0)
        for at in range(round(4 * end / rate) + 1)
    ]


def known(value: float, cpu_us: float, *, growth: float = 0.0) -> Known:
    """A value of a variable."""
    return Known(
        value, 1e9 / cpu_us, cpu_us, 250.0, growth, 1, [(0.0, 0, 99.0), (1.0, 9, 100.0)], RUN
    )


@pytest.mark.parametrize("quick", [True, False])
def test_a_run_has_points_of_every_variable(quick: bool) -> None:
    """Also the short one."""
    assert {point.variable for point in points(quick=quick)} == set(VARIABLES)


def test_a_point_differs_from_the_others_in_its_variable_alone() -> None:
    """But for the number of events, which follows from how large or how long they are."""
    for point in points(quick=False):
        usual = replace(
            point, shape=Shape(), entities=10_000, payload_bytes=300, malformed=0.0, workers=1, rate=0.0
        )  # fmt: skip
        differing = [
            name
            for name in ("shape", "entities", "payload_bytes", "malformed", "workers", "rate")
            if getattr(point, name) != getattr(usual, name)
        ]
        assert len(differing) <= 1, point


def test_an_unknown_variable_is_named() -> None:
    """With those that there are."""
    with pytest.raises(ValueError, match=r"no variable colour: partitions, entities"):
        points(quick=True, only=["colour"])


@pytest.mark.parametrize("shape", [Shape(columns=8), Shape(columns=33), Shape(columns=512)])
def test_a_use_case_has_as_many_columns_as_its_shape_says(shape: Shape) -> None:
    """And is what the module says that a worker imports."""
    assert len(make_usecase(shape).features.columns) == shape.columns
    names: dict[str, Any] = {}
    exec(written_usecase(shape), names)
    assert names["usecase"].features.fingerprint() == make_usecase(shape).features.fingerprint()


@pytest.mark.parametrize("size", [300, 3_000, 32_000])
def test_values_are_events_as_large_as_asked(size: int) -> None:
    """Within a tenth."""
    for _, value in readings(50, meters=7, payload_bytes=size):
        Reading.model_validate_json(value)
        assert abs(len(value) - size) < size / 10


def test_every_entity_comes_once_before_one_comes_twice() -> None:
    """So that after as many events the store holds all of them."""
    keys = [key for key, _ in readings(200, meters=100)]
    assert len(set(keys[:100])) == 100
    assert set(keys[100:]) <= set(keys[:100])


def test_the_share_of_malformed_values_is_the_one_asked_for() -> None:
    """And each of them is refused."""
    refused = 0
    for _, value in readings(4_000, meters=10, malformed=0.25):
        try:
            Reading.model_validate_json(value)
        except ValueError:
            refused += 1
    assert 800 < refused < 1_200


def test_what_fills_the_store_and_the_end_are_left_out_of_rate_and_cost() -> None:
    """A start that costs ten times as much, and a look that comes a second after the end."""
    slow = [Look(at, at * 100, at * 100 * 500 / 1e6, 2**20) for at in range(11)]
    fast = [
        Look(10 + each.seconds, 1_000 + each.records, 0.5 + each.cpu, each.rss) for each in looks()
    ]
    late = replace(fast[-1], seconds=fast[-1].seconds + 1.0)
    found = measured_of([*slow, *fast[1:-1], late], 1_000, 21_000)
    assert found.rate == pytest.approx(1_000, rel=0.01)
    assert found.cpu_us == pytest.approx(50, rel=0.01)


def test_workers_are_measured_once_all_of_them_are_at_work() -> None:
    """The start of the second one is no part of it."""
    of_one = [replace(each, at_work=1) for each in looks()[:40]]
    of_two = [replace(each, at_work=2, cpu=each.cpu + 3.0) for each in looks()[40:]]
    assert measured_of([*of_one, *of_two], 0, 20_000, 2).cpu_us == pytest.approx(50, rel=0.01)
    with pytest.raises(SystemExit, match="too short a time"):
        measured_of(of_one, 0, 20_000, 2)


def test_memory_that_grows_within_a_run_is_seen() -> None:
    """The last fifth against the second."""
    growing = [replace(each, rss=each.rss * (1 + at / 80)) for at, each in enumerate(looks())]
    assert measured_of(looks(), 0, 20_000).memory_growth == 1.0
    assert measured_of(growing, 0, 20_000).memory_growth > 1.3


def test_the_newest_run_of_a_variable_is_what_is_known_of_it(tmp_path: Path) -> None:
    """Medians of its rounds, in the order of the values; other variables keep their own newest run."""
    file = tmp_path / "results.jsonl"
    made = measured_of(looks(), 0, 20_000)
    for began, value, cpu in (
        ("2026-01-01", 8, 99.0), ("2026-01-02", 16, 10.0), ("2026-01-02", 8, 30.0), ("2026-01-02", 8, 40.0),
        ("2026-01-02", 8, 35.0),
    ):  # fmt: skip
        append(file, Point("columns", value), replace(made, cpu_us=cpu), RUN | {"began": began})
    append(file, Point("trees", 1), made, RUN | {"began": "2026-01-01"})
    found = latest(read(file))
    assert [(each.value, each.cpu_us, each.rounds) for each in found["columns"]] == [(8, 35.0, 3), (16, 10.0, 1)]  # fmt: skip
    assert len(found["trees"]) == 1


def test_a_cost_that_does_not_stay_flat_is_named_with_its_place() -> None:
    """And one that does is told to be flat, with its reason."""
    flat = judged("partitions", [known(1, 40.0), known(16, 42.0), known(256, 41.0)])
    assert flat[0].startswith("Flat: the dearest point costs 1.05 of the cheapest")
    dear = judged("partitions", [known(1, 40.0), known(16, 42.0), known(256, 60.0)])
    assert dear[0] == "Not flat: 1.50 at 256 of what an event costs at 1 partitions."


def test_a_cost_that_may_grow_is_told_by_its_step() -> None:
    """And whether it grows in a straight line; a network has no place on the axis of trees."""
    told = judged(
        "trees", [known(MLP, 900.0), known(1, 40.0), known(100, 60.0), known(1_000, 240.0)]
    )
    assert told[0].startswith("0.20 us a tree from 1 to 1,000")
    assert "a straight line" in told[1]
    assert "faster" in judged("trees", [known(1, 40.0), known(10, 41.0), known(100, 90.0)])[1]


@pytest.mark.parametrize(("growth", "verdict"), [(1.04, "(flat)"), (1.2, "not flat")])
def test_memory_of_a_long_run_is_judged(growth: float, verdict: str) -> None:
    """By five per cent."""
    assert verdict in judged("soak", [known(600, 40.0, growth=growth)])[-1]


def test_the_report_puts_everything_into_the_page_and_draws_it(tmp_path: Path) -> None:
    """Each image that the page shows is a file, and is well-formed."""
    found = {name: [known(1, 40.0, growth=1.0), known(100, 50.0, growth=1.0)] for name in VARIABLES}
    found["soak"] = found["soak"][:1]
    written = write_plots(tmp_path, found)
    text = section(found)
    assert {f"images/{path.name}" for path in written} == {
        part.split(")")[0] for part in text.split("](")[1:]
    }
    for path in written:
        assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_a_command_writes_its_own_part_of_a_page_and_no_other() -> None:
    """As often as it is run; a page without a place for it is refused."""
    page = "a\n<!-- Written by `x`. -->\nold\n<!-- End of what `x` writes. -->\nz\n"
    once = put_into(page, "x", "new")
    assert "old" not in once
    assert once.startswith("a\n")
    assert once.endswith("z\n")
    assert put_into(once, "x", "new") == once
    with pytest.raises(ValueError, match="no place for what is written"):
        put_into(page, "y", "new")


def test_what_a_worker_says_is_read_and_added_up() -> None:
    """Behind a supervisor each figure comes once a worker."""
    text = (
        "# TYPE stream_app_records_total counter\n"
        'stream_app_records_total{worker="0"} 12.0\nstream_app_records_total{worker="1"} 0.0\n'
        'process_cpu_seconds_total{worker="0"} 1.5\nprocess_cpu_seconds_total{worker="1"} 2.0\n'
        'process_resident_memory_bytes{worker="0"} 3e6\nother 5\n'
    )
    found = parsed(text)
    assert (found.records, found.cpu_seconds, found.rss_bytes, found.at_work) == (12, 3.5, 3e6, 1)


def test_a_result_is_a_line_of_json(tmp_path: Path) -> None:
    """With the point, what it came to, and where it was measured."""
    file = tmp_path / "results.jsonl"
    append(file, Point("columns", 8), Measured(1, 2.0, 3.0, 4.0, 1.0, []), RUN)
    (line,) = file.read_text().splitlines()
    assert json.loads(line)["point"]["shape"]["trees"] == 100
    assert json.loads(line)["commit"] == "abc"
