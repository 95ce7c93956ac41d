"""What goes out for a batch: predictions, dead letters and, by setting, feature rows.

Bytes are made once, when the batch is computed; a batch tried again publishes the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic_core import to_json

from stream_app.dead_letters import PREFIX, DeadLetters
from stream_app.records import Batch, Headers, Item, Outgoing
from stream_app.replays import REPLAY_HEADERS, REPLAY_OF

__all__ = ["OURS", "FeatureLog", "OutgoingRecords"]

_CONTENT_TYPE = ("content-type", b"application/json")
#: Headers that a prediction has from us, whatever its event came with.
OURS = frozenset(
    {"prediction-id", "source-topic", "source-partition", "source-offset", "content-type"}
    | {"state-ahead", "source-topic-id"}
    | REPLAY_HEADERS
)


class FeatureLog:
    """Publishes the row a prediction was made from, for a share of the predictions."""

    def __init__(self, topic: str, share: float, columns: Sequence[str]) -> None:
        """`share` from 0 to 1; which ones is a function of the source offset alone."""
        self._topic = topic
        self._share = share
        self._columns = columns

    def __call__(self, item: Item, prediction_id: str) -> Outgoing | None:
        """The logged row, or None for a prediction that is not sampled."""
        # Shifted before it is divided: the highest hashes would round to 1.
        if (item.digest >> 11) / 2**53 >= self._share:
            return None
        row = zip(self._columns, item.row or (), strict=True)
        value = {
            "prediction_id": prediction_id,
            "event_id": item.event.event_id,
            "columns": dict(row),
        }
        logged = to_json(value, inf_nan_mode="null")
        return Outgoing(
            self._topic, item.record.key, logged, [_CONTENT_TYPE], item.record.partition
        )


class OutgoingRecords:
    """Turns the items of a batch into the records to publish."""

    def __init__(
        self,
        predictions_topic: str,
        dead_letters: DeadLetters,
        feature_log: FeatureLog | None = None,
    ) -> None:
        self._topic = predictions_topic
        self._dead_letter = dead_letters
        self._feature_log = feature_log

    def __call__(self, batch: Batch) -> None:
        """Fill `batch.outgoing`, in the order of the batch."""
        outgoing = batch.outgoing
        for item in batch.items:
            if item.failure is not None:
                outgoing.append(self._dead_letter(item))
            elif item.served is not None:
                prediction_id = _prediction_id(item)
                outgoing.append(self._prediction(item, prediction_id))
                if self._feature_log and (logged := self._feature_log(item, prediction_id)):
                    outgoing.append(logged)

    def _prediction(self, item: Item, prediction_id: str) -> Outgoing:
        served, event, record = item.served, item.event, item.record
        assert served is not None
        fresh = event.event_time - item.newest if item.newest > -math.inf else None
        value = to_json(
            {
                "prediction_id": prediction_id,
                "event_id": event.event_id,
                "event_time": event.event_time,
                **served.fields,
                "model": {"name": served.model, "version": served.version},
                "served_by": served.served_by,
                "degraded": served.degraded,
                "state_freshness_seconds": fresh,
            },
            inf_nan_mode="null",
        )
        headers: Headers = [
            ("prediction-id", prediction_id.encode()),
            ("source-topic", record.partition.topic.encode()),
            ("source-partition", b"%d" % record.partition.number),
            ("source-offset", b"%d" % record.offset),
            _CONTENT_TYPE,
        ]
        if item.ahead:
            headers.append(("state-ahead", b"true"))
        if item.first_origin is not None:
            headers += [
                (REPLAY_OF, prediction_id.encode()),
                ("source-topic-id", record.partition.topic_id.encode()),
            ]
        headers += [
            header
            for header in record.headers
            if header[0] not in OURS and not header[0].startswith(PREFIX)
        ]
        return Outgoing(self._topic, record.key, value, headers, record.partition)


def _prediction_id(item: Item) -> str:
    if item.first_origin is not None:
        return str(item.first_origin)
    source = item.record.partition.source
    assert source is not None
    return f"{source.topic_id}-{source.partition}-{item.record.offset}"
