"""Values behind a schema registry's framing, and a registry that is away, refuses, or does not know."""

import json
from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from stream_app import AvroDecoder, JsonSchemaDecoder, ProtobufDecoder
from stream_app.errors import ConfigurationError, RefusedError, ServiceAwayError
from stream_app.features.events import Event, InvalidEventError, LogRecord
from stream_app.wire.reasons import REASONS
from tests.unit.decoders.formats import (
    FIELDS,
    NOON,
    Login,
    Payment,
    decoders,
    protobuf_class,
    serializers,
)
from tests.unit.decoders.registry_server import RegistryServer, registry_server

FORMATS = ("avro", "json", "protobuf")


@pytest.fixture(autouse=True)
def _installed() -> None:
    """The extras are installed; the surface may be imported without them."""
    for package in ("fastavro", "jsonschema", "httpx2", "google.protobuf"):
        pytest.importorskip(package)


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    """A registry on this machine."""
    with registry_server() as server:
        yield server


def sent(form: str, value: bytes, **more: Any) -> LogRecord:
    """A record of the topic of a format."""
    return LogRecord(value, topic=f"payments.{form}", **more)


def refused(decode: Any, message: LogRecord) -> InvalidEventError:
    """Why a record is refused."""
    with pytest.raises(InvalidEventError) as caught:
        decode(message)
    assert caught.value.reason in REASONS
    return caught.value


@pytest.mark.parametrize("form", FORMATS)
def test_what_a_serializer_wrote_is_an_event(registry: RegistryServer, form: str) -> None:
    """With times, texts of an enum, lists and maps; a field that was not set is None."""
    write, decode = serializers(registry.properties)[form], decoders(registry.properties)[form]
    event = decode(sent(form, write(FIELDS)))
    assert isinstance(event, Payment)
    assert (event.event_id, event.event_time) == ("p1", NOON.timestamp())
    assert (event.amount, event.country) == (5.0, "DE")
    assert (event.tags, event.limits) == (["a", "b"], {"day": 3})
    assert decode(sent(form, write(FIELDS | {"country": None}))).country is None
    assert not event.__pydantic_extra__


class Colour(Enum):
    RED = "red"


class Paint(BaseModel):
    colours: dict[str, Colour | None]


class Painted(Event):
    with_: Paint


class Lenient(Event):
    colour: Annotated[Colour, Field(strict=False)]


def test_an_enum_that_takes_no_text_is_refused_when_the_decoder_is_made() -> None:
    """Else every record would be a dead letter; what to declare instead is told."""
    with pytest.raises(TypeError) as refused:
        AvroDecoder(Painted, {"url": "http://localhost:1"})
    assert str(refused.value) == (
        "Paint.colours is a Colour, and an enum of Avro or Protobuf comes as a text: declare it "
        "Literal[...], or Annotated[Colour, Field(strict=False)]"
    )
    with pytest.raises(TypeError, match="comes as a text"):
        ProtobufDecoder(Painted, protobuf_class())
    JsonSchemaDecoder(Painted, {"url": "http://localhost:1"})
    AvroDecoder(Lenient, {"url": "http://localhost:1"})


def test_a_schema_is_asked_for_once(registry: RegistryServer) -> None:
    """Afterwards the registry may be away."""
    value = serializers(registry.properties)["avro"](FIELDS)
    decode = decoders(registry.properties)["avro"]
    decode(sent("avro", value))
    asked, registry.status = registry.requests, 500
    assert decode(sent("avro", value)) is not None
    assert registry.requests == asked


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "value", [b"", b"\x00", b"\x00\x00\x00\x00\x01", b"\x07abcdefg", b'{"a": 1}']
)
def test_a_value_without_framing_is_refused(
    registry: RegistryServer, form: str, value: bytes
) -> None:
    """And told to be JSON where it looks like it; the registry is not asked."""
    error = refused(decoders(registry.properties)[form], sent(form, value))
    assert error.reason == "not-framed"
    assert ("plain JSON" in str(error)) == value.startswith(b"{")
    assert registry.requests == 0


@pytest.mark.parametrize("form", FORMATS)
def test_a_schema_that_the_registry_does_not_know_is_the_records_fault(
    registry: RegistryServer, form: str
) -> None:
    """Its id may be anything."""
    value = b"\x00\x00\x00\x00\x63" + b"\x00rest"
    error = refused(decoders(registry.properties)[form], sent(form, value))
    assert error.reason == "unknown-schema"
    assert "hush" not in str(error)


@pytest.mark.parametrize("form", FORMATS)
def test_bytes_that_are_not_of_their_schema_are_refused_and_not_quoted(
    registry: RegistryServer, form: str
) -> None:
    """Cut off, or of another type than the schema says."""
    value = serializers(registry.properties)[form](FIELDS)
    decode = decoders(registry.properties)[form]
    spoiled = value.replace(b"5.0", b'"hush"') if form == "json" else value[:8]
    error = refused(decode, sent(form, spoiled))
    assert error.reason == "schema-mismatch"
    assert "hush" not in str(error)


