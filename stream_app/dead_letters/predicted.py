"""Which records have a prediction by now."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import closing

from stream_app.kafka.brokers import Brokers
from stream_app.kafka.log_reader import Step, read_ranges
from stream_app.records.headers import read_headers
from stream_app.records.record_id import RecordId, record_id_of
from stream_app.wire.headers import by_name
from stream_app.wire.prediction import PredictionHeaders

__all__ = ["predicted"]


def predicted(
    brokers: Brokers,
    topic: str,
    records: Collection[RecordId],
    since: float,
    progress: Callable[[int, int], None],
) -> set[RecordId]:
    """Those of the records whose prediction was published at `since` or later.

    Told by the id of the prediction, so that of a replay counts for its first origin.
    """
    partitions = brokers.topics([topic])[topic].partition_ids
    ends, first = brokers.ends(partitions, decided=True), brokers.first_at(partitions, since)
    ranges = {p: (at, ends[p]) for p, at in first.items() if at is not None and at < ends[p]}
    if not records or not ranges:
        return set()
    total, done = sum(end - at for at, end in ranges.values()), 0
    found: set[RecordId] = set()

    def on_step(step: Step) -> None:
        nonlocal done
        done += step.end - step.first
        progress(done, total)

    with closing(brokers.log_reader()) as reader:
        for messages in read_ranges(reader, ranges, on_step):
            for message in messages:
                record = _record_of(message)
                if record is not None and record in records:
                    found.add(record)
    return found


def _record_of(message: object) -> RecordId | None:
    try:
        said = PredictionHeaders.of(by_name(read_headers(message)))
        return record_id_of(said.prediction_id)
    except Exception:  # noqa: BLE001 - no prediction of ours, or headers that cannot be read
        return None
