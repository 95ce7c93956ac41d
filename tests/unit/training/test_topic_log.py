"""Of an event and its replays, training sees the one that counts in the state."""

from pydantic import SecretStr

from stream_app.features.events import LogRecord
from stream_app.records.record_id import RecordId
from stream_app.training.topic_log import counted_once
from stream_app.wire.replays import Replay, Replays

REPLAYS = Replays("shop", SecretStr("correct-horse-battery"))


def name(offset: int, partition: int = 0) -> RecordId:
    """A record's."""
    return RecordId("topic-topic-topic-topi", partition, offset)


def record(value: str, replay: Replay | None = None, at: float = 0.0) -> LogRecord:
    """A record, perhaps a replay."""
    data = value.encode()
    headers = [] if replay is None else REPLAYS.headers(replay, b"k", data)
    return LogRecord(data, b"k", headers, at)


def kept(*read: tuple[RecordId, LogRecord]) -> list[str]:
    """The values that count."""
    return [(each.value or b"").decode() for each in counted_once(read, REPLAYS)]


def test_a_replay_counts_in_place_of_what_was_not_applied() -> None:
    """And all that came before it."""
    not_applied = Replay(name(0), applied=False)
    assert kept(
        (name(0), record("event")), (name(1), record("other")), (name(2), record("replay", not_applied))
    ) == ["other", "replay"]  # fmt: skip
    # Partitions are read side by side, so the last one may be read first.
    assert kept(
        (name(0, 1), record("second", not_applied, 2.0)),
        (name(0), record("event")),
        (name(1), record("first", not_applied, 1.0)),
    ) == ["second"]


def test_a_replay_of_what_was_applied_counts_nothing() -> None:
    """Also where it was a replay that was applied, and the event was not."""
    assert kept(
        (name(0), record("event")), (name(1), record("replay", Replay(name(0), applied=True)))
    ) == ["event"]  # fmt: skip
    assert kept(
        (name(0), record("event")),
        (name(1), record("first", Replay(name(0), applied=False), 1.0)),
        (name(2), record("second", Replay(name(0), applied=True), 2.0)),
    ) == ["first"]


def test_who_only_says_that_it_is_a_replay_is_an_event() -> None:
    """Without a token that is genuine."""
    forged = LogRecord(b"forged", b"k", [("replay-of", str(name(0)).encode())])
    assert kept((name(0), record("event")), (name(1), forged)) == ["event", "forged"]
