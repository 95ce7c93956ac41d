"""CloudEvents 1.0 in both content modes of the Kafka protocol binding."""

import base64
import json
from typing import Any

import pytest

from stream_app.features.events import (
    Event,
    InvalidEventError,
    LogRecord,
    Moment,
    from_timestamp,
)
from stream_app.features.events.cloudevents import CloudEvent, CloudEventsDecoder
from stream_app.wire.reasons import REASONS

NOON = 1_385_899_200.0
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "a-1",
    "source": "/shops/7",
    "type": "shop.paid",
    "time": "2013-12-01T12:00:00Z",
    "subject": "card-7",
}
DATA = {"amount": 5.0}


class Paid(CloudEvent):
    amount: float


class Closed(CloudEvent, time_from=from_timestamp()):
    pass


class Refunded(Event, id_from="refund", time_from="at"):
    refund: str
    at: Moment


TYPES = {"shop.paid": Paid, "shop.closed": Closed, "shop.refunded": Refunded}
DECODE = CloudEventsDecoder(TYPES)


def structured(
    content: bytes | None = b"application/cloudevents+json", **changes: Any
) -> LogRecord:
    """A structured event with changes; `...` removes a member."""
    members = {k: v for k, v in ({**ATTRIBUTES, "data": DATA} | changes).items() if v is not ...}
    headers = [] if content is None else [("content-type", content)]
    return LogRecord(json.dumps(members).encode(), b"key", headers, timestamp=9.0)


def binary(
    data: Any = DATA, content: bytes | None = b"application/json", **changes: Any
) -> LogRecord:
    """A binary event with changes; `...` removes an attribute."""
    known = {k: v for k, v in (ATTRIBUTES | changes).items() if v is not ...}
    headers: list[tuple[str, bytes | None]] = [
        (f"ce_{name}", value if isinstance(value, bytes) else value.encode())
        for name, value in known.items()
    ]
    if content is not None:
        headers.append(("content-type", content))
    return LogRecord(json.dumps(data).encode(), b"key", headers, timestamp=9.0)


@pytest.mark.parametrize(
    "message",
    [
        structured(),
        structured(b"application/cloudevents+json; charset=UTF-8"),
        structured(b"Application/CloudEvents+JSON"),
        structured(None),
        structured(datacontenttype="application/vnd.shop+json"),
        structured(data=..., data_base64=base64.b64encode(json.dumps(DATA).encode()).decode()),
        binary(),
        binary(content=None),
        binary(content=b"Application/JSON; charset=utf-8"),
    ],
)
def test_either_content_mode_gives_the_same_event(message: LogRecord) -> None:
    """Id and time are attributes, the fields are the data, and the attributes can be read."""
    event = DECODE(message)
    assert isinstance(event, Paid)
    assert (event.event_id, event.event_time, event.amount) == ("a-1", NOON, 5.0)
    assert {name: event.context[name] for name in ATTRIBUTES} == ATTRIBUTES


def test_extensions_are_attributes_too() -> None:
    """As text, whatever they are in JSON."""
    event = DECODE(structured(sequence=7, sampled=True, partitionkey="k"))
    assert isinstance(event, Paid)
    assert [event.context[n] for n in ("sequence", "sampled", "partitionkey")] == ["7", "true", "k"]
    event = DECODE(binary(partitionkey="k"))
    assert isinstance(event, Paid)
    assert event.context["partitionkey"] == "k"


@pytest.mark.parametrize("mode", [structured, binary])
def test_an_event_type_may_have_its_id_and_time_from_elsewhere(mode: Any) -> None:
    """From the data, or the time from the record: the attribute is optional."""
    data = {"refund": "r", "at": "2013-12-01T12:00:00Z"}
    refunded = DECODE(mode(type="shop.refunded", data=data, id="other", time=...))
    assert isinstance(refunded, Refunded)
    assert (refunded.event_id, refunded.event_time) == ("r", NOON)
    closed = DECODE(mode(type="shop.closed", data={}, time=...))
    assert isinstance(closed, Closed)
    assert (closed.event_id, closed.event_time) == ("a-1", 9.0)


def test_a_structured_event_may_have_no_data() -> None:
    """Where its type needs none."""
    assert isinstance(DECODE(structured(type="shop.closed", data=...)), Closed)


@pytest.mark.parametrize(
    ("message", "reason", "field"),
    [
        (structured(id=...), "missing-field", "id"),
        (structured(source=""), "out-of-range", "source"),
        (structured(specversion="0.3"), "bad-format", "specversion"),
        (structured(type="shop.lost"), "wrong-event-type", "type"),
        (structured(type=...), "wrong-event-type", "type"),
        (structured(time=...), "missing-field", "header ce_time"),
        (structured(time="noon"), "bad-time", "header ce_time"),
        (structured(data={"amount": "5"}), "wrong-type", "data.amount"),
        (structured(data=...), "missing-field", "amount"),
        (structured(data=..., data_base64="%"), "bad-format", "data_base64"),
        (structured(datacontenttype="application/xml"), "bad-format", "datacontenttype"),
        (structured(b"application/cloudevents+avro"), "bad-format", "header content-type"),
        (structured()._replace(value=b"{"), "invalid-json", None),
        (LogRecord(b"{}"), "wrong-event-type", "type"),
        (binary(id=...), "missing-field", "header ce_id"),
        (binary(id=b"\xff"), "bad-format", "header ce_id"),
        (binary(specversion="0.3"), "bad-format", "header ce_specversion"),
        (binary(type="shop.lost"), "wrong-event-type", "header ce_type"),
        (binary(time=...), "missing-field", "header ce_time"),
        (binary({"amount": "5"}), "wrong-type", "amount"),
        (binary(content=b"application/xml"), "bad-format", "header content-type"),
        (
            LogRecord(b"{}", headers=[("content-type", b"text/plain")]),
            "missing-field",
            "header ce_specversion",
        ),
    ],
)
def test_what_is_no_event_of_the_contract_is_told_by_its_field(
    message: LogRecord, reason: str, field: str | None
) -> None:
    """The path is that of the value, or names a header."""
    with pytest.raises(InvalidEventError) as refused:
        DECODE(message)
    assert (refused.value.reason, refused.value.field) == (reason, field)
    assert reason in REASONS
    assert "lost" not in str(refused.value)


@pytest.mark.parametrize("types", [TYPES, {"shop.paid": Paid}])
def test_events_of_other_types_may_be_skipped(types: Any) -> None:
    """In either mode, and with one type as with several."""
    decode = CloudEventsDecoder(types, skip_others=True)
    for mode in (structured, binary):
        assert decode(mode(type="shop.lost")) is None
        assert isinstance(decode(mode()), Paid)


def test_the_schema_is_that_of_the_structured_mode() -> None:
    """Attributes and data as they stand in the value."""
    schema = CloudEventsDecoder({"shop.paid": Paid}).json_schema()
    assert {"specversion", "id", "source", "type"} <= set(schema["required"])
    assert schema["$defs"]["Paid"]["required"] == ["amount"]
