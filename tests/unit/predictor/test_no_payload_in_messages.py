"""What a dead letter and the log say of a record: types, fields and places, and nothing of its value."""

import json
import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from pydantic import AwareDatetime, HttpUrl, field_validator
from pydantic_core import PydanticCustomError

from stream_app.config.settings import Settings
from stream_app.errors import ServiceAwayError
from stream_app.features.events import Event, InvalidEventError, JsonDecoder, Message
from stream_app.features.usecase import TimeBounds
from stream_app.models import Model, load_models
from stream_app.observer.events import BatchFinished
from stream_app.observer.observer import Observer
from stream_app.predictor.decode import DecodeStage
from stream_app.records.headers import Header
from stream_app.telemetry.failure_log import FailureLog
from stream_app.text.exception_texts import ExceptionTexts
from stream_app.text.redaction import Redaction
from stream_app.wire.dead_letter import DeadLetters
from tests.unit.builders import NOW, partition, record, rfc3339
from tests.unit.predictor.test_every_reason import DECODED, MAX_BYTES, SECRET
from tests.unit.predictor.test_mistaken_use_case import Worker, stream
from tests.usecases import mistaken

LETTERS = DeadLetters("dead", group="g", code_version="1", model_version="m/1")


class Chatty(Event):
    """A contract whose rules all quote the value."""

    number: int | None = None
    uuid: UUID | None = None
    when: AwareDatetime | None = None
    page: HttpUrl | None = None
    said: Any = None
    checked: Any = None
    made_up: Any = None
    in_disguise: Any = None
    keyed: Any = None
    silent: Any = None

    @field_validator("said")
    @classmethod
    def _say(cls, value: Any) -> Any:
        raise ValueError(f"cannot be {value}")

    @field_validator("checked")
    @classmethod
    def _check(cls, value: Any) -> Any:
        assert value is None, f"got {value}"
        return value

    @field_validator("made_up")
    @classmethod
    def _make_up(cls, value: Any) -> Any:
        raise PydanticCustomError("made_up", "not {value}", {"value": value})

    @field_validator("in_disguise")
    @classmethod
    def _disguise(cls, value: Any) -> Any:
        raise PydanticCustomError("missing", f"{value} is missing")  # type: ignore[arg-type]

    @field_validator("keyed")
    @classmethod
    def _key(cls, value: Any) -> Any:
        return {}[str(value)]

    @field_validator("silent")
    @classmethod
    def _be_silent(cls, value: Any) -> Any:
        class SilentError(ValueError):
            def __str__(self) -> str:
                raise LookupError(value)

        raise SilentError


def chatty(**fields: Any) -> bytes:
    """An event of the chatty contract."""
    return json.dumps({"event_id": "c1", "event_time": rfc3339(NOW)} | fields).encode()


def failed(decoder: Any, value: bytes | None, **how: Any) -> Any:
    """The item of a record that its decoder refuses."""
    stage = DecodeStage(
        {"payments": decoder},
        TimeBounds(ahead_seconds=100.0, behind_seconds=1_000.0),
        max_value_bytes=MAX_BYTES,
        observer=Observer(),
        **how,
    )
    (item,) = stage([record(partition(topic="payments"), 7, value)])
    assert item.failure is not None
    return item


def said(item: Any) -> list[Header]:
    """The headers of its letter."""
    letter = LETTERS(item)
    assert letter is not None
    return letter.headers


FIELDS = [name for name in Chatty.model_fields if name != "event_time"]


@pytest.mark.parametrize("form", [SECRET, [SECRET], {"a": SECRET}, [[{"b": [SECRET]}]]], ids=str)
@pytest.mark.parametrize("field", [*FIELDS, "event_time"])
def test_no_rule_of_a_contract_quotes_the_value(field: str, form: Any) -> None:
    """Neither pydantic's own nor those of a use case, whatever they say; what raised is named."""
    if field == "event_id" and form is SECRET:
        return  # it is a good one
    item = failed(JsonDecoder(Chatty), chatty(**{field: form}))
    assert SECRET not in repr(said(item))
    if field in ("said", "checked"):
        assert "test_no_payload_in_messages.py:" in item.failure.message


def test_the_type_of_the_value_is_told_beside_what_was_expected() -> None:
    """In the words of JSON."""

    def told(value: Any) -> str:
        return str(failed(JsonDecoder(Chatty), chatty(event_id=value)).failure.message)

    expected = "field event_id: Input should be a valid string; it is "
    names = {5: "an integer", 5.5: "a number", True: "a boolean", None: "null"}
    assert {value: told(value) for value in names} == {v: expected + n for v, n in names.items()}
    assert told([1]) == f"{expected}an array"
    assert told({}) == f"{expected}an object"


