"""What a topic's records are decoded with, from what the use case declares."""

from typing import Any, Literal

import pytest

from stream_app.errors import ServiceAwayError
from stream_app.features.events import (
    Event,
    InvalidEventError,
    JsonDecoder,
    LogRecord,
    Message,
    from_header,
    from_key,
    from_timestamp,
)
from stream_app.features.usecase import InputTopic

AT = "2013-12-01T12:00:00Z"


class Opened(Event):
    kind: Literal["opened"]
    amount: float


class Closed(Event):
    kind: Literal["closed"]


class Login(Event, id_from=from_header("login-id"), time_from=from_timestamp()):
    card: int


class Deleted(Event, id_from=from_key(), time_from=from_timestamp()):
    pass


def json_of(kind: str, more: str = "") -> LogRecord:
    """An event of a kind, as a record."""
    return LogRecord(f'{{"event_id": "e", "event_time": "{AT}", "kind": "{kind}"{more}}}'.encode())


def test_an_event_class_or_a_union_is_json() -> None:
    """A union is told apart by the field whose literal differs."""
    one = InputTopic("opened", Opened).decoder
    assert isinstance(one(json_of("opened", ', "amount": 1')), Opened)
    both = InputTopic("accounts", Opened | Closed).decoder
    assert isinstance(both(json_of("opened", ', "amount": 1')), Opened)
    assert isinstance(both(json_of("closed")), Closed)
    assert both.event_types == (Opened, Closed)


def test_a_field_of_a_unions_member_is_named_without_its_tag() -> None:
    """The path is that of the value."""
    decode = InputTopic("accounts", Opened | Closed).decoder
    for message, reason, field in (
        (json_of("opened", ', "amount": "1"'), "wrong-type", "amount"),
        (json_of("lost"), "wrong-event-type", "kind"),
        (LogRecord(b"{}"), "wrong-event-type", "kind"),
    ):
        with pytest.raises(InvalidEventError) as refused:
            decode(message)
        assert (refused.value.reason, refused.value.field) == (reason, field)


@pytest.mark.parametrize("contract", [Opened, Opened | Closed])
def test_other_types_may_be_none_of_the_use_cases(contract: Any) -> None:
    """Where the decoder is told so; what is broken is told all the same."""
    decode = JsonDecoder(contract, skip_others=True)
    assert decode(json_of("lost")) is None
    assert decode(json_of("opened", ', "amount": 1')) is not None
    for broken in (json_of("opened"), LogRecord(b"{")):
        with pytest.raises(InvalidEventError):
            decode(broken)


def own(message: Message) -> Event | None:
    """A decoder of one's own: lines of `card`, with comments."""
    value = (message.value or b"").decode()
    if value.startswith("#"):
        return None
    if value == "away":
        raise ServiceAwayError("the vault", "it is being moved")
    return Login.model_validate({"card": int(value) if value.isdigit() else value})


RECORD = LogRecord(b"7", headers=[("login-id", b"l1")], timestamp=5.0)


def test_a_function_of_ones_own_is_explained_and_completed() -> None:
    """As JSON is: with field and reason, and with what stands in the record."""
    decode = InputTopic("logins", own).decoder
    event = decode(RECORD)
    assert isinstance(event, Login)
    assert (event.event_id, event.event_time, event.card) == ("l1", 5.0, 7)
    assert decode(RECORD._replace(value=b"# nothing")) is None
    with pytest.raises(InvalidEventError) as refused:
        decode(RECORD._replace(value=b"seven"))
    assert (refused.value.reason, refused.value.field) == ("wrong-type", "card")
    assert str(refused.value) == "field card: Input should be a valid integer; it is a string"
    with pytest.raises(ServiceAwayError):
        decode(RECORD._replace(value=b"away"))


def test_a_record_without_a_value_may_be_an_event() -> None:
    """Made of key and timestamp; all others go to the topic's decoder."""
    decode = InputTopic("logins", Login, tombstones=Deleted).decoder
    assert decode.takes_tombstones
    event = decode(LogRecord(None, key=b"card-7", timestamp=5.0))
    assert isinstance(event, Deleted)
    assert (event.event_id, event.event_time) == ("card-7", 5.0)
    assert isinstance(decode(RECORD._replace(value=b'{"card": 7}')), Login)
    assert decode.event_types == (Login, Deleted)
    assert not InputTopic("logins", Login).decoder.takes_tombstones


def test_an_event_that_needs_a_value_is_no_tombstone() -> None:
    """Said where the topic is declared, with what to write instead."""
    with pytest.raises(TypeError, match=r"no value to take event_id, event_time, kind.* id_from="):
        InputTopic("closed", Opened, tombstones=Closed)


class Unlike(Event):
    other: str


@pytest.mark.parametrize(
    ("contract", "told"),
    [
        (Opened | Unlike, "nothing tells Opened, Unlike apart: give each of them one field"),
        (Opened | int, "int'> is no event type"),
        (int, "decodes no records"),
        ("Opened", "decodes no records"),
    ],
)
def test_a_contract_that_decodes_nothing_is_refused(contract: Any, told: str) -> None:
    """Where the topic is declared, in a sentence."""
    with pytest.raises(TypeError, match=told):
        InputTopic("accounts", contract)


def test_a_value_of_a_schema_registry_is_told_as_such() -> None:
    """Where plain JSON is declared, `invalid-utf8` would lead nowhere."""
    with pytest.raises(InvalidEventError, match="id of a schema, 258") as refused:
        JsonDecoder(Opened)(LogRecord(b'\x00\x00\x00\x01\x02{"kind": "opened"}'))
    assert refused.value.reason == "framed-value"


def test_not_finite_says_that_null_is_missing_where_it_may_be() -> None:
    """Else a producer would look for a number to send."""

    class Level(Event):
        level: float | None
        height: float

    def told(field: str) -> str:
        other = "height" if field == "level" else "level"
        value = f'{{"event_id": "e", "event_time": "{AT}", "{field}": NaN, "{other}": 1}}'
        with pytest.raises(InvalidEventError) as refused:
            JsonDecoder(Level)(LogRecord(value.encode()))
        return str(refused.value)

    told_level = "field level: Input should be a finite number; null says that it is missing"
    assert told("level") == told_level
    assert told("height") == "field height: Input should be a finite number"
