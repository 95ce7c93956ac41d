"""What goes out is read by the same room that wrote it, and nothing else is taken for it."""

import math
from typing import Any

import pytest

from stream_app.records.batch import Outgoing
from stream_app.records.headers import Headers
from stream_app.records.item import Item, Served
from stream_app.records.record_id import RecordId, record_id_of
from stream_app.text.redaction import Redaction
from stream_app.wire.dead_letter import (
    ATTEMPTS,
    DeadLetter,
    DeadLetters,
    headers_that_came,
    is_dead_letter,
    omitted,
)
from stream_app.wire.feature_row import FeatureLog, FeatureRow
from stream_app.wire.headers import by_name
from stream_app.wire.outgoing import OutgoingRecords
from stream_app.wire.prediction import PredictionHeaders, Predictions, prediction_id
from tests.unit.builders import NOW, batch, failed, item, partition

TOPIC_ID = "-id_with-hyphens-12345"
P = partition(2)
DEAD = DeadLetters("dead", group="g", code_version="1", model_version="m/3", clock=lambda: NOW)


def written(*items: Item) -> list[Outgoing]:
    """What all emitters make of a batch of items."""
    one = batch(1, items)
    rows = FeatureLog("rows", 1.0, ["a", "b"])
    OutgoingRecords([Predictions("predictions"), DEAD, rows])(one)
    return one.outgoing


def answered(offset: int = 7) -> Item:
    """An item that the champion answered for."""
    made = item(P, offset)
    made.served, made.row = Served({"score": 0.5}, "m", "3", "champion", None), [math.nan, "x"]
    return made


def test_the_headers_of_a_prediction_are_read_as_they_were_meant() -> None:
    """Where its record lies, its id, and that its state was ahead."""
    ahead = answered()
    ahead.ahead = True
    prediction, _ = written(ahead)
    assert PredictionHeaders.of(by_name(prediction.headers)) == PredictionHeaders(
        "orders-id-2-7", "orders", 2, 7, None, True
    )


def test_the_prediction_of_a_replay_names_its_first_origin_and_its_topics_id() -> None:
    """The place is that of the replay."""
    replayed = answered(9)
    replayed.first_origin = RecordId(TOPIC_ID, 3, 41)
    prediction, _ = written(replayed)
    said = PredictionHeaders.of(by_name(prediction.headers))
    assert said.first_origin == RecordId(TOPIC_ID, 3, 41)
    assert (said.topic_id, said.offset, said.state_ahead) == ("orders-id", 9, False)


def test_a_predictions_id_is_written_as_an_origin_is() -> None:
    """It is put together without one, for speed."""
    source = P.source
    assert source is not None
    named = prediction_id(answered(41))
    assert named == str(RecordId(source.topic_id, source.partition, 41))
    assert str(record_id_of(f"{TOPIC_ID}-2-41")) == f"{TOPIC_ID}-2-41"


@pytest.mark.parametrize("missing", range(4))
def test_a_prediction_that_does_not_say_which_record_it_is_of_is_refused(missing: int) -> None:
    """Each of the four headers is needed."""
    headers = list(written(answered())[0].headers)
    del headers[missing]
    with pytest.raises(ValueError, match="there is no header"):
        PredictionHeaders.of(by_name(headers))


@pytest.mark.parametrize("offset", [b"-1", b"1.5", b"", b"9" * 20, "²".encode(), b"\xff"])
def test_an_offset_that_no_worker_wrote_is_refused(offset: bytes) -> None:
    """It may be anybody's bytes."""
    headers = [*written(answered())[0].headers, ("source-offset", offset)]
    with pytest.raises(ValueError):
        PredictionHeaders.of(by_name(headers))


def test_a_dead_letter_is_read_as_it_was_written() -> None:
    """Field by field, and written again it has the same headers."""
    (letter,) = written(failed(P, 9, headers=[("trace", b"1")]))
    assert is_dead_letter(by_name(letter.headers))
    said = DeadLetter.of(by_name(letter.headers))
    assert (said.topic, said.topic_id, said.partition, said.offset) == ("orders", "orders-id", 2, 9)
    assert (said.stage, said.reason, said.field) == ("decode", "tombstone", "amount")
    assert (said.disposition, said.attempts, said.state) == ("poison", 1, "not-applied")
    assert [("trace", b"1"), *said.headers()] == letter.headers
    assert headers_that_came(letter.headers) == [("trace", b"1")]


