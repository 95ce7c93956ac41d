"""What a contract says of framed values is what their decoders read."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from stream_app import AvroDecoder, Event, InputTopic, Moment
from stream_app.contract.avro import avro_schema
from stream_app.contract.comparison import changes
from stream_app.contract.topics import KAFKA, topic_contracts
from stream_app.decoders.proto_text import proto_text
from stream_app.features.events import LogRecord
from tests.unit.decoders.formats import FIELDS, PROTOBUF, Payment, decoders, protobuf_class
from tests.unit.decoders.registry_server import RegistryServer, registry_server
from tests.unit.training.shop import make_usecase

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _installed() -> None:
    """The extras are installed."""
    for package in ("fastavro", "jsonschema", "httpx2", "google.protobuf"):
        pytest.importorskip(package)


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    """A registry on this machine."""
    with registry_server() as server:
        yield server


def taken(kind: type[Event], fields: dict[str, Any], registry: RegistryServer) -> Any:
    """The event of what a producer writes by the Avro schema of the contract."""
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    decoder = AvroDecoder(kind, registry.properties)
    schema = json.dumps(avro_schema(decoder.json_schema()))
    client = SchemaRegistryClient(registry.properties)
    write = AvroSerializer(client, schema, conf={"subject.name.strategy.type": "TOPIC"})
    value = write(fields, SerializationContext("events", MessageField.VALUE))
    return decoder(LogRecord(value, topic="events"))


def test_an_event_written_by_the_avro_schema_of_the_contract_is_taken(
    registry: RegistryServer,
) -> None:
    """A producer needs the document alone."""
    event = taken(Payment, FIELDS, registry)
    assert (event.payment_id, event.created) == ("p1", FIELDS["created"].timestamp())
    assert (event.country, event.tags, event.limits) == ("DE", ["a", "b"], {"day": 3})


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Corner(BaseModel):
    x: float
    y: float | None = None


class Everything(Event):
    """One field of each kind."""

    kind: Literal["all"]
    count: Annotated[int, Field(ge=0)]
    share: float
    is_new: bool
    colour: Annotated[Colour, Field(strict=False)]
    day: date
    number: UUID
    seen: Moment | None = None
    corner: Corner
    others: list[Corner] = Field(default=[])
    names: dict[str, str] = Field(default={})
    size: int | str = 0


WHOLE = {
    "event_id": "e1",
    "event_time": NOON,
    "kind": "all",
    "count": 2,
    "share": 0.5,
    "is_new": True,
    "colour": "red",
    "day": date(2024, 2, 29),
    "number": UUID(int=7),
    "corner": {"x": 1.0, "y": 2.0},
    "others": [{"x": 3.0}],
    "names": {"de": "rot"},
    "size": "large",
}


def test_every_kind_of_field_has_its_words_in_avro(registry: RegistryServer) -> None:
    """Times and days have logical types; what may be left out may be null."""
    event = taken(Everything, WHOLE, registry)
    assert event.event_time == NOON.timestamp()
    assert (event.colour, event.day, event.number) == (Colour.RED, date(2024, 2, 29), UUID(int=7))
    assert (event.corner, event.others) == (Corner(x=1.0, y=2.0), [Corner(x=3.0)])
    assert (event.seen, event.names, event.size) == (None, {"de": "rot"}, "large")


def test_what_may_be_left_out_has_its_default_in_avro(registry: RegistryServer) -> None:
    """A producer need not name it."""
    needed = {name: WHOLE[name] for name in WHOLE if name not in ("others", "names")}
    event = taken(Everything, needed, registry)
    assert (event.others, event.names) == ([], {})


class Untold(Event):
    anything: Any


def test_where_avro_has_no_words_the_fields_are_told_alone() -> None:
    """No schema is better than a wrong one."""
    decoder = AvroDecoder(Untold, {"url": "http://localhost:1"})
    assert avro_schema(decoder.json_schema()) is None
    usecase = make_usecase(topics=(InputTopic("untold", decoder),))
    contract = topic_contracts(usecase)[0]
    assert "schema" not in contract[KAFKA]["value"]
    assert "anything" in contract["properties"]


def test_the_text_of_a_protobuf_message_is_that_of_its_file() -> None:
    """Fields, labels, maps, enums and what it imports, as they were written."""

    def words(text: str) -> list[str]:
        # Names may be whole or not; which enum or message comes first says nothing.
        return sorted(re.sub(r"\btests\.", "", line).strip() for line in text.splitlines() if line)

    written = re.sub(r"enum (\w+) \{ (.*) \}", _spread, PROTOBUF)
    assert words(proto_text(protobuf_class().DESCRIPTOR.file)) == words(written)


def _spread(enum: re.Match[str]) -> str:
    values = "\n".join(f"{each};" for each in enum[2].rstrip(";").split("; "))
    return f"enum {enum[1]} {{\n{values}\n}}"


def test_another_format_or_field_of_framed_values_breaks_their_producers() -> None:
    """As of plain JSON: before, their contracts were empty and nothing was seen."""
    of = decoders({"url": "http://localhost:1"})

    class Stricter(Payment):
        shop: str

    def contracts(decoder: Any) -> Any:
        return topic_contracts(make_usecase(topics=(InputTopic("payments", decoder),)))

    avro, protobuf = contracts(of["avro"]), contracts(of["protobuf"])
    stricter = contracts(AvroDecoder(Stricter, {"url": "http://localhost:1"}))
    told = [(each.breaks, each.what) for each in changes(avro, protobuf)]
    assert told == [
        (
            "producers",
            "the format of values was avro of a schema registry, is protobuf of a schema registry",
        )
    ]
    assert [(each.breaks, each.what) for each in changes(avro, stricter)] == [
        ("producers", "shop is new and required")
    ]