@pytest.mark.parametrize("form", FORMATS)
def test_a_model_that_refuses_says_which_field(registry: RegistryServer, form: str) -> None:
    """As it does for JSON."""
    write, decode = serializers(registry.properties)[form], decoders(registry.properties)[form]
    error = refused(decode, sent(form, write(FIELDS | {"amount": float("nan")})))
    assert (error.reason, error.field) == ("not-finite", "amount")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (500, ServiceAwayError),
        (503, ServiceAwayError),
        (429, ServiceAwayError),
        (401, RefusedError),
    ],
)
@pytest.mark.parametrize("form", FORMATS)
def test_a_registry_that_fails_or_refuses_is_no_records_fault(
    registry: RegistryServer, form: str, status: int, error: type[ServiceAwayError]
) -> None:
    """It is waited for; its name and address are told, a password is not."""
    write, decode = serializers(registry.properties)[form], decoders(registry.properties)[form]
    message = sent(form, write(FIELDS))
    registry.status = status
    with pytest.raises(ServiceAwayError, match=f"127.0.0.1:.* status {status}") as away:
        decode(message)
    assert type(away.value) is error
    assert away.value.service == "schema registry"
    assert "hush" not in str(away.value)
    registry.status = None
    assert decode(message) is not None


def test_a_registry_that_cannot_be_reached_is_away() -> None:
    """Whatever keeps it from answering."""
    with registry_server() as server:
        message = sent("avro", serializers(server.properties)["avro"](FIELDS))
    server.server_close()
    with pytest.raises(ServiceAwayError, match=r"does not answer: .*[Cc]onnection refused") as away:
        decoders(server.properties)["avro"](message)
    assert not isinstance(away.value, RefusedError)


def test_an_event_may_take_its_id_and_time_from_headers(registry: RegistryServer) -> None:
    """As one of JSON may; the schema's id may stand in a header, too."""
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    fields = [{"name": "card", "type": "int"}, {"name": "device", "type": "string"}]
    schema = json.dumps({"type": "record", "name": "Login", "fields": fields})
    write = AvroSerializer(
        SchemaRegistryClient(registry.properties),
        schema,
        conf={"subject.name.strategy.type": "TOPIC"},
    )
    value = write(
        {"card": 7, "device": "telephone"}, SerializationContext("logins", MessageField.VALUE)
    )
    assert value is not None
    headers = [("id", b"l1"), ("at", b"2013-12-01T12:00:00Z")]
    decode = AvroDecoder(Login, registry.properties)
    for message in (
        sent("avro", value, headers=headers),
        sent("avro", value[5:], headers=[*headers, ("__value_schema_id", value[:5])]),
    ):
        event: Any = decode(message)
        assert (event.event_id, event.event_time, event.card) == ("l1", NOON.timestamp(), 7)


def test_a_protobuf_message_of_another_type_is_not_read_as_ours(registry: RegistryServer) -> None:
    """It would parse, with other fields or none; it may be skipped."""
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext
    from google.protobuf.timestamp_pb2 import Timestamp

    conf = {"subject.name.strategy.type": "TOPIC", "use.deprecated.format": False}
    client = SchemaRegistryClient(registry.properties)
    where = SerializationContext("payments.protobuf", MessageField.VALUE)
    value = ProtobufSerializer(Timestamp, client, conf)(Timestamp(seconds=5), where)
    assert value is not None
    error = refused(decoders(registry.properties)["protobuf"], sent("protobuf", value))
    assert error.reason == "wrong-event-type"
    assert "tests.Payment" in str(error)
    kind = protobuf_class()
    skipping = ProtobufDecoder(Payment, kind, registry.properties, skip_others=True)
    assert skipping(sent("protobuf", value)) is None


def test_protobuf_needs_no_registry(registry: RegistryServer) -> None:
    """Then a message has to stand where ours stands in its file."""
    value = serializers(registry.properties)["protobuf"](FIELDS)
    asked = registry.requests
    decode = ProtobufDecoder(Payment, protobuf_class())
    event = decode(sent("protobuf", value))
    assert isinstance(event, Payment)
    assert (event.event_id, event.country) == ("p1", "DE")
    # The path is one zero for the first message of a file, else its length and its places, zigzagged.
    assert value[5:6] == b"\x00"
    other = value[:5] + b"\x02\x02" + value[6:]
    assert refused(decode, sent("protobuf", other)).reason == "wrong-event-type"
    assert registry.requests == asked


def test_what_a_protobuf_message_holds_is_read_whole() -> None:
    """Unset fields that can tell so are None, others have their default."""
    from stream_app.decoders.protobuf import as_fields

    assert as_fields(protobuf_class()()) == {
        "payment_id": "",
        "created": None,
        "amount": 0.0,
        "country": None,
        "tags": [],
        "limits": {},
    }


def test_a_missing_package_is_named_with_the_extra_that_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a sentence, where the decoder is made."""
    import sys

    monkeypatch.setitem(sys.modules, "confluent_kafka.schema_registry.avro", None)
    with pytest.raises(
        ConfigurationError, match=r"AvroDecoder needs .* install stream-app\[avro\]"
    ):
        AvroDecoder(Payment, {"url": "http://127.0.0.1:1"})


def test_a_contract_or_a_property_that_cannot_work_is_refused() -> None:
    """Where the decoder is made."""

    class Other(Event):
        name: str

    with pytest.raises(TypeError, match="nothing tells Payment, Other apart"):
        AvroDecoder(Payment | Other, {"url": "http://127.0.0.1:1"})
    with pytest.raises(ValueError, match="nonsense"):
        AvroDecoder(Payment, {"url": "http://127.0.0.1:1", "nonsense": 1})
