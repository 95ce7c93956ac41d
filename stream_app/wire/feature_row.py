"""The feature log: the rows that predictions were made from, how one is written and how it is read."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json

from stream_app.records.batch import Outgoing
from stream_app.records.item import Item
from stream_app.records.log_fields import about
from stream_app.text.rate_limited import RateLimited
from stream_app.wire.headers import JSON
from stream_app.wire.json_values import why_not_json
from stream_app.wire.prediction import prediction_id

__all__ = ["FeatureLog", "FeatureRow"]

log = logging.getLogger(__name__)


class FeatureRow(NamedTuple):
    """A row of the feature log; its fields are those of the JSON object."""

    prediction_id: str
    event_id: str
    columns: Mapping[str, Any]
    """Column to number or text; null for a number that is missing."""

    @classmethod
    def of(cls, value: bytes) -> FeatureRow:
        """Read the value of a record of the feature log; raises `ValueError` where it is none."""
        found = json.loads(value)
        if not isinstance(found, dict) or set(found) != set(cls._fields):
            raise ValueError(f"not an object of {', '.join(cls._fields)}")
        return cls(**found)


class FeatureLog:
    """Writes the row that a prediction was made from, for a share of the predictions."""

    kind = "feature row"

    def __init__(self, topic: str, share: float, columns: Sequence[str]) -> None:
        """`share` from 0 to 1; which ones is a function of the source offset alone."""
        self.topic = topic
        self._share = share
        self._columns = columns
        self._warn = RateLimited(log.warning)

    def __call__(self, item: Item) -> Outgoing | None:
        """The row, or None: there is no prediction, it is not sampled, or its row is not JSON."""
        # Shifted before it is divided: the highest hashes would round to 1.
        if (item.digest >> 11) / 2**53 >= self._share or item.failure is not None:
            return None
        try:
            return self._row(item)
        except Exception as error:  # noqa: BLE001 - whatever a feature gave: the prediction goes out
            self._warn(
                "the feature row of %s offset %d is dropped: %s",
                item.record.partition,
                item.record.offset,
                why_not_json(dict(zip(self._columns, item.row or (), strict=False)), error),
                extra=about(item.record.partition, item.record.offset),
            )
            return None

    def _row(self, item: Item) -> Outgoing:
        columns = dict(zip(self._columns, item.row or (), strict=True))
        row = FeatureRow(prediction_id(item), item.event.event_id, columns)
        value = to_json(row._asdict(), inf_nan_mode="null")
        record = item.record
        return Outgoing(self.topic, record.key, value, [JSON], record.partition, item, self.kind)
