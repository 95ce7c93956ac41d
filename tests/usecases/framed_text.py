"""The classifier, whose messages are Avro behind the framing of a schema registry."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from stream_app import AvroDecoder, InputTopic, UseCase
from tests.usecases import text

__all__ = ["framed", "make_usecase", "train", "usecase"]

_REGISTRY = {"url": os.environ.get("TEST_REGISTRY_URL", "http://127.0.0.1:1"), "timeout": 1.0}


def framed(ticket: dict[str, Any], *, schema: str = "Ticket") -> bytes:
    """A ticket as a producer writes it, by a schema of this name."""
    from confluent_kafka.serialization import MessageField, SerializationContext

    moment = datetime.fromisoformat(ticket["event_time"])
    where = SerializationContext(f"tickets.{schema}", MessageField.VALUE)
    value: bytes = _serializer(schema)({**ticket, "event_time": moment}, where)
    return value


@cache
def _serializer(schema: str) -> Any:
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroSerializer

    kinds = {
        "event_id": "string",
        "event_time": {"type": "long", "logicalType": "timestamp-micros"},
        "text": "string",
    }
    fields = [{"name": name, "type": kind} for name, kind in kinds.items()]
    return AvroSerializer(
        SchemaRegistryClient(_REGISTRY),
        json.dumps({"type": "record", "name": schema, "fields": fields}),
        conf={"subject.name.strategy.type": "TOPIC"},
    )


def make_usecase(suffix: str = "") -> UseCase:
    """The use case, on topics whose names end in `suffix`."""
    plain = text.make_usecase(suffix)
    (topic,) = plain.topics
    avro = InputTopic(topic.name, AvroDecoder(text.Ticket, _REGISTRY), topic.partitions)
    return replace(plain, topics=(avro,))


usecase = make_usecase(os.environ.get("TEST_TOPIC_SUFFIX", ""))


def train(artifacts: Path, usecase: UseCase = usecase) -> None:
    """Write the model version; its golden events are framed too, so the registry has to answer."""
    text.train(artifacts, usecase, framed)
