"""Predictions: how one is written, and how its headers and its value are read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from pydantic import ValidationError
from pydantic_core import to_json

from stream_app.features.events.explain import message_of
from stream_app.features.usecase import Prediction
from stream_app.records.batch import Outgoing
from stream_app.records.failure import Failure
from stream_app.records.headers import Header, Headers
from stream_app.records.item import Item
from stream_app.records.record_id import RecordId, record_id_of, record_name
from stream_app.text.foreign import bounded
from stream_app.text.moments import rfc3339
from stream_app.wire.headers import DEAD_LETTER, JSON, Named, number, text, traced
from stream_app.wire.json_values import is_json, why_not_json
from stream_app.wire.replays import REPLAY_HEADERS, REPLAY_OF

__all__ = [
    "PredictionHeaders",
    "Predictions",
    "prediction_id",
    "read_prediction",
    "source_headers",
    "without_passed_on_headers",
]

_ID: Final = "prediction-id"
_TOPIC: Final = "source-topic"
_PARTITION: Final = "source-partition"
_OFFSET: Final = "source-offset"
_TOPIC_ID: Final = "source-topic-id"
_AHEAD: Final = "state-ahead"

_OURS: Final = REPLAY_HEADERS | {_ID, _TOPIC, _PARTITION, _OFFSET, _TOPIC_ID, _AHEAD, JSON[0]}
"""Headers that a prediction has from us, whatever its event came with."""


class Predictions:
    """Writes the prediction of a record that a model answered for.

    The bytes are a function of event, state and model: no wall clock enters them.
    """

    kind = "prediction"

    def __init__(
        self, topic: str, contract: type[Prediction] | None = None, application: str = ""
    ) -> None:
        """`contract` of the topic: whether a number may be null is asked of it, and whether it has
        the name of the `application`.
        """
        self.topic = topic
        self._contract = contract
        named = contract is not None and "application" in contract.model_fields
        self._application = {"application": application} if named else {}

    def __call__(self, item: Item) -> Outgoing | None:
        """The prediction, or None: no model answered, or the answer is not JSON.

        The latter is a failure, which is noted in the item.
        """
        if item.served is None or item.failure is not None:
            return None
        try:
            return self._prediction(item)
        except Exception as error:  # noqa: BLE001 - whatever the use case answered
            item.failure = _unencodable(item, error)
            return None

    def _prediction(self, item: Item) -> Outgoing:
        served, event, record = item.served, item.event, item.record
        assert served is not None
        named = prediction_id(item)
        answer = {
            "prediction_id": named,
            "event_id": event.event_id,
            "event_time": rfc3339(item.event_time),
            **self._application,
            **served.fields,
            "model": {"name": served.model, "version": served.version},
            "served_by": served.served_by,
            "degraded": served.degraded,
            "state_freshness_seconds": (
                item.event_time - item.newest if item.newest > -math.inf else None
            ),
        }
        value = to_json(answer, inf_nan_mode="constants")
        if b"NaN" in value or b"Infinity" in value:
            # JSON knows neither: null stands for them where the contract allows it.
            value = to_json(answer, inf_nan_mode="null")
            if self._contract is not None:
                self._contract.model_validate_json(value)
        partition = record.partition
        headers = source_headers(named, partition.topic, partition.number, record.offset)
        if item.ahead:
            headers.append((_AHEAD, b"true"))
        if item.first_origin is not None:
            headers += [(REPLAY_OF, named.encode()), (_TOPIC_ID, partition.topic_id.encode())]
        if record.headers:
            passed_on = [
                header
                for header in record.headers
                if header[0] not in _OURS and not header[0].startswith(DEAD_LETTER)
            ]
            headers += traced(passed_on, item.traceparent)
        return Outgoing(self.topic, record.key, value, headers, partition, item, self.kind)


def prediction_id(item: Item) -> str:
    """The id of an item's prediction: its record's name, or that of a replay's first origin."""
    if item.first_origin is not None:
        return str(item.first_origin)
    source = item.record.partition.source
    assert source is not None
    return record_name(source.topic_id, source.partition, item.record.offset)


def source_headers(prediction_id: str, topic: str, partition: int, offset: int) -> Headers:
    """The headers that every prediction has: its id, and where the record lies it was made of."""
    return [
        (_ID, prediction_id.encode()),
        *_partition_headers(topic, partition),
        (_OFFSET, b"%d" % offset),
        JSON,
    ]


@lru_cache(maxsize=1_024)
def _partition_headers(topic: str, partition: int) -> tuple[Header, Header]:
    return (_TOPIC, topic.encode()), (_PARTITION, b"%d" % partition)


def without_passed_on_headers(prediction: Outgoing) -> Outgoing | None:
    """The prediction without headers of its event; None where it has none of them."""
    ours = [header for header in prediction.headers if header[0] in _OURS]
    if len(ours) == len(prediction.headers):
        return None
    return Outgoing(
        prediction.topic, prediction.key, prediction.value, ours, prediction.source, prediction.item
    )


class PredictionHeaders(NamedTuple):
    """What the headers of a prediction say."""

    prediction_id: str
    topic: str
    """Of the record that it was made of, as the next two."""
    partition: int
    offset: int
    topic_id: str | None
    """Id of that topic; only a prediction of a replay says it."""
    state_ahead: bool
    """Whether the state it was made from held its own event already, or later ones."""

    @classmethod
    def of(cls, headers: Named) -> PredictionHeaders:
        """Read them; raises `ValueError` where they do not say of which record it is."""
        return cls(
            text(headers, _ID),
            text(headers, _TOPIC),
            number(headers, _PARTITION),
            number(headers, _OFFSET),
            text(headers, _TOPIC_ID) if _TOPIC_ID in headers else None,
            headers.get(_AHEAD) == b"true",
        )

    @property
    def first_origin(self) -> RecordId:
        """The record that the id names; raises `ValueError` where it can be no record's name."""
        return record_id_of(self.prediction_id)


def read_prediction(contract: type[Prediction], value: bytes) -> Prediction:
    """Read the value of a prediction; raises `ValueError` with a sentence that quotes no value.

    As strictly as the JSON Schema of the predictions topic reads: no text for a number.
    """
    try:
        found = contract.model_validate_json(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = bounded(".".join(str(part) for part in first["loc"]))
        raise ValueError(f"{where or 'its value'}: {bounded(message_of(first)[0])}") from None
    except Exception as error:  # a validator of the use case may raise anything
        raise ValueError(f"its contract raised {type(error).__qualname__}") from error
    if b"NaN" in value or b"Infinity" in value:  # pydantic reads both as numbers
        json.loads(value, parse_constant=_refuse)
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _unencodable(item: Item, error: Exception) -> Failure:
    assert item.served is not None
    fields = item.served.fields
    if isinstance(error, ValidationError):
        place = ".".join(map(str, error.errors(include_input=False)[0]["loc"]))
        message = f"the use case's answer gave a number that is not finite for {place}"
        return _failure(message, place)
    if isinstance(fields, Mapping):
        for name in fields:
            if not is_json(fields[name]):
                message = why_not_json({name: fields[name]}, error)
                return _failure(f"the use case's answer gave {message}", str(name))
    return _failure(f"an answer that is not JSON: {why_not_json({}, error)}", None)


def _failure(message: str, field: str | None) -> Failure:
    return Failure("publish", "unencodable-answer", message, field, disposition="bug")
