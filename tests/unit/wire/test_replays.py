"""A replay is believed only if somebody with the secret made it; an origin only if it can be one."""

from typing import Any

import pytest
from pydantic import SecretStr

from stream_app.records.record_id import RecordId, record_id_of
from stream_app.wire.replays import Replay, Replays, says_replay

SECRET = "correct-horse-battery"
ORIGIN = RecordId("-id_with-hyphens-12345", 3, 41)
KEY, VALUE = b"key", b"value"


def replays(application: str = "flights", secret: str = SECRET) -> Replays:
    """The check of an application."""
    return Replays(application, SecretStr(secret))


def genuine(*, applied: bool = False, key: bytes | None = KEY, value: bytes | None = VALUE) -> Any:
    """The headers of a replay as the replayer makes them."""
    return replays().headers(Replay(ORIGIN, applied), key, value)


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize(("key", "value"), [(KEY, VALUE), (None, VALUE), (b"", b""), (KEY, None)])
def test_what_the_replayer_made_is_believed(
    applied: bool, key: bytes | None, value: bytes | None
) -> None:
    """Its first origin and whether that one had updated the state, beside headers of its event."""
    headers = [("traceparent", b"00-1"), *genuine(applied=applied, key=key, value=value)]
    assert replays()(key, value, headers) == Replay(ORIGIN, applied)


def changed(name: str, value: bytes | None) -> Any:
    """The headers of a genuine replay, one of them changed."""
    return [(each, value if each == name else was) for each, was in genuine()]


@pytest.mark.parametrize(
    "headers",
    [
        changed("replay-of", f"{'x' * 22}-0-7".encode()),
        changed("replay-of", b"x" * 2**20 + b"-0-0"),
        changed("replay-of", b"\xff"),
        changed("replay-of", None),
        changed("replay-state", b"applied"),
        changed("replay-state", b"Not-Applied"),
        changed("replay-state", None),
        changed("replay-token", b"0" * 64),
        changed("replay-token", b"\xff" * 2**20),
        changed("replay-token", None),
        genuine()[:2],
        genuine()[:1],
        [("replay-of", str(ORIGIN)), ("replay-state", "applied"), ("replay-token", "\ud800")],
    ],
)
def test_a_producer_of_events_cannot_make_a_replay(headers: Any) -> None:
    """Not with a changed header, not without the token; the record is a record of its own."""
    assert replays()(KEY, VALUE, headers) is None


def test_the_headers_of_a_replay_make_no_other_record_one() -> None:
    """Another key or value, moved from one into the other, or for another application."""
    assert replays()(KEY, b"value2", genuine()) is None
    assert replays()(b"keyv", b"alue", genuine()) is None
    assert replays()(None, VALUE, genuine(key=b"")) is None
    assert replays("trains")(KEY, VALUE, genuine()) is None
    assert replays(secret="another-secret-of-16")(KEY, VALUE, genuine()) is None


def test_without_a_secret_nothing_is_a_replay_and_none_is_made() -> None:
    """By default nobody is believed."""
    assert Replays("flights")(KEY, VALUE, genuine()) is None
    with pytest.raises(ValueError, match="replay_secret"):
        Replays("flights").headers(Replay(ORIGIN, applied=False), KEY, VALUE)


def test_a_secret_is_changed_while_both_are_believed() -> None:
    """The first makes tokens; what the old one made stays a replay. A newline belongs to neither."""
    both = f"a-new-secret-of-16 {SECRET}\n"
    assert replays(secret=both)(KEY, VALUE, genuine()) == Replay(ORIGIN, applied=False)
    made = replays(secret=both).headers(Replay(ORIGIN, applied=False), KEY, VALUE)
    assert replays(secret="a-new-secret-of-16")(KEY, VALUE, made) is not None
    assert replays()(KEY, VALUE, made) is None


def test_a_record_calls_itself_a_replay_with_replay_of_alone() -> None:
    """`replay-state` and `replay-token` alone mean nothing."""
    assert not says_replay([("replay-state", b"applied"), ("replay-token", b"x")])
    assert not says_replay([])
    assert says_replay([("replay-of", b"x")])


def test_the_name_of_a_record_is_read_as_it_is_written() -> None:
    """Hyphens of the topic id are no separators."""
    assert record_id_of(str(ORIGIN)) == ORIGIN
    assert record_id_of(f"{'x' * 22}-2147483647-{2**63 - 1}").offset == 2**63 - 1


@pytest.mark.parametrize(
    "named",
    [
        "",
        "x" * 2**20 + "-0-0",
        "x" * 21 + "-0-0",
        "x" * 23 + "-0-0",
        "é" * 22 + "-0-0",
        "x" * 22 + "-0-0\n",
        "x" * 22 + "-00-0",
        "x" * 22 + "-0-07",
        "x" * 22 + "-0-" + "9" * 5_000,
        "x" * 22 + f"-{2**31}-0",
        "x" * 22 + f"-0-{2**63}",
        "x" * 22 + "-0-\u0661",
        "x" * 22 + "-0- 1",
        "x" * 22 + "--1-1",
        "x" * 22 + "-0",
    ],
)
def test_what_can_be_no_record_is_no_name(named: str) -> None:
    """There is one way to write a name, and it is bounded: ids are made of what a header says."""
    with pytest.raises(ValueError, match="not the name of a record"):
        record_id_of(named)
