"""Each reason of the catalogue is produced, and its dead letter keeps what the documents promise."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, field_validator

from stream_app.decoders.avro import AvroDecoder
from stream_app.features.events import Decoder, Event, JsonDecoder
from stream_app.features.usecase import TimeBounds
from stream_app.models import Model, load_models
from stream_app.observer.observer import Observer
from stream_app.predictor.decode import DecodeStage
from stream_app.records.batch import Outgoing
from stream_app.wire.dead_letter import DeadLetter, DeadLetters
from stream_app.wire.headers import by_name
from stream_app.wire.reasons import REASONS
from tests.unit.builders import NOW, partition, record, rfc3339
from tests.unit.predictor.test_mistaken_use_case import Worker, stream
from tests.usecases import mistaken

MAX_BYTES = 30_000
SECRET = "4012-8888-8888-1881"
"""Stands for what must never be quoted."""
UNIT = Path(__file__).parents[1]


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

#: Those that need more than a decoder or a use case that errs, and the tests that produce them.
ELSEWHERE = {
    "invalid-headers": "records/test_raw_headers.py",
    "too-many-headers": "records/test_raw_headers.py",
    "unknown-schema": "decoders/test_framed.py",
    "schema-mismatch": "decoders/test_framed.py",
    "model-error": "predictor/test_score.py",
    "non-finite-score": "predictor/test_score.py",
    "unscorable": "predictor/test_score.py",
    "state-rebuilding": "predictor/test_score.py",
    "unencodable-answer": "wire/test_outgoing.py",
    "prediction-refused": "delivery/test_publish.py",
    "process-crash": "crash_isolation/test_isolation.py",
    "process-hang": "../integration/test_process_crash.py",
}
MISTAKES = {**mistaken.MISTAKES, **mistaken.ASKING}


def test_each_reason_is_produced_here_or_in_the_test_that_is_named() -> None:
    """A reason that is new gets a test."""
    mistakes = {reason for _, reason in MISTAKES.values()}
    assert {*DECODED, *mistakes & {*REASONS}, *ELSEWHERE} == {*REASONS}
    for reason, path in ELSEWHERE.items():
        assert reason in (UNIT / path).read_text(encoding="utf-8"), (reason, path)


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
