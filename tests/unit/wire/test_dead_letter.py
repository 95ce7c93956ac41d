"""Dead letters: the record as it came, and why it is here."""

import hashlib

import pytest

from stream_app.features.events import Event
from stream_app.records.batch import Outgoing
from stream_app.records.failure import Failure
from stream_app.records.headers import Headers
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.records.record import Record
from stream_app.text.redaction import Redaction
from stream_app.wire.dead_letter import DeadLetter, DeadLetters, omitted, redacted_bytes
from stream_app.wire.headers import by_name
from tests.unit.builders import NOW, partition, record

WRITE = DeadLetters(
    "dead", group="group", code_version="1.2", model_version="model/3", clock=lambda: NOW + 0.25
)
FAILURE = Failure("decode", "wrong-type", "field amount: not a number", "amount")


def letter(consumed: Record, failure: Failure = FAILURE) -> Outgoing:
    """The dead letter of a record that failed."""
    event = None
    if failure.stage != "decode":
        event = Event.model_construct(event_id="e", event_time=NOW)
    item = Item(consumed, event)
    item.failure = failure
    written = WRITE(item)
    assert written is not None
    return written


def ours(outgoing: Outgoing) -> dict[str, str]:
    """The headers that a dead letter adds, without their prefix."""
    pairs = [(n, v) for n, v in outgoing.headers if n.startswith("dead-letter.")]
    assert len(dict(pairs)) == len(pairs)
    return {name.removeprefix("dead-letter."): bytes(v or b"").decode() for name, v in pairs}  # type: ignore[arg-type]


def test_all_that_is_known_about_a_failure_is_in_the_headers() -> None:
    """Where it came from, where and why it failed, what served, and when."""
    assert ours(letter(record(partition(3), 17, timestamp=NOW - 1.5))) == {
        "topic": "orders",
        "topic-id": "orders-id",
        "partition": "3",
        "offset": "17",
        "timestamp": "2013-12-01T11:59:58.500+00:00",
        "group": "group",
        "stage": "decode",
        "reason": "wrong-type",
        "message": "field amount: not a number",
        "field": "amount",
        "disposition": "poison",
        "attempts": "1",
        "code-version": "1.2",
        "model-version": "model/3",
        "failed-at": "2013-12-01T12:00:00.250+00:00",
        "state": "not-applied",
    }


@pytest.mark.parametrize("key", [None, b"", b"\xff\x00"])
@pytest.mark.parametrize("value", [None, b"", b"\xff{"])
def test_key_and_value_are_as_they_came(key: bytes | None, value: bytes | None) -> None:
    """Bytes, empty or absent: nothing is decoded on the way."""
    outgoing = letter(record(partition(), value=value, key=key))
    assert (outgoing.topic, outgoing.key, outgoing.value) == ("dead", key, value)


def test_headers_are_as_they_came() -> None:
    """In their order, doubles and absent values included, before ours."""
    came: Headers = [("b", b"1"), ("traceparent", b"00-ab-cd-01"), ("a", None), ("b", b"\xff")]
    outgoing = letter(record(partition(), headers=came))
    assert outgoing.headers[:4] == came
    assert all(name.startswith("dead-letter.") for name, _ in outgoing.headers[4:])


def test_a_replayed_record_that_fails_again_counts_its_attempts() -> None:
    """The headers of its first failure are replaced, not repeated."""
    first = letter(record(partition(), 5))
    replayed = Record(partition(1), 9, NOW, b"key", first.value, first.headers)
    second = letter(replayed)
    assert len(second.headers) == len(first.headers)
    assert ours(second)["attempts"] == "2"
    assert ours(second)["offset"] == "9"


@pytest.mark.parametrize(
    "attempts", [None, b"", b"-1", b"1.5", b"many", b"\xff", b"9" * 5_000, "²".encode()]
)
def test_a_foreign_attempts_header_is_no_trap(attempts: bytes | None) -> None:
    """Whoever may write to the topic may write anything into a header."""
    headers: Headers = [("dead-letter.attempts", attempts)]
    assert ours(letter(record(partition(), headers=headers)))["attempts"] == "1"


@pytest.mark.parametrize("timestamp", [None, 0.0, 253_402_300_800.0, 9.2e15])
def test_a_timestamp_that_no_calendar_knows_is_no_trap(timestamp: float | None) -> None:
    """Producers choose record timestamps: up to 2**63 milliseconds, the year 292 million."""
    told = ours(letter(record(partition(), timestamp=timestamp)))["timestamp"]
    assert (told == "") == (timestamp is None)


def test_a_record_that_failed_after_its_updates_says_so() -> None:
    """When it is replayed, what was applied must not be applied again."""
    scored = letter(record(partition()), Failure("score", "unscorable", "none", disposition="bug"))
    assert ours(scored)["state"] == "applied"
    assert ours(scored)["disposition"] == "bug"
    assert ours(scored)["field"] == ""
    assert ours(letter(record(partition()), Failure("enrich", "x", "y")))["state"] == "not-applied"


