"""The contract of each topic of a use case, as one JSON Schema a topic.

The schema is that of the records' values. What JSON Schema has no words for stands in it under
`x-kafka`: topic and role, key, headers, what the timestamp is for, and which event a record without a
value is, if it is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from stream_app.contract.avro import avro_schema
from stream_app.contract.event_records import event_headers, event_key, event_timestamp
from stream_app.contract.records import (
    DEAD_LETTER_HEADERS,
    PASSED_ON_KEY,
    PREDICTION_HEADERS,
    PUBLISHED_TIMESTAMP,
)
from stream_app.features.usecase import InputTopic, TimeBounds, UseCase

__all__ = ["KAFKA", "Contract", "Role", "by_name", "topic_contracts"]

#: A JSON Schema of a topic's values, with a member `x-kafka`.
Contract = Mapping[str, Any]

#: The use case reads `events`; it writes the others.
Role = Literal["events", "predictions", "dead-letters"]

#: The member of a contract that tells of records rather than values.
KAFKA: Final = "x-kafka"

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_FRAMING: Final = (
    "The id of a schema in a schema registry, as Confluent's serializers write it: before the value, or in "
    "a header. A value is read by the schema that it names, so any schema will do that has these fields."
)

_LETTER: Final = {
    "title": "DeadLetter",
    "description": "A record that could not be served: its key, value and headers as they came, and "
    "headers that say where it failed and why. The value may be any bytes, or none.",
}


def topic_contracts(usecase: UseCase) -> list[Contract]:
    """The contracts of the topics of events, then of the predictions, then of the dead letters."""
    partitions = usecase.output_partitions
    return [
        *(_events(topic, usecase.times) for topic in usecase.topics),
        _contract(
            _for_readers(usecase.prediction.model_json_schema()),
            topic=usecase.predictions_topic,
            role="predictions",
            partitions=partitions,
            key=PASSED_ON_KEY,
            headers=PREDICTION_HEADERS,
            timestamp=PUBLISHED_TIMESTAMP,
        ),
        _contract(
            _LETTER,
            topic=usecase.dead_letters_topic,
            role="dead-letters",
            partitions=partitions,
            key=PASSED_ON_KEY,
            headers=DEAD_LETTER_HEADERS,
            timestamp=PUBLISHED_TIMESTAMP,
        ),
    ]


def by_name(contracts: Iterable[Contract]) -> dict[str, Contract]:
    """Each contract by its topic; where a topic has two, the second has its role in its name."""
    named: dict[str, Contract] = {}
    for contract in contracts:
        topic, role = contract[KAFKA]["topic"], contract[KAFKA]["role"]
        named[topic if topic not in named else f"{topic}.{role}"] = contract
    return named


def _contract(schema: Mapping[str, Any], *, role: Role, **kafka: Any) -> Contract:
    return {"$schema": _DIALECT, **schema, KAFKA: {"role": role, **kafka}}


def _events(topic: InputTopic, times: TimeBounds) -> Contract:
    types = topic.decoder.event_types
    without_value = {} if topic.tombstones is None else {"without_value": topic.tombstones.__name__}
    schema = topic.decoder.json_schema()
    return _contract(
        schema or _opaque(topic),
        topic=topic.name,
        role="events",
        partitions=topic.partitions,
        key=event_key(types),
        headers=event_headers(types),
        timestamp=event_timestamp(types, times),
        **without_value,
        **_value(topic, schema),
    )


def _value(topic: InputTopic, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """How values are written, where they are not plain JSON; the JSON Schema is that of their fields."""
    framing = topic.decoder.framing()
    if framing is None:
        return {}
    told: dict[str, Any] = {"format": framing.format, "framing": _FRAMING}
    written = framing.schema_text
    if framing.format == "avro":
        written = avro_schema(schema or {})
    if written is not None:
        told["schema"] = written
    return {"value": told}


def _opaque(topic: InputTopic) -> dict[str, Any]:
    """Of values that are not JSON: the decoder alone knows them."""
    return {
        "title": topic.name,
        "description": "What the decoder of the use case reads, which is not described by a JSON Schema.",
    }


def _for_readers(schema: Any) -> Any:
    """The schema without what forbids further fields: a reader lets those pass that it does not know."""
    if isinstance(schema, list):
        return [_for_readers(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = schema.get("additionalProperties") is False and "properties" in schema
    return {
        name: True if closed and name == "additionalProperties" else _for_readers(each)
        for name, each in schema.items()
    }
