"""Several event types in one topic, told apart by a header."""

import pytest

from stream_app.features.events import (
    Event,
    InvalidEventError,
    LogRecord,
    Message,
    from_header,
    from_timestamp,
)
from stream_app.features.events.header_decoder import HeaderDecoder


class Login(Event, id_from=from_header("id"), time_from=from_timestamp()):
    card: int


class Logout(Login):
    pass


def line(message: Message) -> Event | None:
    """A value that is no JSON."""
    return Logout.model_validate({"card": int(message.value or b"")})


CONTRACTS = {"login": Login, "logout": line}
DECODE = HeaderDecoder("type", CONTRACTS)


def sent(kind: str | None, value: bytes = b'{"card": 7}') -> LogRecord:
    """A record of a kind."""
    headers = [("id", b"1"), *([("type", kind.encode())] if kind is not None else [])]
    return LogRecord(value, headers=headers, timestamp=5.0)


def test_the_header_names_what_the_record_holds() -> None:
    """An event type, or a decoder of one's own; each event takes of its record what it says."""
    login, logout = DECODE(sent("login")), DECODE(sent("logout", b"8"))
    assert isinstance(login, Login)
    assert isinstance(logout, Logout)
    assert [(e.event_id, e.event_time, e.card) for e in (login, logout)] == [
        ("1", 5.0, 7),
        ("1", 5.0, 8),
    ]
    assert DECODE.event_types == (Login,)


@pytest.mark.parametrize(
    ("kind", "reason"), [("lost", "wrong-event-type"), (None, "missing-field")]
)
def test_a_record_of_no_expected_type_is_told_by_its_header(kind: str | None, reason: str) -> None:
    """Whose value is not quoted."""
    with pytest.raises(InvalidEventError) as refused:
        DECODE(sent(kind))
    assert (refused.value.reason, refused.value.field) == (reason, "header type")
    assert "lost" not in str(refused.value)


def test_records_of_other_types_may_be_skipped() -> None:
    """Those without the header are not: they may be anything."""
    decode = HeaderDecoder("type", CONTRACTS, skip_others=True)
    assert decode(sent("lost")) is None
    with pytest.raises(InvalidEventError):
        decode(sent(None))
