"""The AsyncAPI 3.0 document of a use case, made of its topics' contracts.

https://www.asyncapi.com/docs/reference/specification/v3.0.0, with version 0.5.0 of the Kafka bindings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from stream_app.contract.avro import avro_schema
from stream_app.contract.topics import KAFKA, Contract

__all__ = ["asyncapi_document"]

_BINDING: Final = {"bindingVersion": "0.5.0"}
_DEFS: Final = "#/$defs/"
_SCHEMAS: Final = "#/components/schemas/"
_CONTENT_TYPES: Final = {
    "avro": "application/vnd.apache.avro",
    "json": "application/json",
    "protobuf": "application/x-protobuf",
}
_SCHEMA_FORMATS: Final = {
    "avro": "application/vnd.apache.avro+json;version=1.9.0",
    "protobuf": "application/vnd.google.protobuf;version=3",
}
_OPERATIONS: Final = {
    "events": ("receive", "The worker reads the events of {}."),
    "predictions": ("send", "The worker publishes its predictions to {}."),
    "dead-letters": ("send", "The worker publishes what it cannot serve to {}."),
}


def asyncapi_document(
    contracts: Sequence[Contract], *, title: str, version: str, group: str
) -> dict[str, Any]:
    """The document: a channel a topic, a message a type of event, an operation a topic.

    `group` is the consumer group that the events are read by.
    """
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for contract in contracts:
        kafka = contract[KAFKA]
        topic, role = kafka["topic"], kafka["role"]
        channel = channels.setdefault(topic, _channel(kafka))
        action, doing = _OPERATIONS[role]
        operation: dict[str, Any] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{topic}"},
            "summary": doing.format(topic),
            "messages": [],
        }
        if action == "receive":
            known = {"type": "string", "enum": [group]}
            operation["bindings"] = {"kafka": {"groupId": known, **_BINDING}}
        operations[f"{action}.{role}.{topic}"] = operation
        for name, summary, payload in _payloads(contract, schemas):
            known_as = name if name not in messages else f"{topic}.{name}"
            message = messages[known_as] = _message(name, summary, payload, kafka)
            if "value" in kafka:
                _frame(message, kafka["value"], _written(contract, name))
            channel["messages"][known_as] = {"$ref": f"#/components/messages/{known_as}"}
            operation["messages"].append({"$ref": f"#/channels/{topic}/messages/{known_as}"})
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": title,
            "version": version,
            "description": "Events that the worker reads, and what it publishes. Fields may be added to "
            "what it publishes: ignore those that you do not know.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    }


def _channel(kafka: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "address": kafka["topic"],
        "description": f"Timestamp of a record: {kafka['timestamp']}{_tombstones(kafka)}",
        "messages": {},
        **({"x-without-value": kafka["without_value"]} if "without_value" in kafka else {}),
        "bindings": {
            "kafka": {"topic": kafka["topic"], "partitions": kafka["partitions"], **_BINDING}
        },
    }


def _tombstones(kafka: Mapping[str, Any]) -> str:
    event = kafka.get("without_value")
    return f" A record without a value is the event {event}." if event else ""


def _message(
    name: str, summary: str, payload: Mapping[str, Any], kafka: Mapping[str, Any]
) -> dict[str, Any]:
    message = {
        "name": name,
        "title": name,
        "summary": summary,
        "headers": kafka["headers"],
        "payload": payload,
        "bindings": {"kafka": {"key": kafka["key"], **_BINDING}},
        "x-role": kafka["role"],
        "x-timestamp": kafka["timestamp"],
    }
    if payload.keys().isdisjoint(("$ref", "type", "anyOf", "oneOf")):  # no JSON: any bytes
        message["contentType"] = "application/octet-stream"
    return message


def _written(contract: Contract, name: str) -> Any:
    """The schema of a framed message in the words of its format; None where it has no other than JSON's."""
    value, defs = contract[KAFKA]["value"], contract.get("$defs", {})
    if value["format"] == "avro" and name in defs:  # one of several event types
        return avro_schema({"$ref": f"{_DEFS}{name}", "$defs": defs})
    return value.get("schema")


def _frame(message: dict[str, Any], value: Mapping[str, Any], schema: Any) -> None:
    """Tell of a message what stands behind the id of its schema in a registry."""
    message["contentType"] = _CONTENT_TYPES[value["format"]]
    message["description"] = f"Framed: {value['framing']}"
    message["x-value"] = {name: value[name] for name in ("format", "framing")}
    message["bindings"]["kafka"] |= {
        "schemaIdLocation": "payload",
        "schemaIdPayloadEncoding": "confluent",
    }
    if schema is not None:
        # What the fields must be stays told too: `contract diff` compares that.
        message["x-fields"] = message["payload"]
        message["payload"] = {
            "schemaFormat": _SCHEMA_FORMATS[value["format"]],
            "schema": schema,
        }


def _payloads(
    contract: Contract, schemas: dict[str, Any]
) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Name, summary and schema of each type of message; what they refer to goes into `schemas`."""
    topic = contract[KAFKA]["topic"]
    defs = contract.get("$defs", {})
    names: dict[str, str] = {}
    for name, definition in defs.items():
        twin = schemas.get(name)
        same = twin is None or twin == _portable(definition, names | {name: name})
        names[name] = name if same else f"{topic}.{name}"
    for name, definition in defs.items():
        schemas[names[name]] = _portable(definition, names)
    own = {name: each for name, each in contract.items() if name not in ("$schema", "$defs", KAFKA)}
    members = own.get("oneOf", ())
    if "discriminator" in own and all("$ref" in member for member in members):
        refs = [names[member["$ref"].removeprefix(_DEFS)] for member in members]
        return [(name, _summary(schemas[name]), {"$ref": f"{_SCHEMAS}{name}"}) for name in refs]
    return [(str(own.get("title", topic)), _summary(own), _portable(own, names))]


def _summary(schema: Mapping[str, Any]) -> str:
    return str(schema.get("description", "")).partition("\n")[0]


def _portable(schema: Any, names: Mapping[str, str]) -> Any:
    """A schema in the words of AsyncAPI, which are those of draft 07."""
    if isinstance(schema, list):
        return [_portable(each, names) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _portable(each, names) for name, each in schema.items()}
    if isinstance(reference := made.get("$ref"), str):
        name = reference.removeprefix(_DEFS)
        made["$ref"] = f"{_SCHEMAS}{names.get(name, name)}"
    if isinstance(tag := made.get("discriminator"), dict) and "propertyName" in tag:
        made["discriminator"] = tag["propertyName"]
    if isinstance(made.get("prefixItems"), list):
        rest = made.pop("items", True)
        made["items"], made["additionalItems"] = made.pop("prefixItems"), rest
    return made
