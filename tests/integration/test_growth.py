"""Growth, one real point: a generated use case, its model, a worker, a real Kafka and a real Redis."""

import json
import warnings
from pathlib import Path

import pytest

from benchmarks.growth.alone import VARIED, alone
from benchmarks.growth.measure import measure
from benchmarks.growth.points import VARIABLES, Point
from benchmarks.growth.results import append, latest, read
from benchmarks.growth.shape import Shape
from stream_app.local import LocalRedis
from tests.services import Kafka


def test_a_point_is_measured_and_known_afterwards(
    kafka: Kafka, own_redis: LocalRedis, tmp_path: Path
) -> None:
    """Every event was answered: with a rate, a cost and a size that a worker can have."""
    pytest.importorskip("lightgbm", reason="the extra `training` is not installed")
    point = Point("trees", 1, 60_000, shape=Shape(partitions=2, columns=8, trees=1), entities=500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LightGBM and scikit-learn, about names of columns
        found = measure(kafka.bootstrap, own_redis.url, point, 1, artifacts=tmp_path)
    assert 100 < found.rate < 1e6
    assert 5 < found.cpu_us < 5_000
    assert 50 < found.peak_mib < 2_000
    assert found.looks[-1][1] >= 500
    results = tmp_path / "results.jsonl"
    append(results, point, found, {"began": "now"})
    assert latest(read(results))["trees"][0].cpu_us == found.cpu_us
    assert json.loads(results.read_text())["point"]["entities"] == 500


def test_the_work_alone_is_measured_where_a_variable_needs_no_service() -> None:
    """And other variables are passed over."""
    pytest.importorskip("lightgbm", reason="the extra `training` is not installed")
    assert set(VARIED) < set(VARIABLES)
    small = Point("trees", 1, shape=Shape(columns=8, trees=1))
    ((point, cpu_us),) = alone([small, Point("workers", 2, workers=2)])
    assert point is small
    assert 1 < cpu_us < 5_000