@pytest.mark.parametrize("has_timestamp", [True, False])
@pytest.mark.parametrize("came", [[], [("sent-by", b"web"), (ATTEMPTS, b"4")]])
def test_a_letter_has_each_header_once_and_in_its_order(came: Headers, has_timestamp: bool) -> None:
    """What is always the same is made once, and still none is forgotten; of each partition its own."""
    letters = DeadLetters(
        "dead", group="g", code_version="1", model_version="m/3", producer_header="sent-by",
        redaction=Redaction("amount"),
    )  # fmt: skip
    for place in (P, partition(7), P):
        item = failed(place, 9, headers=came)
        item.record.value = b'{"amount": 5}' if came else b"{}"
        if not has_timestamp:
            item.record.timestamp = None
        letter = letters(item)
        assert letter is not None
        said = DeadLetter.of(by_name(letter.headers))
        assert (said.topic, said.topic_id, said.partition) == (
            place.topic, place.topic_id, place.number,
        )  # fmt: skip
        assert (said.attempts, said.producer, said.redacted) == (
            (5, "web", "amount") if came else (1, "", "")
        )
        ours = [header for header in letter.headers if header[0] != "sent-by"]
        assert said.headers() == [each for each in ours if "-bytes" not in each[0]]


def test_a_prediction_is_no_dead_letter() -> None:
    """Both may lie in one topic."""
    assert not is_dead_letter(by_name(written(answered())[0].headers))


def test_a_dead_letter_need_not_say_more_than_which_record_it_is() -> None:
    """Another version, or somebody else, may have written it."""
    least: Headers = [
        ("dead-letter.topic-id", b"t"), ("dead-letter.partition", b"0"),
        ("dead-letter.offset", b"1"), ("dead-letter.message", b"\xff"),
    ]  # fmt: skip
    said = DeadLetter.of(by_name(least))
    assert (said.topic, said.reason, said.attempts, said.message) == ("", "", 0, "\\xff")
    for at in range(3):
        with pytest.raises(ValueError, match="there is no header"):
            DeadLetter.of(by_name(least[:at] + least[at + 1 :]))


def test_what_a_letter_left_out_is_read_by_length_and_digest() -> None:
    """A letter that says only one of them says nothing that can be used."""
    (letter,) = written(failed(P, 9, headers=[("trace", b"1")]))
    assert omitted(by_name(letter.headers), "headers") is None
    smaller = DEAD.smaller(letter)
    assert smaller is not None
    found = omitted(by_name(smaller.headers), "headers")
    assert found is not None
    assert (found.length, len(found.sha256)) == (len(b"trace\0" + b"1\0"), 32)
    half: Any = [header for header in smaller.headers if not header[0].endswith("sha256")]
    with pytest.raises(ValueError, match="sha256"):
        omitted(by_name(half), "headers")


def test_a_feature_row_is_read_as_it_was_written() -> None:
    """A number that is missing is None."""
    _, row = written(answered())
    assert FeatureRow.of(row.value or b"") == FeatureRow(
        "orders-id-2-7", "e7", {"a": None, "b": "x"}
    )


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'{"prediction_id":"x"}', b"\xff"])
def test_what_is_no_feature_row_is_refused(value: bytes) -> None:
    """Its topic may hold anything."""
    with pytest.raises(ValueError):
        FeatureRow.of(value)


def test_a_further_topic_out_is_one_emitter_more() -> None:
    """It sees answers and failures, after the emitters before it, and no record that only updates."""

    class Shadow:
        topic = "shadow"
        kind = "shadow"

        def __call__(self, item: Item) -> Outgoing | None:
            value = b"failed" if item.failure is not None else b"answered"
            return Outgoing(self.topic, None, value, [], item.record.partition, item, self.kind)

    unencodable = answered(2)
    unencodable.served = Served({"score": object()}, "m", "3", "champion", None)
    one = batch(1, [answered(1), item(P, 3), unencodable])
    OutgoingRecords([Predictions("predictions"), DEAD, Shadow()])(one)
    assert [(out.topic, out.value) for out in one.outgoing if out.topic == "shadow"] == [
        ("shadow", b"answered"),
        ("shadow", b"failed"),
    ]
    assert [out.topic for out in one.outgoing] == ["predictions", "shadow", "dead", "shadow"]
