"""Where an event has its id and its time from."""

from typing import Any, Literal
from uuid import UUID

import pytest

from stream_app.features.events import (
    EpochMilliseconds,
    EpochSeconds,
    Event,
    InvalidEventError,
    JsonDecoder,
    LogRecord,
    Moment,
    from_header,
    from_key,
    from_timestamp,
)

NOON = 1_385_899_200.0
AT = "2013-12-01T12:00:00Z"


class Payment(Event, id_from="payment_id", time_from="created"):
    payment_id: str
    created: Moment
    amount: float


class Refund(Payment):
    reason: str


class Login(Event, id_from=from_header("login-id"), time_from=from_timestamp()):
    card: int


class Reading(Event, id_from=from_key(), time_from=from_header("read-at")):
    level: float


LOGIN = LogRecord(b'{"card": 7}', headers=[("login-id", b"l1")], timestamp=NOON)
READING = LogRecord(b'{"level": 1.5}', key=b"tank", headers=[("read-at", AT.encode())])


def refused(decode: JsonDecoder, message: LogRecord) -> tuple[str, str | None]:
    """Reason and field of what a decoder refuses."""
    with pytest.raises(InvalidEventError) as caught:
        decode(message)
    return caught.value.reason, caught.value.field


def test_fields_of_the_value_are_id_and_time() -> None:
    """In a class derived from it too, and after the field has changed."""
    value = f'{{"payment_id": "p1", "created": "{AT}", "amount": 5, "reason": "broken"}}'
    for contract in (Payment, Refund):
        event: Any = JsonDecoder(contract)(LogRecord(value.encode()))
        assert (event.event_id, event.event_time) == ("p1", NOON)
        assert event.event_time is event.created
    event.payment_id = "p2"
    assert event.event_id == "p2"


@pytest.mark.parametrize(
    ("kind", "value", "event_id"),
    [
        (int, "12", "12"),
        (UUID, '"6f9619ff-8b86-d011-b42d-00c04fc964ff"', "6f9619ff-8b86-d011-b42d-00c04fc964ff"),
    ],
)
def test_a_number_or_a_uuid_is_an_id_as_text(kind: type, value: str, event_id: str) -> None:
    """Ids are text wherever they go."""

    class Order(Event, id_from="number"):
        number: kind  # type: ignore[valid-type]

    payload = f'{{"number": {value}, "event_time": "{AT}"}}'
    event = JsonDecoder(Order)(LogRecord(payload.encode()))
    assert event is not None
    assert event.event_id == event_id


@pytest.mark.parametrize(
    ("kind", "number"), [(EpochSeconds, "1385899200"), (EpochMilliseconds, "1385899200000")]
)
def test_a_number_is_the_time_where_its_unit_is_declared(kind: Any, number: str) -> None:
    """In seconds, whatever stands on the wire."""

    class Tick(Event, id_from=from_key(), time_from="at"):
        at: kind

    event = JsonDecoder(Tick)(LogRecord(f'{{"at": {number}}}'.encode(), key=b"k"))
    assert event is not None
    assert event.event_time == NOON


def test_key_header_and_timestamp_of_the_record_are_id_and_time() -> None:
    """The last header of a name counts; a field of the value that has the name does not."""
    login = JsonDecoder(Login)(LOGIN._replace(value=b'{"card": 7, "event_id": "forged"}'))
    assert login is not None
    assert (login.event_id, login.event_time) == ("l1", NOON)
    two = [("read-at", b"yesterday"), *READING.headers]
    reading = JsonDecoder(Reading)(READING._replace(headers=two))
    assert reading is not None
    assert (reading.event_id, reading.event_time) == ("tank", NOON)


