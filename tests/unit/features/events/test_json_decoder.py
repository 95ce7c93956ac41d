"""Bytes to events, or to a reason that a producer understands and that quotes nothing."""

import json
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import Field

from stream_app.features.events import (
    Event,
    InvalidEventError,
    JsonDecoder,
    LogRecord,
    Moment,
)
from stream_app.features.events.moments import seconds_in_python
from stream_app.wire.reasons import REASONS
from tests.unit.features.builders import examples


class Paid(Event):
    """An event with a field of every kind."""

    kind: Literal["paid"]
    amount: Annotated[float, Field(ge=0.0, le=1e6)]
    count: Annotated[int, Field(ge=1)] = 1
    note: Annotated[str, Field(pattern="^[a-z]*$")] = ""
    settled: bool = False
    due: Moment | None = None
    tags: Annotated[tuple[str, ...], Field(max_length=2, strict=False)] = ()


class Refunded(Event):
    """The other member of a union."""

    kind: Literal["refunded"]


DECODE = JsonDecoder(Paid)
UNION = JsonDecoder(Annotated[Paid | Refunded, Field(discriminator="kind")])

NOON = "2013-12-01T12:00:00Z"
VALID: dict[str, Any] = {"event_id": "p1", "event_time": NOON, "kind": "paid", "amount": 5.0}


def value(**changes: Any) -> bytes:
    """The valid event with changes, as JSON; `...` removes a field."""
    changed = {k: v for k, v in (VALID | changes).items() if v is not ...}
    return json.dumps(changed).encode()


def refused(payload: bytes, decode: JsonDecoder = DECODE) -> InvalidEventError:
    """Why the payload is refused."""
    with pytest.raises(InvalidEventError) as caught:
        decode(LogRecord(payload))
    assert caught.value.reason in REASONS
    return caught.value


def attempt(payload: bytes, decode: JsonDecoder) -> Event | InvalidEventError:
    """The event, or why there is none; any other exception fails the test."""
    try:
        event = decode(LogRecord(payload))
    except InvalidEventError as error:
        return error
    assert event is not None
    return event


def test_a_valid_event() -> None:
    """Times become seconds since the epoch; unknown fields are kept where they can be counted."""
    event = DECODE(LogRecord(value(due="2013-12-01T13:00:00.5+01:00", unknown=1, other=None)))
    assert event.event_time == 1385899200.0
    assert event.due == event.event_time + 0.5  # type: ignore[attr-defined]
    assert event.model_extra == {"unknown": 1, "other": None}


@pytest.mark.parametrize(
    ("payload", "reason", "field"),
    [
        (b"\xff{}", "invalid-utf8", None),
        (value(event_id="é").replace(b"\\u00e9", b"\xe9"), "invalid-utf8", None),
        (b"", "invalid-json", None),
        (b"{", "invalid-json", None),
        (value()[:-1], "invalid-json", None),
        (value() + value(), "invalid-json", None),
        (b'{"event_id": "\\ud800"}', "invalid-json", None),
        (b"[" * 100_000, "nesting-too-deep", None),
        (value(deep=0).replace(b"0}", b"[" * 500 + b"]" * 500 + b"}"), "nesting-too-deep", None),
        (b"[]", "not-an-object", None),
        (b"null", "not-an-object", None),
        (b"5", "not-an-object", None),
        (value(kind="refunded"), "wrong-event-type", "kind"),
        (value(amount=...), "missing-field", "amount"),
        (value(amount="5"), "wrong-type", "amount"),
        (value(amount=True), "wrong-type", "amount"),
        (value(amount=None), "wrong-type", "amount"),
        (value(count=1.5), "wrong-type", "count"),
        (value(settled=1), "wrong-type", "settled"),
        (value(tags="a"), "wrong-type", "tags"),
        (value(tags=["a", 1]), "wrong-type", "tags.1"),
        (value(event_id=7), "wrong-type", "event_id"),
        (value(amount=-0.1), "out-of-range", "amount"),
        (value(amount=2e6), "out-of-range", "amount"),
        (value(count=0), "out-of-range", "count"),
        (value(tags=["a", "b", "c"]), "out-of-range", "tags"),
        (value(event_id=""), "out-of-range", "event_id"),
        (value(event_id="x" * 129), "out-of-range", "event_id"),
        (value(amount=0).replace(b": 0}", b": 1e999}"), "not-finite", "amount"),
        (value(amount=float("nan")), "not-finite", "amount"),
        (value(amount=float("-inf")), "not-finite", "amount"),
        (value(note="A"), "bad-format", "note"),
        (value(event_time="2013-12-01T12:00:00.000"), "bad-time", "event_time"),
        (value(event_time="2013-13-01T12:00:00Z"), "bad-time", "event_time"),
    ],
)
def test_each_reason(payload: bytes, reason: str, field: str | None) -> None:
    """The reason code says what was wrong and the field says where."""
    error = refused(payload)
    assert (error.reason, error.field) == (reason, field)


def test_further_mistakes_are_counted() -> None:
    """The first is told in full."""
    error = refused(value(amount=..., event_id=5))
    assert (
        str(error)
        == "field event_id: Input should be a valid string; it is an integer (and 1 more)"
    )


