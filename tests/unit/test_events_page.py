"""docs/events.md: every example runs, in the order of the page."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?ms)^```python( registry)?\n(.*?)^```$", PAGE)


def run(avro_record: Any = None) -> dict[str, Any]:
    """The names that the page's examples leave behind; `avro_record`: for those of a registry."""
    names: dict[str, Any] = {"__name__": __name__, "avro_record": avro_record}
    for needs_registry, code in BLOCKS:
        if avro_record is not None or not needs_registry:
            exec(compile(code, "docs/events.md", "exec"), names)
    return names


def test_every_example_holds() -> None:
    """Each says by its assertions what it shows."""
    assert len(BLOCKS) == 8
    assert {"Payment", "Login", "Opened", "Paid", "CardDeleted"} <= run().keys()


def test_the_example_of_a_registry_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a registry of this machine."""
    for package in ("fastavro", "httpx2"):
        pytest.importorskip(package)
    import json

    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    from stream_app import LogRecord
    from tests.unit.decoders.registry_server import registry_server

    moment = {"type": "long", "logicalType": "timestamp-millis"}
    kinds = {"payment_id": "string", "created": moment, "card": "int", "amount": "double"}
    fields = [{"name": name, "type": kind} for name, kind in kinds.items()]
    schema = json.dumps({"type": "record", "name": "Payment", "fields": fields})
    with registry_server() as server:
        conf = {"subject.name.strategy.type": "TOPIC"}
        write = AvroSerializer(SchemaRegistryClient(server.properties), schema, conf=conf)
        payment = {"payment_id": "p1", "created": 1_714_564_800_000, "card": 7, "amount": 9.5}
        value = write(payment, SerializationContext("payments.avro", MessageField.VALUE))
        monkeypatch.setenv("SCHEMA_REGISTRY_URL", server.properties["url"])
        run(LogRecord(value))
