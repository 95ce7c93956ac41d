"""Records, items and batches as stages meet them, without a broker."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np

from stream_app.features.events import Event
from stream_app.features.stores import Source
from stream_app.features.usecase import InputTopic, Prediction, UseCase
from stream_app.features.views import FeatureSet
from stream_app.records.batch import Batch
from stream_app.records.chunk import Chunk
from stream_app.records.failure import Failure
from stream_app.records.headers import Headers
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.records.record import Record
from stream_app.records.start_position import StartPosition

#: The worker's clock in these tests: noon of a day in 2013, in seconds since the epoch.
NOW = 1_385_899_200.0


def partition(number: int = 0, topic: str = "orders", rank: int | None = None) -> Partition:
    """An assigned partition that the broker was asked about."""
    source = Source("cluster", f"{topic}-id", number)
    return Partition(topic, number, number if rank is None else rank, source)


def begins(at: Partition, offset: int = 0, **known: Any) -> StartPosition:
    """Where a partition is read from: an offset that a worker committed, if nothing else is known."""
    return StartPosition(at, offset, **{"committed_by": "worker", **known})


def record(
    at: Partition,
    offset: int = 0,
    value: bytes | None = b"{}",
    *,
    key: bytes | None = b"key",
    timestamp: float | None = NOW,
    headers: Headers | None = None,
) -> Record:
    """A record as it was consumed."""
    return Record(at, offset, timestamp, key, value, headers)


def item(
    at: Partition,
    offset: int = 0,
    *,
    known_at: float = NOW,
    event: Event | None = None,
    event_time: float | None = None,
    size: int = 5,
    headers: Headers | None = None,
) -> Item:
    """A decoded record of `size` bytes; its event happened when it became known, if no time is
    given."""
    if event is None:
        happened = known_at if event_time is None else event_time
        event = Event.model_construct(event_id=f"e{offset}", event_time=happened)
    consumed = record(at, offset, bytes(size), key=None, timestamp=known_at, headers=headers)
    return Item(consumed, event)


def failed(at: Partition, offset: int = 0, stage: str = "decode", **options: Any) -> Item:
    """A record that left the path at a stage."""
    made = item(at, offset, **options)
    made.failure = Failure(stage, "tombstone", "the record has no value", "amount")
    return made


def chunk(assigned: Sequence[Partition] = (), **lists: Sequence[Any]) -> Chunk:
    """What a poll brought: partitions `assigned` and `revoked`, `records`, `ended`."""
    starts = [begins(each) for each in assigned]
    return Chunk(assigned=starts, **{name: list(each) for name, each in lists.items()})


def batch(number: int, items: Iterable[Item]) -> Batch:
    """A batch as the commit stage admits it."""
    members = list(items)
    ends = {each.record.partition: each.record.offset for each in members}
    return Batch(number, members, ends=ends)


def rfc3339(seconds: float) -> str:
    """A time as it stands on the wire."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def to_bytes(**fields: Any) -> bytes:
    """An event's value."""
    return json.dumps(fields).encode()


def use_case(
    prediction: type[Prediction],
    answer: Any = None,
    *,
    features: FeatureSet | None = None,
    topics: tuple[InputTopic, ...] = (),
    champion: str = "model/1",
) -> UseCase:
    """A use case that answers so."""
    return UseCase(
        name="case",
        topics=topics,
        features=features or FeatureSet(),
        prediction=prediction,
        answer=answer,
        champion=champion,
    )


class FakeModel:
    """Scores a row by its first number; the ways to fail are a model's own.

    A row that begins with "raise" makes the whole call raise, "nan" gives a score that is NaN.
    """

    def __init__(self, name: str = "champion-model", *, broken: bool = False) -> None:
        self.name = name
        self.version = "3"
        self.manifest = SimpleNamespace(decision={"threshold": 0.5})
        self.broken = broken
        self.calls: list[int] = []

    def score(self, rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
        """Named outputs, as `stream_app.models.Model.score` gives them."""
        self.calls.append(len(rows))
        if self.broken or any(row[0] == "raise" for row in rows):
            raise RuntimeError("cannot score")
        scores = [float("nan") if row[0] == "nan" else row[0] for row in rows]
        return {"score": np.array(scores, dtype=np.float32)}
