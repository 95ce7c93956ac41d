"""Golden vectors and golden events: what a model version must answer wherever it is loaded.

A golden vector is a row of the model's columns with the outputs expected for it. Golden events are
a short log replayed through the feature code, with the columns expected for the events that ask for
a prediction: so a change of what a feature function computes is noticed, which no fingerprint of
a declaration could.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from stream_app.features.engine.arrival import NEVER, Arrival
from stream_app.features.engine.careful import advance_carefully
from stream_app.features.engine.engine import FeatureEngine
from stream_app.features.engine.replay import Row
from stream_app.features.events import Event, LogRecord
from stream_app.features.usecase import InputTopic
from stream_app.features.views import FeatureSet

__all__ = [
    "Cell", "GoldenEvent", "GoldenVector", "UnknownTopicError", "close", "expect_columns", "read_lines",
    "replay_golden", "replay_rows", "to_cell", "write_lines",
]  # fmt: skip

#: A column's value as JSON: a number, a string, or null for a missing number (NaN).
Cell = int | float | str | None

#: A golden value is met within ``RELATIVE * abs(expected) + ABSOLUTE``: the room that another
#: processor's vector instructions and exp2 need, and a wrong feature does not.
RELATIVE = 1e-5
ABSOLUTE = 1e-6

_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _as_written(value: Any) -> Any:
    # What is no value of a column is left for pydantic to refuse.
    return to_cell(value) if isinstance(value, float | str | np.floating | np.integer) else value


class UnknownTopicError(ValueError):
    """Golden events are of a topic that the use case does not have; the text is its name."""


class GoldenVector(BaseModel):
    """A row of columns and the outputs expected for it."""

    model_config = _STRICT

    case: Annotated[str, Field(min_length=1)]
    """What the row stands for, e.g. "a carrier never seen in training"."""
    columns: Mapping[str, Annotated[Cell, BeforeValidator(_as_written)]]
    """Every column of the model's inputs, as `to_cell` writes it: floats are exact in float32, null
    is NaN."""
    outputs: Mapping[str, JsonValue]
    """Every output: a number or string, or a (nested) list of the output's trailing shape."""


class GoldenEvent(BaseModel):
    """One record of the golden log.

    The log is replayed from empty states, in the order of the file, as if from one partition.
    """

    model_config = _STRICT

    topic: str
    value: JsonValue = None
    """The record's value, where it is JSON."""
    value_base64: str | None = None
    """The record's value, where it is not."""
    key_base64: str | None = None
    headers: tuple[tuple[str, str | None], ...] | None = None
    """In order; values in base64."""
    timestamp: float | None = None
    """Of the record, in seconds since the epoch."""
    columns: Mapping[str, Cell] | None = None
    """The columns expected for it, where it asks for a prediction."""

    @model_validator(mode="after")
    def _one_value(self) -> GoldenEvent:
        if self.value is not None and self.value_base64 is not None:
            raise ValueError("give value or value_base64, one of them; neither is a tombstone")
        return self

    @classmethod
    def of(cls, record: LogRecord) -> GoldenEvent:
        """The record as a golden event; its value is written as JSON where that keeps its text.

        Spaces between its parts apart.
        """
        try:
            as_json = json.loads(record.value or b"")
            plain = as_json is not None and record.value in _forms(as_json)
        except ValueError:
            as_json, plain = None, False
        headers = tuple((name, _base64(content)) for name, content in record.headers)
        return cls(
            topic=record.topic,
            value=as_json if plain else None,
            value_base64=None if plain else _base64(record.value),
            key_base64=_base64(record.key),
            headers=headers or None,
            timestamp=record.timestamp,
        )

    def record(self) -> LogRecord:
        """The record that it stands for."""
        key = None if self.key_base64 is None else base64.b64decode(self.key_base64)
        headers = [
            (name, None if content is None else base64.b64decode(content))
            for name, content in self.headers or ()
        ]
        value = None
        if self.value_base64 is not None:
            value = base64.b64decode(self.value_base64)
        elif self.value is not None:
            value = _to_json(self.value)
        return LogRecord(value, key, headers, self.timestamp, self.topic)


def _to_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _forms(value: Any) -> set[bytes]:
    """The texts that producers in Python write a value as."""
    compact = (",", ":")
    return {
        json.dumps(value, ensure_ascii=ascii_, separators=separators).encode()
        for ascii_ in (False, True)
        for separators in (compact, None)
    }


def _base64(content: str | bytes | None) -> str | None:
    if isinstance(content, str):
        content = content.encode()
    return None if content is None else base64.b64encode(content).decode()


