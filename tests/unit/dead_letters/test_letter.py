"""What a letter says of its event, and what its replay carries."""

import hashlib

import pytest

from stream_app.dead_letters.outgoing_replay import outgoing_replay, resolution
from stream_app.dead_letters.resolutions import Resolutions
from stream_app.records.places import PartitionId
from stream_app.records.record_id import RecordId
from stream_app.text.redaction import Redaction
from stream_app.wire.dead_letter import packed_headers
from stream_app.wire.headers import by_name
from stream_app.wire.replays import Replay
from tests.unit.dead_letters.letters import EVENTS_ID, LETTERS_ID, REPLAYS, Message, letter

ORIGIN = RecordId(EVENTS_ID, 1, 7)
TARGET = PartitionId("orders", 1)


def test_a_replay_keeps_key_and_headers_and_names_its_first_origin() -> None:
    """The headers of the letter are left out, but for the count of attempts."""
    found = letter(came=[("trace", b"1")], attempts=2)
    replay = outgoing_replay(found, TARGET, b"mended", REPLAYS)
    assert (replay.key, replay.value, replay.target) == (b"k", b"mended", TARGET)
    assert replay.headers[0] == ("trace", b"1")
    names = [name for name, _ in replay.headers]
    assert [name for name in names if name.startswith("dead-letter.")] == ["dead-letter.attempts"]
    assert by_name(replay.headers)["dead-letter.attempts"] == b"2"
    assert REPLAYS(replay.key, replay.value, replay.headers) == Replay(ORIGIN, applied=False)


def test_the_letter_of_a_replay_that_failed_is_of_the_first_origin() -> None:
    """And once the state was updated it stays so, whatever the last failure says."""
    first = outgoing_replay(letter(state="applied"), TARGET, b"x", REPLAYS)
    again = letter(b"x", came=first.headers, offset=1)
    assert again.first_origin == ORIGIN
    assert again.is_applied
    assert again.said.state == "not-applied"
    second = outgoing_replay(again, TARGET, b"y", REPLAYS)
    assert REPLAYS(second.key, second.value, second.headers) == Replay(ORIGIN, applied=True)
    assert [name for name, _ in second.headers].count("replay-of") == 1


def test_a_replay_that_a_producer_forged_is_an_event_of_its_own() -> None:
    """Without a token its letter is of the record that failed."""
    forged = letter(came=[("replay-of", str(RecordId(EVENTS_ID, 0, 0)).encode())])
    assert forged.first_origin == ORIGIN


def test_a_cut_letter_is_completed_only_by_the_very_bytes() -> None:
    """Length and digest of what it left out are compared."""
    value, came = b"a long one", [("trace", b"1")]
    parts = {"value": value, "headers": packed_headers(came)}
    cut = [
        header
        for part, content in parts.items()
        for header in (
            (f"dead-letter.{part}-omitted-bytes", str(len(content)).encode()),
            (f"dead-letter.{part}-omitted-sha256", hashlib.sha256(content).hexdigest().encode()),
        )
    ]
    found = letter(None, came=cut)
    assert found.cut == {"value", "headers"}
    assert found.left_out("value", value)
    assert not found.left_out("value", b"a lonG one")
    whole = found.completed(b"k", value, came, REPLAYS)
    assert not whole.cut
    assert whole.value == value
    assert whole.came_with == came
    assert whole.said == found.said


def test_what_is_no_dead_letter_is_refused() -> None:
    """A prediction may lie in the same topic."""
    from stream_app.dead_letters.letter import letter_of

    with pytest.raises(ValueError, match=r"dead-letter\.topic-id"):
        letter_of(Message(b"k", b"v", [("prediction-id", b"x")], 0, 0.0), LETTERS_ID, REPLAYS)


def test_two_letters_of_one_record_are_dealt_with_together() -> None:
    """A crash may leave a copy; the letter of a replay is of another record, and open."""
    known = Resolutions()
    first, copy = letter(offset=0), letter(offset=1)
    known.add(first.id, resolution(first, by="anna", note="", replayed_to=TARGET))
    assert known.of(copy) is not None
    assert known.of(letter(offset=2, partition=0)) is None


