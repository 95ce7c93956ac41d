"""Every mistake of `tests.usecases.mistaken`, in one stream: the same outcomes in any batches."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from stream_app.config.settings import Settings
from stream_app.features.stores import MemoryStore
from stream_app.features.stores.codec import VERSION_BYTES
from stream_app.models import Model, load_models
from stream_app.observer.observer import Observer
from stream_app.predictor.assembly import make_predictor
from stream_app.records.batch import Batch
from stream_app.records.item import Item
from stream_app.records.record import Record
from stream_app.waiting.retry import Retry
from stream_app.wire.dead_letter import DeadLetters
from stream_app.wire.outgoing import OutgoingRecords
from stream_app.wire.prediction import Predictions
from tests.unit.builders import NOW, partition
from tests.unit.stores import states_of
from tests.usecases import mistaken
from tests.usecases.mistaken import ASKING, MISTAKES, usecase

READINGS, REQUESTS = (partition(n, topic.name) for n, topic in enumerate(usecase.topics))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Model]:
    """The regression's model, for this use case."""
    folder = tmp_path_factory.mktemp("artifacts")
    mistaken.train(folder, usecase)
    return load_models(usecase, folder)


def stream() -> tuple[list[Record], dict[int, tuple[str, str, str]]]:
    """Each mistake between two good records; what must fail, by place."""
    records: list[Record] = []
    bad: dict[int, tuple[str, str, str]] = {}

    def add(at: Any, what: str, meter: str, late: float = 0.0) -> None:
        event: dict[str, Any] = {"event_id": f"{what} {len(records)}", "meter": meter, "area": "a1"}
        event["event_time"] = mistaken.iso(NOW + len(records) + late)
        if at is REQUESTS:
            event |= {"minutes_ahead": 30, "celsius": 1.5}
        else:
            event |= {"kilowatts": 2.5}
        value = json.dumps(event).encode()
        records.append(Record(at, len(records), NOW + len(records) + late, b"key", value))

    for at in (READINGS, REQUESTS):
        for what, (stage, reason) in {**MISTAKES, **(ASKING if at is REQUESTS else {})}.items():
            add(at, "good", "m1")
            if what == "sum-overflows":
                add(at, "sum-fills", f"full-{at.number}")
            bad[len(records)] = (what, stage, reason)
            add(at, what, f"full-{at.number}", 0.007 if what == "column-raises" else 0.0)
    add(REQUESTS, "good", "m1")
    return records, bad


class Worker:
    """A predictor and what goes out of it, with a store in memory."""

    def __init__(self, models: Sequence[Model]) -> None:
        self.store = MemoryStore(usecase.features)
        self.predictor = make_predictor(
            Settings(),
            usecase,
            models,
            self.store,
            Retry(initial_seconds=0.0, max_seconds=0.0, observer=Observer()),
            Observer(),
        )
        letters = DeadLetters("dead", group="g", code_version="1", model_version="1")
        self.outgoing = OutgoingRecords([Predictions("predictions"), letters])

    def work(self, records: Sequence[Record]) -> Batch:
        """Take a batch through."""
        one = self.predictor(records)
        self.outgoing(one)
        self.predictor.state.write(one)
        return one


def states(worker: Worker) -> list[dict[str, bytes]]:
    """What the store holds, without the versions."""
    return [
        {entity: packed[VERSION_BYTES:] for entity, packed in view.items()}
        for view in states_of(worker.store)
    ]


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_each_mistake_costs_one_record_in_any_batches(models: list[Model], size: int) -> None:
    """The same reasons and, but for what they cost, the same states and predictions."""
    records, bad = stream()
    worker, plain = Worker(models), Worker(models)
    items: list[Item] = []
    for at in range(0, len(records), size):
        items += worker.work(records[at : at + size]).items
    found = {
        number: (item.failure.stage, item.failure.reason)
        for number, item in enumerate(items)
        if item.failure is not None
    }
    assert found == {at: (stage, reason) for at, (_, stage, reason) in bad.items()}
    for at, (what, _, _) in bad.items():
        failure = items[at].failure
        assert failure is not None
        assert 0 < len(failure.message) <= 600, what
        if "raise" in what:
            assert "usecases/mistaken.py:" in failure.message, (what, failure.message)

    kept = [r for at, r in enumerate(records) if at not in bad or bad[at][1] == "score"]
    expected = [item for one in [plain.work([record]) for record in kept] for item in one.items]
    assert states(worker) == states(plain)
    answers = [item.served for at, item in enumerate(items) if item.served is not None]
    assert answers == [item.served for item in expected if item.served is not None]
