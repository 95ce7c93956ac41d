"""The contracts in docs/contracts/ are what the code says, and what goes out keeps them."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from pydantic import BaseModel, Field, ValidationError

from features.flights import usecase
from stream_app import AvroDecoder, Event, InputTopic, JsonDecoder, UseCase
from stream_app.contract.asyncapi import asyncapi_document
from stream_app.contract.topics import KAFKA, by_name, topic_contracts
from stream_app.features.model_version.folder import read_version
from stream_app.models import Model, load_model
from stream_app.models.samples import golden_row
from stream_app.predictor.score import ScoreStage
from stream_app.records.item import Item, Served
from stream_app.records.record_id import RecordId
from stream_app.wire.dead_letter import DeadLetters
from stream_app.wire.outgoing import OutgoingRecords
from stream_app.wire.prediction import Predictions
from tests.unit.builders import NOW, batch, failed, item, partition
from tests.unit.decoders.formats import decoders
from tests.usecases import regression, text

ROOT = Path(__file__).parents[2]
ARTIFACTS = ROOT / "artifacts"
DOCUMENTED = ROOT / "docs" / "contracts"
CURRENT = by_name(topic_contracts(usecase))
PREDICTIONS = CURRENT[usecase.predictions_topic]
#: https://github.com/asyncapi/spec-json-schemas; see the NOTICE beside it.
SPECIFICATION = Path(__file__).parent / "asyncapi" / "3.0.0.json.gz"

DEAD = DeadLetters(
    "dead", group="g", code_version="1", model_version="m/1", producer_header="sent-by"
)


@pytest.fixture(scope="module")
def models() -> list[Model]:
    """The champion and the fallbacks that the demo serves."""
    return [load_model(ARTIFACTS / m, usecase.features, usecase.topics) for m in usecase.models]


def document(of: UseCase) -> dict[str, Any]:
    """The AsyncAPI document of a use case."""
    contracts = topic_contracts(of)
    return asyncapi_document(contracts, title=of.name, version="1.0.0", group=of.name)


def mistakes(written: dict[str, Any]) -> list[str]:
    """Where a document breaks the specification of AsyncAPI 3.0, by the schema of the specification."""
    with gzip.open(SPECIFICATION) as file:
        validator = Draft7Validator(json.load(file))
    return [f"{each.json_path}: {each.message}" for each in validator.iter_errors(written)]


@pytest.mark.parametrize("name", CURRENT)
def test_a_documented_contract_is_current(name: str) -> None:
    """If this fails: `make docs` writes it anew."""
    documented = json.loads((DOCUMENTED / f"{name}.schema.json").read_text(encoding="utf-8"))
    assert documented == CURRENT[name]


def test_the_documented_asyncapi_document_is_current() -> None:
    """If this fails: `make docs` writes it anew."""
    documented = (DOCUMENTED / "flights.asyncapi.json").read_text(encoding="utf-8")
    assert json.loads(documented) == document(usecase)


def test_every_topic_has_a_contract_and_no_contract_is_stale() -> None:
    """Each topic of events, the predictions and the dead letters."""
    topics = [topic.name for topic in usecase.topics]
    assert [*CURRENT] == [*topics, usecase.predictions_topic, usecase.dead_letters_topic]
    files = ["flights.asyncapi.json", *(f"{topic}.schema.json" for topic in CURRENT)]
    assert sorted(path.name for path in DOCUMENTED.iterdir()) == sorted(files)


@pytest.mark.parametrize("name", CURRENT)
def test_a_contract_is_a_json_schema_that_describes_every_field(name: str) -> None:
    """Also of what fields refer to; and key, headers and timestamp are told beside them."""
    contract = CURRENT[name]
    Draft202012Validator.check_schema(contract)
    told = contract[KAFKA]
    for schema in (contract, told["headers"], *contract.get("$defs", {}).values()):
        for field, declared in schema.get("properties", {}).items():
            assert declared.get("description"), f"{name}: {field}"
    assert told["key"]["description"]
    assert told["headers"]["description"]
    assert told["timestamp"]


class Opened(Event):
    kind: Literal["opened"]
    place: tuple[float, float]


class Closed(Event):
    kind: Literal["closed"]
    reason: str | None = None


class Place(BaseModel):
    house: str
    floor: int | None = None


class Shut(Event):
    kind: Literal["shut"]
    where: Place


class Locked(Event):
    kind: Literal["locked"]
    where: Place
    keys: list[Place] = Field(default=[])


Door = Annotated[Opened | Closed, Field(discriminator="kind")]
DOORS = replace(usecase, topics=(InputTopic("doors", JsonDecoder(Door)),))
FRAMED = replace(
    usecase,
    name="framed",
    topics=tuple(
        InputTopic(f"payments.{form}", decoder)
        for form, decoder in decoders({"url": "http://localhost:1"}).items()
    ),
)
DOORS_IN_AVRO = replace(
    usecase,
    name="doors-in-avro",
    topics=(InputTopic("doors", AvroDecoder(Shut | Locked, {"url": "http://localhost:1"})),),
)
SHARED = replace(usecase, dead_letters_topic=usecase.predictions_topic)


@pytest.mark.parametrize(
    "of",
    [usecase, regression.usecase, text.usecase, DOORS, SHARED, FRAMED, DOORS_IN_AVRO],
    ids=lambda of: of.name,
)
def test_the_asyncapi_document_keeps_the_specification(of: UseCase) -> None:
    """Its bindings to Kafka too; every reference in it leads somewhere."""
    written = document(of)
    assert mistakes(written) == []
    for reference in references(written):
        found: Any = written
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


def references(node: Any) -> list[str]:
    """Every reference of a document."""
    if isinstance(node, list):
        return [found for each in node for found in references(each)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [found for each in node.values() for found in references(each)]


def test_the_schema_of_the_specification_sees_mistakes() -> None:
    """In the document and in the bindings: the test above can fail."""
    written = document(usecase)
    written["channels"]["flights.boarding"]["bindings"]["kafka"]["partitions"] = 0
    written["operations"]["receive.events.flights.boarding"]["action"] = "take"
    assert len(mistakes(written)) == 2


def test_each_event_type_of_a_topic_is_a_message_of_its_channel() -> None:
    """A union that a field tells apart is no message of its own."""
    channel = document(DOORS)["channels"]["doors"]
    assert list(channel["messages"]) == ["Opened", "Closed"]


def test_framed_messages_have_the_schema_of_their_format() -> None:
    """Avro and Protobuf in their own words, JSON in its; the id of the schema is where it is told."""
    messages = document(FRAMED)["components"]["messages"]
    of = {
        form: messages[name]
        for form, name in zip(("avro", "json", "protobuf"), messages, strict=False)
    }
    assert [of[form]["contentType"] for form in of] == [
        "application/vnd.apache.avro", "application/json", "application/x-protobuf",
    ]  # fmt: skip
    assert {each["bindings"]["kafka"]["schemaIdPayloadEncoding"] for each in of.values()} == {
        "confluent"
    }
    assert of["avro"]["payload"]["schema"]["name"] == "Payment"
    assert "message Payment {" in of["protobuf"]["payload"]["schema"]
    assert of["json"]["payload"]["properties"]["amount"] == {"title": "Amount", "type": "number"}


def test_each_of_several_event_types_in_avro_has_a_whole_schema() -> None:
    """What both use is defined in each: a message is read alone."""
    messages = document(DOORS_IN_AVRO)["components"]["messages"]
    for name in ("Shut", "Locked"):
        schema = messages[name]["payload"]["schema"]
        (where,) = [each["type"] for each in schema["fields"] if each["name"] == "where"]
        assert where["fields"] == [
            {"name": "house", "type": "string"},
            {"name": "floor", "type": ["null", "long"], "default": None},
        ]
    keys = {each["name"]: each for each in messages["Locked"]["payload"]["schema"]["fields"]}[
        "keys"
    ]
    assert keys["type"] == {"type": "array", "items": "Place"}


def predicted(row: list[Any], model: Model, newest: float) -> bytes:
    """The value published for a row of features."""
    one: Item = item(partition(topic="flights.boarding"), 12)
    one.row, one.newest = row, newest
    scored = batch(1, [one])
    ScoreStage([model], usecase)(scored)
    OutgoingRecords([Predictions(usecase.predictions_topic), DEAD])(scored)
    (outgoing,) = scored.outgoing
    assert outgoing.topic == usecase.predictions_topic
    assert outgoing.value is not None
    return outgoing.value


def golden_rows(folder: str) -> list[list[Any]]:
    """The rows a model version was checked with when it was loaded."""
    version = read_version(ARTIFACTS / folder)
    return [list(golden_row(vector, usecase.features)) for vector in version.golden]


@pytest.mark.parametrize("newest", [NOW - 60.0, float("-inf")], ids=["with state", "without"])
def test_what_the_demo_publishes_keeps_its_contract(models: list[Model], newest: float) -> None:
    """By the champion and by each fallback, for every golden row."""
    for folder, model in zip(usecase.models, models, strict=True):
        for row in golden_rows(folder):
            value = predicted(row, model, newest)
            prediction = usecase.prediction.model_validate_json(value, strict=True)
            assert prediction.prediction_id == "flights.boarding-id-0-12"
            assert prediction.model.name == model.name
            required = PREDICTIONS["required"]
            assert sorted(json.loads(value)) == sorted(required)


def test_the_contract_refuses_what_it_does_not_name(models: list[Model]) -> None:
    """A field more is a change of the contract, and is seen here first."""
    value = json.loads(predicted(golden_rows(usecase.champion)[0], models[0], NOW))
    with pytest.raises(ValidationError):
        usecase.prediction.model_validate(value | {"more": 1})


def test_a_reader_who_validates_by_the_contract_is_not_broken_by_a_new_field(
    models: list[Model],
) -> None:
    """At the top and in what is nested; a wrong field is seen all the same."""
    value = json.loads(predicted(golden_rows(usecase.champion)[0], models[0], NOW))
    by_contract = Draft202012Validator(PREDICTIONS)
    by_contract.validate(value)
    value["more"] = value["model"]["more"] = 1
    by_contract.validate(value)
    assert not by_contract.is_valid(value | {"score": "high"})


def test_the_headers_of_the_contracts_are_those_that_are_published() -> None:
    """Of a prediction, of a replay's, and of a dead letter."""
    plain, replay = item(partition(), 1), item(partition(), 2)
    for each in (plain, replay):
        each.served = Served({"score": 0.5, "late": True}, "m", "1", "champion", None)
    replay.ahead, replay.first_origin = True, RecordId("topic-id", 0, 1)
    broken = failed(partition(), 3)
    broken.record.headers = [("sent-by", b"till 4.2")]
    scored = batch(1, [plain, replay, broken])
    OutgoingRecords([Predictions(usecase.predictions_topic), DEAD])(scored)
    contracts = [PREDICTIONS, PREDICTIONS, CURRENT[usecase.dead_letters_topic]]
    names = set()
    for contract, outgoing in zip(contracts, scored.outgoing, strict=True):
        headers = {name: value.decode() for name, value in outgoing.headers}  # type: ignore[union-attr]
        headers.pop("sent-by", None)  # the record's own
        Draft202012Validator(contract[KAFKA]["headers"]).validate(headers)
        assert headers.keys() <= contract[KAFKA]["headers"]["properties"].keys()
        names |= headers.keys()
    assert names == {
        name for contract in contracts for name in contract[KAFKA]["headers"]["properties"]
    }
