"""What goes out for a batch: predictions, dead letters and, by setting, feature rows.

Bytes are made once, when the batch is computed; a batch tried again publishes the same ones.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from stream_app.features.usecase import Prediction
from stream_app.records.batch import Batch, Outgoing
from stream_app.records.failure import Failure
from stream_app.records.headers import Headers
from stream_app.records.item import Item
from stream_app.text.foreign import bounded
from stream_app.text.rate_limited import Seldom
from stream_app.wire.dead_letter import PREFIX, DeadLetters
from stream_app.wire.replays import REPLAY_HEADERS, REPLAY_OF

__all__ = ["OURS", "FeatureLog", "OutgoingRecords"]

log = logging.getLogger(__name__)

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
        self._warn = Seldom(log.warning)

    def __call__(self, item: Item, prediction_id: str) -> Outgoing | None:
        """The logged row, or None for a prediction that is not sampled, or whose row is not JSON."""
        # Shifted before it is divided: the highest hashes would round to 1.
        if (item.digest >> 11) / 2**53 >= self._share:
            return None
        try:
            return self._row(item, prediction_id)
        except Exception as error:  # noqa: BLE001 - whatever a feature gave: the prediction goes out
            self._warn(
                "the feature row of %s offset %d is dropped: %s",
                item.record.partition,
                item.record.offset,
                _why_not_json(dict(zip(self._columns, item.row or (), strict=False)), error),
            )
            return None

    def _row(self, item: Item, prediction_id: str) -> Outgoing:
        row = zip(self._columns, item.row or (), strict=True)
        value = {
            "prediction_id": prediction_id,
            "event_id": item.event.event_id,
            "columns": dict(row),
        }
        logged = to_json(value, inf_nan_mode="null")
        return Outgoing(
            self._topic,
            item.record.key,
            logged,
            [_CONTENT_TYPE],
            item.record.partition,
            item,
            "feature row",
        )


class OutgoingRecords:
    """Turns the items of a batch into the records to publish."""

    def __init__(
        self,
        predictions_topic: str,
        dead_letters: DeadLetters,
        feature_log: FeatureLog | None = None,
        contract: type[Prediction] | None = None,
    ) -> None:
        """`contract` of the predictions topic."""
        self._contract = contract
        self._topic = predictions_topic
        self._dead_letter = dead_letters
        self._feature_log = feature_log

    def __call__(self, batch: Batch) -> None:
        """Fill `batch.outgoing`, in the order of the batch; marks items whose answer is not JSON."""
        outgoing = batch.outgoing
        for item in batch.items:
            if item.failure is not None:
                outgoing.append(self._dead_letter(item))
            elif item.served is not None:
                prediction_id = _prediction_id(item)
                try:
                    outgoing.append(self._prediction(item, prediction_id))
                except Exception as error:  # noqa: BLE001 - whatever the use case answered
                    item.failure = _unencodable(item, error)
                    outgoing.append(self._dead_letter(item))
                    continue
                if self._feature_log and (logged := self._feature_log(item, prediction_id)):
                    outgoing.append(logged)

    def _prediction(self, item: Item, prediction_id: str) -> Outgoing:
        served, event, record = item.served, item.event, item.record
        assert served is not None
        fresh = event.event_time - item.newest if item.newest > -math.inf else None
        answer = {
            "prediction_id": prediction_id,
            "event_id": event.event_id,
            "event_time": event.event_time,
            **served.fields,
            "model": {"name": served.model, "version": served.version},
            "served_by": served.served_by,
            "degraded": served.degraded,
            "state_freshness_seconds": fresh,
        }
        value = to_json(answer, inf_nan_mode="constants")
        if b"NaN" in value or b"Infinity" in value:
            # JSON knows neither: null stands for them where the contract allows it.
            value = to_json(answer, inf_nan_mode="null")
            if self._contract is not None:
                self._contract.model_validate_json(value)
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
        return Outgoing(self._topic, record.key, value, headers, record.partition, item)


def _prediction_id(item: Item) -> str:
    if item.first_origin is not None:
        return str(item.first_origin)
    source = item.record.partition.source
    assert source is not None
    return f"{source.topic_id}-{source.partition}-{item.record.offset}"


def _unencodable(item: Item, error: Exception) -> Failure:
    assert item.served is not None
    fields = item.served.fields
    if isinstance(error, ValidationError):
        place = ".".join(map(str, error.errors(include_input=False)[0]["loc"]))
        message = (
            f"the function `fields` of the use case gave a number that is not finite for {place}"
        )
        return _failure(message, place)
    if isinstance(fields, Mapping):
        for name in fields:
            if not _is_json(fields[name]):
                message = _why_not_json({name: fields[name]}, error)
                return _failure(f"the function `fields` of the use case gave {message}", str(name))
    return _failure(f"an answer that is not JSON: {_why_not_json({}, error)}", None)


def _failure(message: str, field: str | None) -> Failure:
    return Failure("publish", "unencodable-answer", message, field, disposition="bug")


def _why_not_json(values: Mapping[str, Any], error: Exception) -> str:
    """Which value, of which type, and what was raised. The value itself is a payload, and not told."""
    raised = f"{type(error).__module__}.{type(error).__qualname__}"
    for name, value in values.items():
        if not _is_json(value):
            kind = f"{type(value).__module__}.{type(value).__qualname__}"
            return bounded(
                f"a value of type {kind} for {bounded(str(name))}, which is not JSON ({raised})"
            )
    return raised


def _is_json(value: object) -> bool:
    try:
        to_json(value)
    except Exception:  # noqa: BLE001 - that is what is asked
        return False
    return True
