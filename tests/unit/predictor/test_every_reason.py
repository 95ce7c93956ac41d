"""Each reason of the catalogue is produced, and its dead letter keeps what the documents promise."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from pydantic import Field, field_validator

from stream_app.config.settings import Settings
from stream_app.crash_isolation.trial import Trial, _Death
from stream_app.decoders.avro import AvroDecoder
from stream_app.delivery.refusals import Refusals
from stream_app.features.events import Decoder, Event, JsonDecoder
from stream_app.features.usecase import TimeBounds
from stream_app.models import Model, load_models
from stream_app.observer.observer import Observer
from stream_app.predictor.decode import DecodeStage
from stream_app.predictor.score import ScoreStage
from stream_app.records.batch import Outgoing
from stream_app.records.item import Item, Served
from stream_app.records.record import Record
from stream_app.waiting.retry import Retry
from stream_app.wire.dead_letter import DeadLetter, DeadLetters
from stream_app.wire.headers import by_name
from stream_app.wire.outgoing import OutgoingRecords
from stream_app.wire.prediction import Predictions
from stream_app.wire.reasons import REASONS
from tests.raw_records import RawRecord, write
from tests.unit.builders import NOW, FakeModel, partition, record, rfc3339
from tests.unit.decoders.formats import FIELDS, decoders, serializers
from tests.unit.decoders.registry_server import registry_server
from tests.unit.predictor.test_mistaken_use_case import Worker, stream
from tests.unit.predictor.test_score import USECASE, triggers
from tests.usecases import mistaken

MAX_BYTES = 30_000
DEAD = DeadLetters("dead", group="g", code_version="1", model_version="m/1")
SECRET = "4012-8888-8888-1881"
"""Stands for what must never be quoted."""


class Paid(Event):
    kind: Literal["paid"]
    amount: Annotated[float, Field(ge=0.0, le=100.0)]
    card: str
    note: Annotated[str, Field(pattern="^[a-z]*$")] = ""

    @field_validator("note")
    @classmethod
    def _is_no_joke(cls, note: str) -> str:
        if note == "joke":
            raise ValueError("no jokes")
        return note


def paid(**changes: Any) -> bytes:
    """A payment with some fields changed; `...` leaves one out."""
    event = {
        "event_id": "p1", "event_time": rfc3339(NOW), "kind": "paid", "amount": 5.0, "card": SECRET,
    } | changes  # fmt: skip
    return json.dumps({name: value for name, value in event.items() if value is not ...}).encode()


JSON_DECODER = JsonDecoder(Paid)
DECODED: Mapping[str, tuple[Decoder, bytes | None]] = {
    "tombstone": (JSON_DECODER, None),
    "empty-value": (JSON_DECODER, b""),
    "value-too-large": (JSON_DECODER, paid(note="a" * MAX_BYTES)),
    "invalid-utf8": (JSON_DECODER, paid()[:-1] + b"\xff"),
    "invalid-json": (JSON_DECODER, paid()[:-1]),
    "framed-value": (JSON_DECODER, b"\x00\x00\x00\x00\x07" + paid()),
    "nesting-too-deep": (JSON_DECODER, b"[" * 5_000),
    "not-an-object": (JSON_DECODER, f'["{SECRET}"]'.encode()),
    "wrong-event-type": (JSON_DECODER, paid(kind=SECRET)),
    "missing-field": (JSON_DECODER, paid(amount=...)),
    "wrong-type": (JSON_DECODER, paid(amount=SECRET)),
    "out-of-range": (JSON_DECODER, paid(amount=401_288.0)),
    "not-finite": (JSON_DECODER, paid(amount=float("nan"))),
    "bad-format": (JSON_DECODER, paid(note=SECRET)),
    "bad-time": (JSON_DECODER, paid(event_time=SECRET)),
    "invalid-field": (JSON_DECODER, paid(note="joke")),
    "time-out-of-range": (JSON_DECODER, paid(event_time=rfc3339(NOW - 1e6))),
    "not-framed": (AvroDecoder(Paid, {"url": "http://127.0.0.1:1"}), paid()),
}

#: Those that need more than a decoder or a use case that errs; each has a test below.
BROKEN_HEADERS = ("invalid-headers", "too-many-headers")
OF_A_REGISTRY = ("unknown-schema", "schema-mismatch")
DEGRADED = ("model-error", "non-finite-score", "state-rebuilding")
GOING_OUT = ("unscorable", "unencodable-answer", "prediction-refused")
KILLING = ("process-crash", "process-hang")
MISTAKES = {**mistaken.MISTAKES, **mistaken.ASKING}


def test_each_reason_is_produced_here() -> None:
    """A reason that is new gets a test."""
    mistakes = {reason for _, reason in MISTAKES.values()}
    elsewhere = (*BROKEN_HEADERS, *OF_A_REGISTRY, *DEGRADED, *GOING_OUT, *KILLING)
    assert {*DECODED, *mistakes & {*REASONS}, *elsewhere} == {*REASONS}


@pytest.mark.parametrize("reason", DECODED)
def test_the_letter_of_a_record_that_is_no_event(reason: str) -> None:
    """Stage, disposition and reason are the catalogue's; the value is kept whole, and nowhere quoted."""
    decoder, value = DECODED[reason]
    stage = DecodeStage(
        {"payments": decoder},
        TimeBounds(ahead_seconds=100.0, behind_seconds=1_000.0),
        max_value_bytes=MAX_BYTES,
        observer=Observer(),
    )
    (item,) = stage([record(partition(topic="payments"), 7, value)])
    letter = DeadLetters("dead", group="g", code_version="1", model_version="m/1")(item)
    assert letter is not None
    said = the_letter(letter)
    assert said.reason == reason
    assert said.disposition == "poison"
    assert said.state == "not-applied"
    assert (letter.key, letter.value) == (b"key", value)
    assert SECRET not in str(said)
    if reason in ("missing-field", "wrong-type", "out-of-range", "not-finite"):
        assert said.field == "amount"