def test_a_record_that_only_a_child_process_scored_was_not_applied() -> None:
    """It died in stage score, but never became an event here: see `stream_app.crash_isolation.isolation`."""
    item = Item(record(partition()), None)
    item.failure = Failure("score", "process-crash", "it died", disposition="bug")
    assert ours(WRITE.letter(item, item.failure))["state"] == "not-applied"


def test_a_partition_that_was_never_identified_has_no_topic_id() -> None:
    """Without a broker that answers, the letter is written all the same."""
    assert ours(letter(record(Partition("orders", 0, 0))))["topic-id"] == ""


def test_what_a_decoder_of_the_use_case_says_is_bounded_and_on_one_line() -> None:
    """It may name a field by a megabyte, or by what no encoding knows."""
    failure = Failure("decode", "r" * 5_000, "m\n" * 100_000, "f\udc80" * 100_000)
    told = ours(letter(record(partition()), failure))
    assert max(map(len, told.values())) <= 500
    assert "\n" not in told["message"]
    assert sum(map(len, told.values())) < 1_500


@pytest.mark.parametrize("stage", ["score", "publish"])
def test_a_record_whose_prediction_is_refused_has_updated_the_state(stage: str) -> None:
    """When it is replayed, its updates must not be applied again."""
    assert ours(letter(record(partition()), Failure(stage, "x", "y")))["state"] == "applied"


BIG: Headers = [("a", b"1"), ("blob", bytes(100)), ("none", None)]


@pytest.mark.parametrize(
    ("key", "value", "headers", "steps"),
    [
        (b"k", b"v", BIG, ["headers", "headers key", "headers value", "headers key value"]),
        (b"k", b"v", [], ["key", "value", "key value"]),
        (None, b"v", BIG, ["headers", "headers value"]),
        (b"", b"v", [], ["value"]),
        (b"k", None, BIG, ["headers", "headers key"]),
        (None, None, BIG, ["headers"]),
        (None, None, [], []),
    ],
)
def test_a_letter_loses_one_thing_after_the_other(
    key: bytes | None, value: bytes | None, headers: Headers, steps: list[str]
) -> None:
    """The value last; what was left out in vain comes back; and each length and digest is told."""
    at: Outgoing | None = letter(record(partition(), value=value, key=key, headers=headers))
    found = []
    while at is not None and (at := WRITE.smaller(at)):
        told = ours(at)
        omitted = [part for part in ("headers", "key", "value") if f"{part}-omitted-bytes" in told]
        found.append(" ".join(omitted))
        assert at.key == (None if "key" in omitted else key)
        assert at.value == (None if "value" in omitted else value)
        assert (("a", b"1") in at.headers) is (bool(headers) and "headers" not in omitted)
        if "value" in omitted:
            assert told["value-omitted-bytes"] == "1"
            assert told["value-omitted-sha256"] == hashlib.sha256(b"v").hexdigest()
        if "headers" in omitted:
            packed = b"\0".join([b"a", b"1", b"blob", bytes(100), b"none", b"", b""])
            assert told["headers-omitted-sha256"] == hashlib.sha256(packed).hexdigest()
            assert told["headers-omitted-bytes"] == str(len(packed))
        assert told["offset"] == "0"
    assert found == steps


@pytest.mark.parametrize(
    ("headers", "producer"),
    [
        ([("sent-by", b"till 4.2")], "till 4.2"),
        ([("sent-by", b"a"), ("sent-by", b"b")], "b"),
        ([("sent-by", "web")], "web"),
        ([("sent-by", b"\xff\n")], "\\xff\\n"),
        ([("sent-by", None)], None),
        ([("sent-by", b"")], None),
        ([], None),
    ],
)
def test_the_producer_is_told_as_its_header_names_it(
    headers: Headers, producer: str | None
) -> None:
    """In text that fits a line; no header of ours where the record does not say it."""
    write = DeadLetters(
        "dead", group="g", code_version="1", model_version="m/1", producer_header="sent-by"
    )
    item = Item(record(partition(), headers=headers), None)
    written = write.letter(item, FAILURE)
    assert ours(written).get("producer") == producer
    assert DeadLetter.of(by_name(written.headers)).producer == (producer or "")


def test_the_text_of_a_producers_header_is_bounded() -> None:
    """Anybody may write it."""
    write = DeadLetters(
        "dead", group="g", code_version="1", model_version="m/1", producer_header="sent-by"
    )
    item = Item(record(partition(), headers=[("sent-by", b"x" * 100_000)]), None)
    assert len(ours(write.letter(item, FAILURE))["producer"]) < 300


def test_a_letter_that_lost_its_headers_still_names_the_producer() -> None:
    """Which is why it has a header of its own."""
    write = DeadLetters(
        "dead", group="g", code_version="1", model_version="m/1", producer_header="sent-by"
    )
    item = Item(record(partition(), headers=[("sent-by", b"till")]), None)
    item.failure = FAILURE
    smaller = write.smaller(write.letter(item, FAILURE))
    assert smaller is not None
    assert "sent-by" not in dict(smaller.headers)
    assert ours(smaller)["producer"] == "till"