SECRET = b'{"card":"4012","n":1}'
REST = b'{"card":"[redacted]","n":1}'


def test_a_redacted_letter_is_completed_by_the_record_that_it_is_what_is_left_of() -> None:
    """Its digest is not told, so length and the rest of the value are compared."""
    made = REPLAYS.headers(Replay(RecordId(EVENTS_ID, 0, 3), applied=True), b"k", SECRET)
    came = [*made, ("dead-letter.redacted-bytes", b"21")]
    found = letter(REST, came=came, redacted="card")
    assert found.cut == {"value"}
    assert found.replay is None, "by its token nobody can tell yet that it is one"
    assert found.claimed_first_origin == {RecordId(EVENTS_ID, 0, 3)}
    assert found.left_out("value", SECRET)
    assert not found.left_out("value", b'{"card":"40123","n":1}')
    assert not found.left_out("value", b'{"card":"4012","n":2}')
    assert not found.left_out("value", b"no json, of 21 bytes.")
    whole = found.completed(b"k", SECRET, made, REPLAYS)
    assert (whole.value, whole.cut) == (SECRET, frozenset())
    assert whole.first_origin == RecordId(EVENTS_ID, 0, 3)
    assert whole.is_applied
    shown = whole.shown(Redaction(""))
    assert shown.value == REST, "what a letter redacted is never shown"
    assert shown.said.redacted == "card"


def test_a_letter_that_left_its_value_out_for_redaction_is_completed_by_its_length() -> None:
    """There is nothing else to compare, but the place that it names."""
    found = letter(None, came=[("dead-letter.value-omitted-bytes", b"9")], redacted="$")
    assert found.cut == {"value"}
    assert found.left_out("value", b"card 4012")
    assert not found.left_out("value", b"card 40123")
    assert found.completed(b"k", b"card 4012", [], REPLAYS).shown(Redaction("")).value is None


def test_a_letter_from_before_the_setting_is_shown_without_what_it_names() -> None:
    """It holds the value, and nobody sees it."""
    found = letter(SECRET)
    assert found.shown(Redaction("")) is found
    shown = found.shown(Redaction("card"))
    assert (shown.value, shown.said.redacted) == (REST, "card")
    numbered = found.shown(Redaction("card"), numbered=True)
    assert numbered.value == b'{"card":"[redacted 1]","n":1}'
    assert letter(b"card 4012").shown(Redaction("card")).value is None


@pytest.mark.parametrize("redacted", ["a..b", "card"])
def test_a_letter_that_does_not_say_what_it_redacted_is_no_dead_letter(redacted: str) -> None:
    """Nobody could tell what is to be taken from where."""
    with pytest.raises(ValueError, match=r"such as passenger|redacted-bytes"):
        letter(REST, redacted=redacted)


def test_what_a_letter_says_is_bounded_and_on_one_line() -> None:
    """Whoever may write the topic may write anything, and people see it on their terminals."""
    evil = "\x1b[31m\x07\nforged" + "x" * 10_000
    names = ("stage", "reason", "message", "field", "disposition", "timestamp", "code_version", "topic",
             "model_version", "failed_at", "state", "producer", "group")  # fmt: skip
    found = letter(**dict.fromkeys(names, evil))
    for name in names:
        told = getattr(found.said, name)
        assert told.isprintable()
        assert len(told) <= 500
    assert letter(topic="t" * 249).said.topic == "t" * 249
    paths = ", ".join(f"name{number}" for number in range(200))
    assert (
        letter(None, redacted=paths, came=[("dead-letter.redacted-bytes", b"9")]).said.redacted
        == paths
    )


def test_a_letter_of_very_many_headers_is_completed_soon() -> None:
    """Somebody may have written a megabyte of them."""
    digest = hashlib.sha256(b"v").hexdigest().encode()
    cut = [("dead-letter.value-omitted-bytes", b"1"), ("dead-letter.value-omitted-sha256", digest)]
    found = letter(None, came=[*((f"h{number}", b"") for number in range(60_000)), *cut])
    assert found.completed(b"k", b"v", [("a", b"1")], REPLAYS).came_with == [("a", b"1")]
