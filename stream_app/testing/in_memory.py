"""The rehearsal of a use case in memory: thousands of records a second, no services."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stream_app.config.settings import Settings
from stream_app.features.usecase import UseCase
from stream_app.models import Model, load_models
from stream_app.records.item import Item
from stream_app.records.places import Place
from stream_app.testing.rehearsal import Rehearsal
from stream_app.testing.seen import Seen, cells, read_states, seen_of
from stream_app.testing.sent import Sent, completed
from stream_app.testing.topics import MemoryTopics
from stream_app.wire.prediction import prediction_id

__all__ = ["rehearse"]


def rehearse(
    usecase: UseCase,
    records: Sequence[Sent],
    *,
    artifacts: str | Path = "artifacts",
    models: Sequence[Model] | None = None,
    settings: Settings | None = None,
) -> Seen:
    """Send records to a worker of the use case in memory; return what became of each.

    The worker is the real one, from the bytes of a record to the bytes of its prediction, over topics
    and a store in memory. `artifacts`: the folder that holds the model versions the use case serves;
    or give the `models`, loaded once for many calls: loading checks a version, which takes a second.
    Raises `ModelRefusedError` for a version that would not be served, and what ended the worker.
    """
    topics = MemoryTopics(usecase)
    given = {}
    for number, sent in enumerate(completed(usecase, records)):
        message = topics.send(
            sent.topic,
            sent.value_bytes,
            sent.key_bytes,
            headers=sent.header_list,
            timestamp=sent.timestamp,
            partition=sent.partition,
        )
        given[Place(message.topic, message.partition, message.offset)] = (number, sent)
    if models is None:
        models = load_models(usecase, Path(artifacts))
    rehearsal = Rehearsal(topics, models, settings=settings)
    rehearsal.run()
    items = [item for batch in rehearsal.finished for item in batch.items]
    return seen_of(
        given,
        topics.predictions,
        topics.dead_letters,
        {prediction_id(item): _row(usecase, item) for item in items if item.row is not None},
        read_states(usecase, [sent for _, sent in given.values()], rehearsal.store),
    )


def _row(usecase: UseCase, item: Item) -> dict[str, object]:
    assert item.row is not None
    return cells(usecase.features, dict(zip(usecase.features.columns, item.row, strict=True)))