PRIVATE = DeadLetters("dead", group="g", code_version="1", model_version="m/1", keeps_value=False)


def test_a_letter_may_have_only_the_digest_of_its_value() -> None:
    """Where values must not lie in a second topic; key and headers are kept."""
    consumed = record(partition(), value=b"card 4012", headers=[("trace", b"1")])
    written = PRIVATE.letter(Item(consumed, None), FAILURE)
    assert (written.key, written.value) == (b"key", None)
    assert written.headers[0] == ("trace", b"1")
    assert omitted(by_name(written.headers), "value") == (
        9, hashlib.sha256(b"card 4012").digest(),
    )  # fmt: skip
    assert ours(written)["reason"] == "wrong-type"
    assert b"4012" not in repr(written.headers).encode()


@pytest.mark.parametrize("value", [None, b""])
def test_a_value_without_bytes_has_nothing_to_leave_out(value: bytes | None) -> None:
    """It stays what it was: absent or empty."""
    written = PRIVATE.letter(Item(record(partition(), value=value), None), FAILURE)
    assert written.value == value
    assert omitted(by_name(written.headers), "value") is None


@pytest.mark.parametrize("headers", [None, [("trace", b"1")]])
@pytest.mark.parametrize("key", [None, b"key"])
def test_a_letter_without_its_value_gets_smaller_and_never_gets_it_back(
    headers: Headers | None, key: bytes | None
) -> None:
    """First the headers go, then the key; then it is minimal."""
    item = Item(record(partition(), value=b"card", key=key, headers=headers), None)
    letter: Outgoing | None = PRIVATE.letter(item, FAILURE)
    lost = []
    while letter is not None:
        assert letter.value is None
        named = by_name(letter.headers)
        lost.append({part for part in ("headers", "key", "value") if omitted(named, part)})
        letter = PRIVATE.smaller(letter)
    steps = [{"headers"}] * bool(headers) + [{"key"}] * bool(key)
    expected = [{"value"}]
    for step in steps:
        expected.append(expected[-1] | step)
    assert lost == expected


REDACTING = DeadLetters(
    "dead", group="g", code_version="1", model_version="m/1", redaction=Redaction("name, card")
)


def test_named_fields_of_a_value_are_replaced_and_the_letter_says_so() -> None:
    """With the number of bytes that came, and with no digest by which a short value could be guessed."""
    value = b'{"name":"Anna","n":1}'
    written = REDACTING.letter(Item(record(partition(), value=value), None), FAILURE)
    assert written.value == b'{"name":"[redacted]","n":1}'
    told = ours(written)
    assert (told["redacted"], told["redacted-bytes"]) == ("name", str(len(value)))
    assert not [name for name in told if "sha256" in name]
    named = by_name(written.headers)
    assert DeadLetter.of(named).redacted == "name"
    assert redacted_bytes(named) == len(value)
    assert omitted(named, "value") is None


def test_a_value_that_cannot_be_redacted_is_left_out_without_a_digest() -> None:
    """What is no JSON may be nothing but the secret."""
    written = REDACTING.letter(Item(record(partition(), value=b"card 4012"), None), FAILURE)
    named = by_name(written.headers)
    assert written.value is None
    assert DeadLetter.of(named).redacted == "$"
    assert omitted(named, "value") == (9, None)
    assert redacted_bytes(named) is None


def test_a_value_without_named_fields_is_kept_as_it_came() -> None:
    """And the letter has no header of it."""
    value = b'{ "n": 1}'
    written = REDACTING.letter(Item(record(partition(), value=value), None), FAILURE)
    assert written.value == value
    assert not [name for name in ours(written) if "redacted" in name]
    assert redacted_bytes(by_name(written.headers)) is None


@pytest.mark.parametrize("value", [b'{"card":"4012"}', b"card 4012"])
@pytest.mark.parametrize("keeps_value", [True, False])
def test_a_redacted_letter_that_gets_smaller_never_gets_its_value_back(
    value: bytes, keeps_value: bool
) -> None:
    """Nor a digest of it, in any step."""
    write = DeadLetters(
        "dead",
        group="g",
        code_version="1",
        model_version="m/1",
        keeps_value=keeps_value,
        redaction=Redaction("card"),
    )
    consumed = record(partition(), value=value, headers=[("trace", b"1")])
    letter: Outgoing | None = write.letter(Item(consumed, None), FAILURE)
    steps = 0
    while letter is not None:
        steps += 1
        assert b"4012" not in (letter.value or b"")
        told = ours(letter)
        assert "value-omitted-sha256" not in told
        assert told["redacted"] == ("card" if value[:1] == b"{" else "$")
        assert told.get("redacted-bytes", told.get("value-omitted-bytes")) == str(len(value))
        assert ("redacted-bytes" in told) == (letter.value is not None)
        letter = write.smaller(letter)
    assert steps >= 3