@pytest.mark.parametrize(
    ("decode", "message", "reason", "field"),
    [
        (JsonDecoder(Login), LOGIN._replace(headers=()), "missing-field", "header login-id"),
        (JsonDecoder(Login), LOGIN._replace(timestamp=None), "missing-field", "timestamp"),
        (
            JsonDecoder(Login),
            LOGIN._replace(headers=[("login-id", None)]),
            "missing-field",
            "header login-id",
        ),
        (JsonDecoder(Reading), READING._replace(key=None), "missing-field", "key"),
        (JsonDecoder(Reading), READING._replace(key=b""), "out-of-range", "key"),
        (JsonDecoder(Reading), READING._replace(key=b"k" * 129), "out-of-range", "key"),
        (JsonDecoder(Reading), READING._replace(key=b"\xff"), "bad-format", "key"),
        (
            JsonDecoder(Reading),
            READING._replace(headers=[("read-at", b"noon")]),
            "bad-time",
            "header read-at",
        ),
    ],
)
def test_what_a_record_lacks_is_named(
    decode: JsonDecoder, message: LogRecord, reason: str, field: str
) -> None:
    """As a field of the value is."""
    assert refused(decode, message) == (reason, field)


def test_an_id_of_ones_own_field_is_bounded_unless_it_is_already() -> None:
    """Ids go into headers and keys."""
    decode = JsonDecoder(Payment)
    for wrong in ("", "p" * 129):
        value = f'{{"payment_id": "{wrong}", "created": "{AT}", "amount": 5}}'
        assert refused(decode, LogRecord(value.encode())) == ("out-of-range", "payment_id")


def test_the_schema_shows_what_stands_on_the_wire() -> None:
    """No field that is not there is asked of a producer."""
    assert set(JsonDecoder(Payment).json_schema()["required"]) == {
        "payment_id",
        "created",
        "amount",
    }
    schema = JsonDecoder(Login).json_schema()
    assert (schema["required"], list(schema["properties"])) == (["card"], ["card"])


def _declare(fields: dict[str, Any], **keywords: Any) -> None:
    type(Event)("Wrong", (Event,), {"__annotations__": fields, "__module__": __name__}, **keywords)


@pytest.mark.parametrize(
    ("fields", "keywords", "told"),
    [
        ({"a": str}, {"id_from": "b"}, "Wrong: id_from names the field 'b'; its fields are .*a"),
        ({"a": float}, {"id_from": "a"}, "'a', which cannot be an id: declare it str, int or UUID"),
        ({"a": str | None}, {"id_from": "a"}, "'a', which cannot be an id"),
        ({"a": float}, {"time_from": "a"}, "'a', which is no time .* declare it Moment"),
        ({"a": Moment | None}, {"time_from": "a"}, "'a', which is no time"),
        ({"a": str}, {"id_from": from_timestamp()}, "Wrong: a timestamp identifies no event"),
        ({"event_id": str}, {"id_from": from_key()}, "declares the field event_id and takes it"),
    ],
)
def test_a_wrong_name_is_refused_where_the_class_is_made(
    fields: dict[str, Any], keywords: dict[str, Any], told: str
) -> None:
    """In a sentence that names class, field and what to do."""
    with pytest.raises(TypeError, match=told):
        _declare(fields, **keywords)


def test_a_literal_of_ones_own_is_no_event_type() -> None:
    """Only the required field that allows one text tells the type."""

    class Sale(Event):
        kind: Literal["sale"]
        currency: Literal["EUR", "USD"]
        version: Literal[1] = 1

    valid = {"event_id": '"e"', "event_time": f'"{AT}"', "kind": '"sale"', "currency": '"EUR"'}

    def of(**changes: str) -> LogRecord:
        parts = [f'"{name}": {text}' for name, text in (valid | changes).items()]
        return LogRecord(f"{{{', '.join(parts)}}}".encode())

    decode = JsonDecoder(Sale)
    assert decode(of()) is not None
    assert refused(decode, of(currency='"GBP"')) == ("bad-format", "currency")
    assert refused(decode, of(version="2")) == ("bad-format", "version")
    assert refused(decode, of(currency='"GBP"', kind='"loan"')) == ("wrong-event-type", "kind")
