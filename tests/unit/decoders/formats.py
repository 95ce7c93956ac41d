"""A payment in each format of a schema registry, by confluent-kafka's own serializers."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from stream_app.features.events import Event, Moment, from_header

NOON = datetime(2013, 12, 1, 12, tzinfo=UTC)


class Payment(Event, id_from="payment_id", time_from="created"):
    """A payment, whatever the format it came in."""

    payment_id: str
    created: Moment
    amount: float
    country: str | None = None
    tags: list[str] = Field(default=[])
    limits: dict[str, int] = Field(default={})


class Login(Event, id_from=from_header("id"), time_from=from_header("at")):
    """An event that takes of its record what it can."""

    card: int


AVRO = json.dumps(
    {
        "type": "record",
        "name": "Payment",
        "fields": [
            {"name": "payment_id", "type": "string"},
            {"name": "created", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "amount", "type": "double"},
            {
                "name": "country",
                "type": ["null", {"type": "enum", "name": "C", "symbols": ["DE", "FR"]}],
            },
            {"name": "tags", "type": {"type": "array", "items": "string"}},
            {"name": "limits", "type": {"type": "map", "values": "int"}},
        ],
    }
)
JSON = json.dumps(
    {
        "title": "Payment",
        "type": "object",
        "properties": {"payment_id": {"type": "string"}, "amount": {"type": "number"}},
        "required": ["payment_id", "amount"],
    }
)
PROTOBUF = """
syntax = "proto3";
package tests;
import "google/protobuf/timestamp.proto";
enum Country { NONE = 0; DE = 1; FR = 2; }
message Payment {
  string payment_id = 1;
  google.protobuf.Timestamp created = 2;
  double amount = 3;
  optional Country country = 4;
  repeated string tags = 5;
  map<string, int32> limits = 6;
}
"""
"""The text of what `protobuf_class` makes."""
FIELDS: dict[str, Any] = {
    "payment_id": "p1",
    "created": NOON,
    "amount": 5.0,
    "country": "DE",
    "tags": ["a", "b"],
    "limits": {"day": 3},
}


def protobuf_class() -> Any:
    """The class that protoc would make of a payment's message."""
    from google.protobuf import descriptor_pb2, timestamp_pb2
    from google.protobuf.descriptor_pool import Default
    from google.protobuf.message_factory import GetMessageClass

    assert timestamp_pb2.DESCRIPTOR
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="tests/payment.proto",
        package="tests",
        syntax="proto3",
        dependency=["google/protobuf/timestamp.proto"],
    )
    country = file.enum_type.add(name="Country")
    for number, name in enumerate(("NONE", "DE", "FR")):
        country.value.add(name=name, number=number)
    message = file.message_type.add(name="Payment")
    entry = message.nested_type.add(name="LimitsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=kinds.TYPE_INT32, label=kinds.LABEL_OPTIONAL)
    one, many = kinds.LABEL_OPTIONAL, kinds.LABEL_REPEATED
    message.oneof_decl.add(name="_country")
    for number, (name, kind, label, type_name) in enumerate(
        (
            ("payment_id", kinds.TYPE_STRING, one, ""),
            ("created", kinds.TYPE_MESSAGE, one, ".google.protobuf.Timestamp"),
            ("amount", kinds.TYPE_DOUBLE, one, ""),
            ("country", kinds.TYPE_ENUM, one, ".tests.Country"),
            ("tags", kinds.TYPE_STRING, many, ""),
            ("limits", kinds.TYPE_MESSAGE, many, ".tests.Payment.LimitsEntry"),
        ),
        start=1,
    ):
        field = message.field.add(name=name, number=number, type=kind, label=label)
        if type_name:
            field.type_name = type_name
        if name == "country":
            field.oneof_index = 0
            field.proto3_optional = True
    pool = Default()
    with suppress(TypeError):  # added before
        pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("tests.Payment"))


def serializers(properties: dict[str, Any]) -> dict[str, Callable[..., bytes]]:
    """What writes a payment's fields in each format, by its name."""
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroSerializer
    from confluent_kafka.schema_registry.json_schema import JSONSerializer
    from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    client = SchemaRegistryClient(properties)
    conf = {"subject.name.strategy.type": "TOPIC"}
    kind = protobuf_class()
    avro = AvroSerializer(client, AVRO, conf=conf)
    by_json = JSONSerializer(JSON, client, conf=conf)
    protobuf = ProtobufSerializer(kind, client, conf={**conf, "use.deprecated.format": False})

    def where(form: str) -> Any:
        return SerializationContext(f"payments.{form}", MessageField.VALUE)

    def in_protobuf(fields: dict[str, Any]) -> bytes:
        known = {name: value for name, value in fields.items() if value is not None}
        return protobuf(kind(**known), where("protobuf"))  # type: ignore[no-any-return]

    def in_json(fields: dict[str, Any]) -> bytes:
        created = fields["created"].isoformat()
        return by_json({**fields, "created": created}, where("json"))  # type: ignore[no-any-return]

    return {
        "avro": lambda fields: avro(fields, where("avro")),  # type: ignore[dict-item,return-value]
        "json": in_json,
        "protobuf": in_protobuf,
    }


def decoders(properties: dict[str, Any]) -> dict[str, Any]:
    """A decoder of payments for each format, by its name."""
    from stream_app import AvroDecoder, JsonSchemaDecoder, ProtobufDecoder

    return {
        "avro": AvroDecoder(Payment, properties),
        "json": JsonSchemaDecoder(Payment, properties),
        "protobuf": ProtobufDecoder(Payment, protobuf_class(), properties),
    }