def test_texts_are_told_where_a_setting_says_so() -> None:
    """For a contract whose texts are known to be harmless."""
    item = failed(JsonDecoder(Chatty), chatty(said=SECRET), texts=ExceptionTexts(are_told=True))
    assert item.failure.message.endswith(f": Value error, cannot be {SECRET}")
    item = failed(JsonDecoder(Chatty), chatty(keyed=SECRET), texts=ExceptionTexts(are_told=True))
    assert item.failure.message.endswith(f": '{SECRET}'")
    assert failed(JsonDecoder(Chatty), chatty(silent=SECRET), texts=ExceptionTexts(are_told=True))


def quoting(message: Message) -> Any:
    """A decoder that says what it should not."""
    raise InvalidEventError("bad-card", f"not a card: {message.value!r}", "card")


def test_where_fields_are_redacted_a_decoder_of_ones_own_is_not_believed_to_quote_nothing() -> None:
    """Its reason and field are told, and where it refused; the library's own words are told as ever."""
    value = chatty(card=SECRET)
    assert SECRET in failed(quoting, value).failure.message
    item = failed(quoting, value, redaction=Redaction("card"))
    assert SECRET not in repr(said(item))
    assert (item.failure.reason, item.failure.field) == ("bad-card", "card")
    assert "InvalidEventError in quoting" in item.failure.message
    plain = failed(
        JsonDecoder(Chatty), chatty(number=SECRET), redaction=Redaction("card")
    ).failure.message
    assert plain == "field number: Input should be a valid integer; it is a string"


class Cards(Event):
    """A contract with free keys."""

    cards: dict[str, dict[str, int]]


def test_names_below_what_is_redacted_are_not_told() -> None:
    """The keys of a mapping are the producer's, and the value has none of them either."""
    value = json.dumps(
        {"event_id": "a", "event_time": "2013-12-01T00:00:00Z", "cards": {SECRET: {"n": "x"}}}
    ).encode()
    assert f"cards.{SECRET}.n" in failed(JsonDecoder(Cards), value).failure.message
    for paths in ("cards", "cards[*].n", "$"):
        item = failed(JsonDecoder(Cards), value, redaction=Redaction(paths))
        assert SECRET not in repr(said(item))
        assert item.failure.field == "cards"
        assert item.failure.message.startswith("field cards: Input should be a valid integer")
    item = failed(JsonDecoder(Cards), value, redaction=Redaction("cards.*.n, other"))
    assert item.failure.field == f"cards.{SECRET}.n"  # in the value its name stands as well


def test_where_fields_are_redacted_an_absence_is_told_without_a_decoders_words() -> None:
    """Whoever waits says so in the log, and the words of a decoder may hold what it asked for."""

    def asking(message: Message) -> Any:
        raise ServiceAwayError("cards", f"cannot look up {message.value!r}")

    with pytest.raises(ServiceAwayError, match=SECRET):
        failed(asking, chatty(card=SECRET))
    with pytest.raises(ServiceAwayError, match=r"ServiceAwayError in asking \(") as raised:
        failed(asking, chatty(card=SECRET), redaction=Redaction("card"))
    assert SECRET not in str(raised.value)


def test_texts_and_redaction_contradict_each_other() -> None:
    """The texts would quote what is to be redacted."""
    with pytest.raises(ValueError, match="exception_texts and redact_fields contradict"):
        Settings(exception_texts=True, redact_fields="card")


@pytest.mark.parametrize("reason", DECODED)
@pytest.mark.parametrize("tells_texts", [False, True])
def test_no_header_of_a_letter_quotes_the_value(reason: str, *, tells_texts: bool) -> None:
    """For no reason that decoding gives; the library's own words quote nothing either way."""
    decoder, value = DECODED[reason]
    item = failed(decoder, value, texts=ExceptionTexts(are_told=tells_texts))
    assert SECRET not in repr(said(item)) or (tells_texts and reason == "wrong-event-type")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Model]:
    """The model of the use case that errs."""
    folder = tmp_path_factory.mktemp("artifacts")
    mistaken.train(folder, mistaken.usecase)
    return load_models(mistaken.usecase, folder)


def marked(message: Message) -> Any:
    """A decoder that raises what quotes the whole value."""
    raise RuntimeError(message.value, message.key, message.headers)


def test_no_mistake_of_a_use_case_carries_the_value_into_letter_or_log(
    models: Sequence[Model], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the exception says: its type, function, file and line are told, at debug level too."""
    records, bad = stream()
    for each in records:
        assert each.value is not None
        each.value = each.value.replace(b"full-", SECRET.encode()).replace(
            b'"a1"', f'"{SECRET}"'.encode()
        )
    with caplog.at_level(logging.DEBUG):
        batch = Worker(models).work(records)
        tell = FailureLog(seconds=0.0)
        tell(BatchFinished(batch))
        tell.close()
    letters = [each for each in batch.outgoing if each.kind == "dead letter"]
    assert len(letters) == len(bad)
    assert len(caplog.records) >= 20
    assert SECRET not in caplog.text
    for letter in letters:
        assert SECRET not in repr(letter.headers)
    item = failed(marked, json.dumps({"card": SECRET}).encode())
    assert SECRET not in repr(said(item))