def to_cell(value: Any) -> Cell:
    """A column's value (Python or numpy number, or string) as it is written.

    Floats are rounded to float32, as the model sees them; NaN becomes None. Raises `ValueError` for
    infinity, `TypeError` for anything else.
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        with np.errstate(over="ignore"):
            single = float(np.float32(value))
        if math.isinf(single):
            raise ValueError("a golden value cannot be infinite")
        return None if math.isnan(single) else single
    raise TypeError(f"a column holds numbers and strings, not {type(value).__name__}")


def close(got: Any, expected: JsonValue) -> bool:
    """Whether a value meets its golden one; lists are compared item by item.

    Strings and integers must be equal; numbers within `RELATIVE` and `ABSOLUTE`; None (as NaN)
    meets only NaN.
    """
    if isinstance(expected, list):
        return (
            isinstance(got, Sequence | np.ndarray)
            and not isinstance(got, str)
            and len(got) == len(expected)
            and all(close(g, e) for g, e in zip(got, expected, strict=True))
        )
    if expected is None:
        return isinstance(got, float | np.floating) and math.isnan(got)
    if isinstance(expected, str):
        return isinstance(got, str) and got == expected
    if isinstance(got, int | np.integer):
        return bool(got == expected)
    if not isinstance(got, float | np.floating) or not isinstance(expected, int | float):
        return False
    return bool(abs(float(got) - expected) <= RELATIVE * abs(expected) + ABSOLUTE)


def expect_columns(
    features: FeatureSet, drafts: Iterable[GoldenEvent], events: Iterable[Event | None]
) -> list[GoldenEvent]:
    """The same golden events with the columns that the feature code computes now for `events`."""
    return _with_columns(drafts, _by_name(features, _replay(features, events)))


def replay_rows(
    features: FeatureSet, topics: Iterable[InputTopic], events: Iterable[GoldenEvent]
) -> list[dict[str, Any] | None]:
    """Replay golden events; for each its columns by name, or None where it asks for no prediction.

    Raises what `replay_golden` raises.
    """
    return _by_name(features, replay_golden(features, topics, events))


def replay_golden(
    features: FeatureSet, topics: Iterable[InputTopic], events: Iterable[GoldenEvent]
) -> list[Row | None]:
    """Replay golden events; for each its event with its columns, or None where it does not ask.

    Raises `UnknownTopicError` for a topic not in `topics`, `InvalidEventError` for a value its decoder
    refuses, and `FeatureError`, which names it, for a function of the declaration that raised.
    """
    decoders = {topic.name: topic.decoder for topic in topics}
    decoded = []
    for event in events:
        if event.topic not in decoders:
            raise UnknownTopicError(event.topic)
        decoded.append(decoders[event.topic](event.record()))
    return _replay(features, decoded)


def _with_columns(
    events: Iterable[GoldenEvent], rows: Iterable[Mapping[str, Any] | None]
) -> list[GoldenEvent]:
    return [
        event
        if row is None
        else event.model_copy(update={"columns": {name: to_cell(row[name]) for name in row}})
        for event, row in zip(events, rows, strict=True)
    ]


def _replay(features: FeatureSet, events: Iterable[Event | None]) -> list[Row | None]:
    # What a decoder skips has a row as little as an event that asks for nothing.
    taken = [
        None if event is None else Arrival(event, 0, 0, offset)
        for offset, event in enumerate(events)
    ]
    arrivals = [arrival for arrival in taken if arrival is not None]
    engine = FeatureEngine(features)
    tables = engine.tables()
    engine.gather(arrivals)
    # One by one: the function that raises is named.
    advance_carefully(engine, arrivals, tables, 0, lambda _view, _state: None)
    for arrival in arrivals:
        if arrival.error is not None:
            raise arrival.error
    return [
        None
        if arrival is None or arrival.row is None
        else Row(
            arrival.event,
            arrival.row,
            None if arrival.newest == NEVER else arrival.event.event_time - arrival.newest,
        )
        for arrival in taken
    ]


def _by_name(features: FeatureSet, rows: Iterable[Row | None]) -> list[dict[str, Any] | None]:
    return [
        None if row is None else dict(zip(features.columns, row.values, strict=True))
        for row in rows
    ]


def read_lines(text: bytes) -> list[GoldenEvent]:
    """Golden events of a JSON Lines file; raises pydantic's `ValidationError`."""
    return [GoldenEvent.model_validate_json(line) for line in text.splitlines() if line.strip()]


def write_lines(events: Iterable[GoldenEvent]) -> bytes:
    """Golden events as a JSON Lines file, keys sorted: the same events give the same bytes."""
    lines = (
        json.dumps(
            {k: v for k, v in event.model_dump(mode="json").items() if v is not None},
            sort_keys=True,
            ensure_ascii=False,
            allow_nan=False,
            separators=(",", ":"),
        )
        for event in events
    )
    return "".join(f"{line}\n" for line in lines).encode()