def the_letter(letter: Outgoing) -> DeadLetter:
    """What a letter says, held against the catalogue where its reason is of the catalogue."""
    said = DeadLetter.of(by_name(letter.headers))
    if said.reason in REASONS:
        assert said.stage in REASONS[said.reason].stages
        assert said.disposition == REASONS[said.reason].disposition
    assert said.message
    assert said.message.isprintable()
    return said


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Model]:
    """The model of the use case that errs."""
    folder = tmp_path_factory.mktemp("artifacts")
    mistaken.train(folder, mistaken.usecase)
    return load_models(mistaken.usecase, folder)


#: ``ValueError in load (shop/features/views.py:31)``
CAUSE = re.compile(r"\w+ in [\w<>]+ \(\S*usecases/mistaken\.py:\d+\)")
RAISED = ("decoder-error", "feature-error", "column-error", "apply-error", "answer-error")
#: A function that gives no answer, or answers without end, has raised nothing.
RAISED_NOTHING = ("answer-none", "answer-never-end")


def test_the_letter_of_a_mistake_of_the_use_case_names_exception_function_and_line(
    models: Sequence[Model],
) -> None:
    """Wherever code of the use case raised, whatever it raised."""
    records, bad = stream()
    batch = Worker(models).work(records)
    letters = {
        letter.item.record.offset: letter for letter in batch.outgoing
        if letter.kind == "dead letter" and letter.item is not None
    }  # fmt: skip
    named = 0
    for offset, (what, stage, reason) in bad.items():
        said = the_letter(letters[offset])
        assert (said.stage, said.reason) == (stage, reason), what
        assert letters[offset].value == records[offset].value
        if reason in RAISED and what not in RAISED_NOTHING:
            assert CAUSE.search(said.message), (what, said.message)
            assert said.disposition == "bug"
            named += 1
    assert named > 15


def letter_of(item: Item) -> DeadLetter:
    """What the letter of a failed item says, held against the catalogue; it quotes nothing."""
    letter = DEAD(item)
    assert letter is not None
    assert (letter.key, letter.value) == (item.record.key, item.record.value)
    said = the_letter(letter)
    assert SECRET not in str(said)
    return said


def decoded(decoder: Decoder, given: Record) -> Item:
    """The item of a record."""
    bounds = TimeBounds(ahead_seconds=100.0, behind_seconds=1_000.0)
    stage = DecodeStage(
        {given.topic: decoder}, bounds, max_value_bytes=MAX_BYTES, observer=Observer()
    )
    (item,) = stage([given])
    return item