@pytest.mark.parametrize(
    "moment",
    [
        "2013-12-01T12:00:00",
        "2013-12-01T12:00:00.000",
        "2013-12-01 12:00:00.000000",
        "2013-12-01",
        "1385899200",
        "1385899200000",
        "00000000001385899200",
        "1385899200.000000000",
        "+1385899200.00000000",
        "yesterday",
        "",
        "x" * 41,
    ],
)
def test_a_moment_is_rfc_3339_with_an_offset(moment: str) -> None:
    """Naive times and strings of digits are refused as bad times, however long they are."""
    assert refused(value(event_time=moment)).reason == "bad-time"


@pytest.mark.parametrize("moment", [1385899200, 1385899200.5, None, True, [], {}])
def test_a_moment_is_no_number(moment: Any) -> None:
    """A number does not say whether it means seconds."""
    assert refused(value(event_time=moment)).reason in ("wrong-type", "bad-time")


_offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@examples
@given(st.datetimes(timezones=_offsets))
def test_any_moment_with_an_offset_is_its_timestamp(moment: datetime) -> None:
    """At any offset, to the microsecond, from the year 1 to 9999."""
    assert attempt(value(event_time=moment.isoformat()), DECODE).event_time == moment.timestamp()


def test_every_unknown_type_of_a_union_is_told_without_quoting_it() -> None:
    """The tag of a union is payload like everything else."""
    error = refused(value(kind="stolen-secret"), UNION)
    assert error.reason == "wrong-event-type"
    assert "stolen-secret" not in str(error)


def test_a_union_decodes_by_its_tag() -> None:
    """Each member by its own contract."""
    assert isinstance(attempt(value(), UNION), Paid)
    assert isinstance(attempt(value(kind="refunded"), UNION), Refunded)


_text = st.text('aZ 09:-+.{\\"\n\x00é\u2028😀', max_size=20)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)
_field = st.sampled_from([*VALID, "count", "note", "settled", "due", "tags", "more"])
_payloads = st.one_of(
    st.binary(max_size=60),
    _json.map(lambda document: json.dumps(document).encode()),
    st.dictionaries(_field, _json, max_size=3).map(lambda changes: value(**changes)),
    st.tuples(st.integers(0, 200), st.binary(min_size=1, max_size=3)).map(
        lambda cut: value()[: cut[0]] + cut[1] + value()[cut[0] + 1 :]
    ),
)


@examples
@given(_payloads)
@example(b'{"event_id": 1' + b"0" * 5_000 + b"}")
@example(b"\xef\xbb\xbf{}")
@example(b"\x00")
def test_any_bytes_are_an_event_or_have_a_reason(payload: bytes) -> None:
    """Nothing but `InvalidEventError` is raised, whatever comes in."""
    for decode in (DECODE, UNION):
        outcome = attempt(payload, decode)
        if isinstance(outcome, InvalidEventError):
            assert outcome.reason in REASONS
            assert str(outcome)
        else:
            assert isinstance(outcome, Event)


@examples
@given(
    st.text("QWXYZ", min_size=6, max_size=10),
    st.sampled_from([*VALID, "count", "note", "settled", "due", "tags"]),
    st.booleans(),
)
def test_no_message_quotes_the_payload(secret: str, field: str, cut_short: bool) -> None:
    """A message goes into headers, logs and consoles; what the payload holds must not."""
    payload = value(**{field: secret})
    if cut_short:
        payload = payload[:-1]
    for decode in (DECODE, UNION):
        outcome = attempt(payload, decode)
        if isinstance(outcome, InvalidEventError):
            assert secret not in f"{outcome} {outcome.field}"


def test_a_moment_of_a_megabyte_is_refused_before_it_is_kept() -> None:
    """The fraction of a second may be any number of digits, and the cache keeps thousands."""

    class At(Event):
        at: Moment

    decode = JsonDecoder(At)
    begin = seconds_in_python.cache_info().currsize
    for digits in (60, 1_000_000):
        moment = f"2024-01-01T00:00:00.{'1' * digits}Z"
        value = f'{{"event_id":"e","event_time":"2024-01-01T00:00:00Z","at":"{moment}"}}'
        with pytest.raises(InvalidEventError) as refused:
            decode(LogRecord(value.encode()))
        assert (refused.value.reason, refused.value.field) == ("bad-time", "at")
    assert seconds_in_python.cache_info().currsize <= begin + 1
    valid = b'{"event_id":"e","event_time":"2024-01-01T00:00:00.123456789+05:30","at":"2024-01-01T00:00:00Z"}'
    assert attempt(valid, decode).event_time == pytest.approx(1_704_047_400.123456)


def test_the_name_of_a_field_that_a_producer_chose_is_bounded() -> None:
    """It goes into a header, a message and the log."""

    class Free(Event):
        counts: dict[str, int]

    key = "k\n" * 400_000
    value = {"event_id": "e", "event_time": "2024-01-01T00:00:00Z", "counts": {key: "x"}}
    with pytest.raises(InvalidEventError) as refused:
        JsonDecoder(Free)(LogRecord(json.dumps(value).encode()))
    assert len(refused.value.field or "") <= 200
    assert len(str(refused.value)) <= 500
    assert "\n" not in str(refused.value)


def test_what_a_decoder_of_its_own_says_is_bounded() -> None:
    """Reason, message and field."""
    error = InvalidEventError("r" * 10_000, "m\n" * 10_000, "f" * 10_000)
    assert (len(error.reason), len(error.field or "")) == (200, 200)
    assert len(str(error)) == 500
