"""A user's own project: the README's two files in an otherwise empty folder, as their author runs them."""

import json
import os
import random
import re
import runpy
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stream_app import UseCase
from stream_app.testing import Sent as Given
from stream_app.testing import rehearse
from tests.integration.worker import Cluster, Sent, Worker

ROOT = Path(__file__).parents[2]
DAY = 86_400.0
MODULE, TRAINING = re.findall(r"(?ms)^```python$\n(.*?)^```$", (ROOT / "README.md").read_text())


def loaded(file: Path) -> UseCase:
    """The use case that a file defines: the source of its functions belongs to its fingerprint."""
    names = runpy.run_path(str(file), run_name="orders")
    usecase = names["usecase"]
    assert isinstance(usecase, UseCase)
    return usecase


def order(number: int, at: float, amount: float) -> dict[str, Any]:
    """An order of one of twenty customers."""
    placed = datetime.fromtimestamp(at, UTC).isoformat()
    return {"order": f"o{number}", "placed": placed, "customer": number % 20, "amount": amount}


def log() -> list[dict[str, Any]]:
    """Lines of a log of 30 days: what is dear is sent back after three days."""
    rng = random.Random(7)
    lines = []
    for number in range(600):
        at = 1_704_067_200.0 + number * DAY / 20
        amount = round(rng.uniform(1.0, 100.0), 2)
        lines.append({"topic": "orders.placed", "value": order(number, at, amount)})
        if amount > 70.0:
            back = datetime.fromtimestamp(at + 3 * DAY, UTC).isoformat()
            value = {"order": f"o{number}", "sent_back": back}
            lines.append({"topic": "orders.returned", "value": value})
    return lines


def python(*arguments: str, folder: Path) -> str:
    """What a program prints that is run in a folder."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readmes_use_case_is_trained_and_runs_in_a_folder_of_its_own(
    cluster: Cluster, redis_url: str, tmp_path: Path
) -> None:
    """With no settings but addresses, and beside a `features` folder that is the user's."""
    (tmp_path / "orders.py").write_text(MODULE)
    (tmp_path / "train.py").write_text(TRAINING)
    (tmp_path / "orders.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log()))
    assert "every check of a start passed" in python("train.py", folder=tmp_path)
    checked = python("-m", "stream_app", "check", "orders:usecase", folder=tmp_path)
    assert "ok  artifacts/orders/1: orders 1, 3 columns" in checked

    usecase = loaded(tmp_path / "orders.py")
    cluster.create(usecase)
    now = round(time.time()) - 60.0
    values = [order(number, now + number / 10, 50.0 + number) for number in range(40)]
    # Of one customer in order: by its partition.
    sent = [
        Sent(
            "orders.placed",
            json.dumps(value).encode(),
            str(value["customer"]).encode(),
            timestamp=now + number / 10,
        )
        for number, value in enumerate(values)
    ]
    cluster.produce(sent)
    worker = Worker(
        "features.orders:usecase", {"bootstrap_servers": cluster.bootstrap, "redis_url": redis_url}
    )
    package = worker.directory / "features"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "orders.py").write_text(MODULE)
    shutil.copytree(tmp_path / "artifacts", worker.directory / "artifacts")
    with worker:
        worker.until("it is drained", lambda: cluster.drained(usecase))
        assert worker.stop() == 0, worker.log
    assert cluster.read(usecase.dead_letters_topic) == []
    found = [out.json for out in cluster.read(usecase.predictions_topic)]
    assert {each["served_by"] for each in found} == {"champion"}

    given = [
        Given(topic=s.topic, value=s.value, key=s.key, timestamp=s.timestamp) for s in sent
    ]  # fmt: skip
    rehearsed = rehearse(usecase, given, artifacts=tmp_path / "artifacts")
    assert {each["event_id"]: each["probability"] for each in found} == {
        each["event_id"]: each["probability"] for each in rehearsed.predictions
    }
    known = [row["usual"] for row in rehearsed.rows]
    assert known[20:] == [50.0 + number for number in range(20)]