@pytest.mark.parametrize("reason", BROKEN_HEADERS)
def test_the_letter_of_a_record_whose_headers_cannot_be_read(reason: str) -> None:
    """Read by the real library, of its own broker in memory."""
    config = {"bootstrap.servers": "unused:1", "test.mock.num.brokers": 1, "log_level": 0}
    producer = Producer(config)
    (broker,) = producer.list_topics("payments", timeout=20).brokers.values()
    names: Any = [(b"\xff", b"")] if reason == "invalid-headers" else [(b"a", b"")] * 2_000
    address = f"{broker.host}:{broker.port}"
    write(address, "payments", 0, [RawRecord(paid(), b"k", names)])
    consumer = Consumer({"bootstrap.servers": address, "group.id": "g", "log_level": 0})
    consumer.assign([TopicPartition("payments", 0, 0)])
    (message,) = consumer.consume(1, 20.0)
    given = Record.of(partition(topic="payments"), message)
    consumer.close()
    assert letter_of(decoded(JSON_DECODER, given)).reason == reason


@pytest.mark.parametrize("reason", OF_A_REGISTRY)
def test_the_letter_of_a_value_that_no_schema_reads(reason: str) -> None:
    """A registry that does not know the schema, and a value that is cut."""
    with registry_server() as registry:
        value = serializers(registry.properties)["avro"](FIELDS | {"event_id": SECRET})
        spoiled = value[:-4] if reason == "schema-mismatch" else b"\0\0\0\0\x63" + value[5:]
        given = record(partition(topic="payments.avro"), 7, spoiled)
        assert letter_of(decoded(decoders(registry.properties)["avro"], given)).reason == reason


@pytest.mark.parametrize("reason", DEGRADED)
def test_what_degrades_a_prediction_is_told_by_it_and_by_no_letter(reason: str) -> None:
    """The catalogue has no disposition for it."""
    first = {"model-error": "raise", "non-finite-score": "nan", "state-rebuilding": 0.25}[reason]
    asking = triggers(first)
    asking.items[0].degraded = "state-rebuilding" if reason == "state-rebuilding" else None
    fallback = FakeModel("static")
    score = FakeModel().score
    fallback.score = lambda rows: score([[0.5] for _ in rows])  # type: ignore[method-assign]
    ScoreStage([FakeModel(), fallback], USECASE)(asking)
    (item,) = asking.items
    assert item.served is not None
    assert item.served.degraded == reason
    assert REASONS[reason].degrades
    assert not REASONS[reason].disposition
    assert DEAD(item) is None


@pytest.mark.parametrize("reason", GOING_OUT)
def test_the_letter_of_a_prediction_that_does_not_come_to_be(reason: str) -> None:
    """No model scores, the answer is no JSON, or the brokers refuse it; the update is applied."""
    asking = triggers("raise" if reason == "unscorable" else 0.25)
    (item,) = asking.items
    if reason == "unscorable":
        ScoreStage([FakeModel(), FakeModel("static")], USECASE)(asking)
    else:
        label: Any = object() if reason == "unencodable-answer" else SECRET
        item.served = Served({"label": label}, "m", "1", "champion", None)
        OutgoingRecords([Predictions("predictions"), DEAD])(asking)
        if reason == "prediction-refused":
            (prediction,) = asking.outgoing
            error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
            assert Refusals(DEAD)(prediction, error) is not None
    said = letter_of(item)
    assert (said.reason, said.state) == (reason, "applied")


@pytest.mark.parametrize("reason", KILLING)
def test_the_letter_of_a_record_that_ends_the_process(
    reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tried twice in a child; that a real one dies is tested on real services."""
    retry = Retry(initial_seconds=0.0, max_seconds=0.0, observer=Observer())
    trial = Trial(Settings(), retry, lambda _: 0, Observer(), of="batches")
    tried: list[Record] = []

    def once(given: Record) -> Any:
        tried.append(given)
        return _Death("score", reason, "ended by SIGSEGV")

    monkeypatch.setattr(trial, "_once", once)
    item = Item(record(partition(), 7, paid()), None)  # type: ignore[arg-type]
    item.failure = trial(item.record)
    assert len(tried) == 2
    assert letter_of(item).reason == reason
