"""A user's own project: the README's use case in an otherwise empty folder, as its author runs it."""

import hashlib
import json
import math
import re
import runpy
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from stream_app import (
    GoldenVector,
    Manifest,
    ModelInput,
    ModelOutput,
    TrainingData,
    UseCase,
    measure_baseline,
    record_golden_events,
    write_version,
)
from tests.integration.worker import Cluster, Sent, Worker

ROOT = Path(__file__).parents[2]


def example() -> str:
    """The README's use case, as text."""
    (found,) = re.findall(r"(?ms)^```python$\n(.*?)^```$", (ROOT / "README.md").read_text())
    return str(found)


def loaded(file: Path) -> UseCase:
    """The use case that a file defines: the source of its functions belongs to its fingerprint."""
    names = runpy.run_path(str(file), run_name="orders")
    usecase = names["usecase"]
    assert isinstance(usecase, UseCase)
    return usecase


def graph() -> bytes:
    """`risk` is a hundredth of the amount, and nothing where there is none."""
    constants = {
        "hundredth": np.float32([0.01]),
        "nothing": np.float32([0.0]),
        "axis": np.array([1]),
    }
    made = helper.make_graph(
        [
            helper.make_node("IsNaN", ["x"], ["absent"]),
            helper.make_node("Where", ["absent", "nothing", "x"], ["known"]),
            helper.make_node("Mul", ["known", "hundredth"], ["column"]),
            helper.make_node("Squeeze", ["column", "axis"], ["risk"]),
        ],
        "orders",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("risk", TensorProto.FLOAT, [None])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(made, opset_imports=opsets, ir_version=8).SerializeToString())


def train(folder: Path, usecase: UseCase) -> None:
    """Write its model version, by names of `stream_app` alone."""
    amounts = np.linspace(1.0, 99.0, 50, dtype=np.float32)
    begin, end = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)
    log = [
        (usecase.topics[0].name, {"event_id": "o1", "event_time": begin.isoformat(), "amount": 5.0})
    ]
    write_version(
        folder / usecase.champion,
        Manifest(
            name="orders",
            version="1",
            inputs=(ModelInput(name="x", dtype="float32", columns=usecase.features.columns),),
            features_fingerprint=usecase.features.fingerprint(),
            outputs=(ModelOutput(name="risk", dtype="float32"),),
            training_data=TrainingData(
                start=begin, end=end, rows=50, sha256=hashlib.sha256(amounts).hexdigest()
            ),
            code_commit="unknown",
            seed=1,
            metrics={},
            libraries={},
            created=end,
        ),
        model=graph(),
        baseline=measure_baseline({"amount": amounts}, {"risk": amounts * 0.01}),
        golden=[
            GoldenVector(case="usual", columns={"amount": 50.0}, outputs={"risk": 0.5}),
            GoldenVector(case="no amount", columns={"amount": math.nan}, outputs={"risk": 0.0}),
        ],
        golden_events=record_golden_events(usecase.features, usecase.topics, log),
    )


def test_the_readmes_use_case_runs_in_a_folder_of_its_own(cluster: Cluster, tmp_path: Path) -> None:
    """With no setting but the brokers' address, and beside a `features` folder that is the user's."""
    (tmp_path / "orders.py").write_text(example())
    usecase = loaded(tmp_path / "orders.py")
    cluster.create(usecase)
    now = datetime.fromtimestamp(time.time(), UTC).isoformat()
    amounts = [1.0, 25.0, 99.0]
    cluster.produce(
        Sent(
            usecase.topics[0].name,
            json.dumps({"event_id": str(number), "event_time": now, "amount": amount}).encode(),
        )
        for number, amount in enumerate(amounts)
    )
    worker = Worker("features.orders:usecase", {"bootstrap_servers": cluster.bootstrap})
    package = worker.directory / "features"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "orders.py").write_text(example())
    train(worker.directory / "artifacts", usecase)
    with worker:
        worker.until("it is drained", lambda: cluster.drained(usecase))
        assert worker.stop() == 0, worker.log
    assert cluster.read(usecase.dead_letters_topic) == []
    found = [out.json for out in cluster.read(usecase.predictions_topic)]
    assert {each["event_id"]: round(each["risk"], 5) for each in found} == {
        str(number): round(amount / 100.0, 5) for number, amount in enumerate(amounts)
    }
    assert {each["served_by"] for each in found} == {"champion"}
