"""The classifier, whose messages are Avro behind the framing of a schema registry."""

from __future__ import annotations

import json
import os
from dataclasses import replace

from stream_app import AvroDecoder, InputTopic, UseCase
from tests.usecases import text

__all__ = ["SCHEMA", "make_usecase", "train", "usecase"]

SCHEMA = json.dumps(
    {
        "type": "record",
        "name": "Ticket",
        "fields": [
            {"name": "event_id", "type": "string"},
            {"name": "event_time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "text", "type": "string"},
        ],
    }
)
_REGISTRY = {"url": os.environ.get("TEST_REGISTRY_URL", "http://127.0.0.1:1"), "timeout": 1.0}


def make_usecase(suffix: str = "") -> UseCase:
    """The use case, on topics whose names end in `suffix`."""
    plain = text.make_usecase(suffix)
    (topic,) = plain.topics
    framed = InputTopic(topic.name, AvroDecoder(text.Ticket, _REGISTRY), topic.partitions)
    return replace(plain, topics=(framed,))


usecase = make_usecase(os.environ.get("TEST_TOPIC_SUFFIX", ""))
train = text.train
