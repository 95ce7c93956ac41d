"""Headers tell which record an output came of, and the output is held against that record."""

import hashlib
import json
from enum import StrEnum
from typing import Any

import pytest
from pydantic import SecretStr

from stream_app.audit.faults import Fault
from stream_app.audit.identities import NO_EVENT, Identity, bytes_digest, event_digest
from stream_app.audit.ledger import Fate, Kind, Ledger, Terms
from stream_app.audit.outputs import Outputs
from stream_app.features.usecase import Prediction
from stream_app.kafka.brokers import Topic
from stream_app.records.places import PartitionId
from stream_app.records.record_id import RecordId
from stream_app.wire.replays import Replay, Replays
from tests.unit.audit.messages import Headers, Message, Unreadable, message

TOPIC = Topic("events", "-id-with-hyphens-12345", 2)
GONE = "an-earlier-topic-12345"
PLACE = PartitionId("events", 1)
TERMS = Terms(committed=100, mark=None, outputs_removed_until=-1.0)
REPLAYS = Replays("group", SecretStr("correct-horse-battery"))
KEY, VALUE = b"key", b"the record's value"


class Scored(Prediction):
    """A contract of predictions."""

    score: float


def origin(offset: int, topic_id: str = TOPIC.topic_id) -> RecordId:
    """A record of the audited partition."""
    return RecordId(topic_id, 1, offset)


class Books:
    """Ten records at the offsets 10 to 19, each asking for a prediction."""

    def __init__(self, replays: dict[int, RecordId] | None = None, **options: Any) -> None:
        """`replays`: offsets of replays, with their first origins."""
        replays = replays or {}
        self.ledger = Ledger(10, 20)
        self.ledger.records(
            range(10, 20),
            [Kind.RECORD | Kind.ASKS | (Kind.REPLAY if o in replays else 0) for o in range(10, 20)],
            [1] * 10,
        )
        self.ledger.identities(
            range(10, 20),
            [
                Identity(
                    bytes_digest(KEY), bytes_digest(VALUE), event_digest("e", 5.0, replays.get(o))
                )
                for o in range(10, 20)
            ],
        )
        self.outputs = Outputs(
            {PLACE: self.ledger},
            [TOPIC],
            "predictions",
            "dead",
            "group",
            replays=REPLAYS,
            **{"contract": Scored, **options},
        )

    def predict(
        self,
        of: RecordId,
        offset: int | None = None,
        *,
        key: bytes | None = KEY,
        value: Any = ...,
        extra: Headers = (),
        **fields: Any,
    ) -> None:
        """Take a prediction with the id of a record, made of the record at `offset`."""
        offset = of.offset if offset is None else offset
        headers = [
            ("prediction-id", str(of).encode()),
            ("source-topic", b"events"),
            ("source-partition", b"1"),
            ("source-offset", str(offset).encode()),
        ]
        made = {
            "prediction_id": str(of),
            "event_id": "e",
            "event_time": "1970-01-01T00:00:05Z",
            "score": 0.5,
            "model": {"name": "m", "version": "1"},
            "served_by": "champion",
            "degraded": None,
            "state_freshness_seconds": None,
        }
        if value is ...:
            value = json.dumps(made | fields).encode()
        self.take(message("predictions", key=key, value=value, headers=[*headers, *(extra or ())]))

    def bury(
        self,
        topic_id: str,
        offset: int,
        *,
        key: bytes | None = KEY,
        value: bytes | None = VALUE,
        came: Headers = (),
        **more: str,
    ) -> None:
        """Take a dead letter."""
        about = {"topic-id": topic_id, "partition": "1", "offset": str(offset)}
        about |= {name.replace("_", "-"): text for name, text in more.items()}
        headers = [(f"dead-letter.{name}", text.encode()) for name, text in about.items()]
        self.take(message("dead", key=key, value=value, headers=[*(came or ()), *headers]))

    def take(self, taken: Message) -> None:
        """Take any record."""
        made: Any = [taken]
        self.outputs.take(made)
        assert made == []

    def fate(self, offset: int) -> Fate:
        """What became of a record."""
        (part,) = self.ledger.judge(TERMS)
        return Fate(int(part.fates[offset - 10]))

    @property
    def faults(self) -> dict[Fault, int]:
        """What was found wrong with outputs."""
        return dict(self.outputs.faults.counts)


def test_a_prediction_counts_for_the_record_that_its_id_names() -> None:
    """Key, event id and event time are those of the record."""
    books = Books()
    books.predict(origin(12))
    assert books.fate(12) == Fate.PREDICTED
    assert books.faults == {}


WRONG_PREDICTIONS: list[tuple[str, dict[str, Any], Fault]] = [
    ("no value", {"value": None}, Fault.WITHOUT_VALUE),
    ("an empty value", {"value": b""}, Fault.WITHOUT_VALUE),
    ("no JSON", {"value": b"{"}, Fault.BROKEN_CONTRACT),
    ("no UTF-8", {"value": b"\xff"}, Fault.BROKEN_CONTRACT),
    ("an empty object", {"value": b"{}"}, Fault.BROKEN_CONTRACT),
    ("null", {"value": b"null"}, Fault.BROKEN_CONTRACT),
    ("a null that is no number", {"score": None}, Fault.BROKEN_CONTRACT),
    ("NaN, which is no JSON", {"score": float("nan")}, Fault.BROKEN_CONTRACT),
    ("infinity, which is no JSON", {"score": float("inf")}, Fault.BROKEN_CONTRACT),
    ("text for a number", {"score": "0.5"}, Fault.BROKEN_CONTRACT),
    ("a truth for a number", {"score": True}, Fault.BROKEN_CONTRACT),
    ("a field that is not declared", {"more": 1}, Fault.BROKEN_CONTRACT),
    ("another id than its header", {"prediction_id": str(origin(13))}, Fault.CONTRADICTORY),
    ("a fallback that says no why", {"served_by": "static"}, Fault.CONTRADICTORY),
    ("a champion that stands in", {"degraded": "model-error"}, Fault.CONTRADICTORY),
    ("another event", {"event_id": "f"}, Fault.OF_ANOTHER_RECORD),
    ("another time", {"event_time": "1970-01-01T00:00:05.5Z"}, Fault.OF_ANOTHER_RECORD),
    ("another key", {"key": b"another"}, Fault.OF_ANOTHER_RECORD),
    ("no key", {"key": None}, Fault.OF_ANOTHER_RECORD),
]


@pytest.mark.parametrize(
    ("changes", "fault"), [each[1:] for each in WRONG_PREDICTIONS], ids=[e[0] for e in WRONG_PREDICTIONS]
)  # fmt: skip
def test_a_wrong_prediction_is_a_fault_and_no_outcome(
    changes: dict[str, Any], fault: Fault
) -> None:
    """It has a figure of its own, and its record still has no right output."""
    books = Books()
    books.predict(origin(12), **changes)
    assert books.faults == {fault: 1}
    assert books.fate(12) == Fate.WRONG_OUTPUT
    (part,) = books.ledger.judge(TERMS)
    assert part.faults[fault].tolist() == [12]
    (example,) = books.outputs.faults.examples
    assert example["what"].startswith("predictions[0] 0, the prediction of events[1] 12: ")


def test_a_right_prediction_beside_a_wrong_one_is_the_outcome() -> None:
    """And the wrong one is told."""
    books = Books()
    books.predict(origin(12), value=None)
    books.predict(origin(12))
    assert books.fate(12) == Fate.PREDICTED
    assert books.faults == {Fault.WITHOUT_VALUE: 1}


def test_a_contract_that_raises_is_a_broken_one() -> None:
    """A validator of the use case may raise anything."""

    class Raising(Scored):
        def __init__(self, **_: Any) -> None:
            raise ZeroDivisionError

        @classmethod
        def model_validate_json(cls, *_: Any, **__: Any) -> Any:
            raise ZeroDivisionError

    books = Books(contract=Raising)
    books.predict(origin(12))
    assert books.faults == {Fault.BROKEN_CONTRACT: 1}


def test_the_id_of_one_record_on_the_prediction_of_another_is_a_contradiction() -> None:
    """It proves neither: whoever drops copies by id would drop the prediction of the first."""
    books = Books()
    books.predict(origin(11), 12)
    assert books.faults == {Fault.CONTRADICTORY: 1}
    assert books.fate(11) == Fate.WITHOUT_OUTPUT
    assert books.fate(12) == Fate.WRONG_OUTPUT
    assert str(origin(11)) in books.outputs.faults.examples[0]["what"]


def test_the_prediction_of_a_replay_is_the_replay_s_and_its_first_origin_s() -> None:
    """Also where that one was of a topic that is gone; only where its record is a replay of it."""
    books = Books({13: origin(11), 14: origin(4, GONE), 15: origin(11)})
    books.predict(origin(11), 13)
    books.predict(origin(4, GONE), 14)
    books.predict(origin(12), 15)
    assert [books.fate(o) for o in (11, 12, 13, 14)] == [
        Fate.PREDICTED,
        Fate.WITHOUT_OUTPUT,
        Fate.REPLAYED,
        Fate.REPLAYED,
    ]
    assert books.fate(15) == Fate.WRONG_OUTPUT
    assert books.faults == {Fault.OF_ANOTHER_RECORD: 1}


def test_a_replay_that_was_predicted_under_its_own_id_is_a_contradiction() -> None:
    """A worker without the secret did that: consumers have two ids for one origin."""
    books = Books({13: origin(11)})
    books.predict(origin(13))
    assert books.faults == {Fault.CONTRADICTORY: 1}


def test_a_prediction_of_an_earlier_topic_of_the_same_name_proves_nothing() -> None:
    """Of the same offset, and of a replay that was sent to it."""
    books = Books()
    books.predict(origin(12, GONE))
    books.predict(origin(11), 12, extra=[("source-topic-id", GONE.encode())])
    assert books.outputs.counts.of_other_origins == 2
    assert books.fate(12) == Fate.WITHOUT_OUTPUT
    assert books.faults == {}


def test_a_dead_letter_of_a_replay_is_the_replay_s_and_its_origin_s() -> None:
    """Neither of the two is missing, and neither came twice; a header alone says nothing."""
    books = Books({15: origin(11)})
    made: Any = REPLAYS.headers(Replay(origin(11), applied=False), KEY, VALUE)
    books.bury(TOPIC.topic_id, 15, came=made)
    books.bury(TOPIC.topic_id, 16, came=[("replay-of", str(origin(12)).encode())])
    assert books.fate(15) == Fate.REPLAYED
    assert books.fate(11) == Fate.DEAD_LETTERED
    assert books.fate(16) == Fate.DEAD_LETTERED
    assert books.fate(12) == Fate.WITHOUT_OUTPUT


def omitted(part: str, data: bytes, **changes: str) -> dict[str, str]:
    """The headers of a dead letter that left something out."""
    said = {"bytes": str(len(data)), "sha256": hashlib.sha256(data).hexdigest()} | changes
    return {f"{part}-omitted-{name}": text for name, text in said.items()}


def test_a_dead_letter_may_leave_out_what_it_says_that_it_left_out() -> None:
    """By length and SHA-256 it is known to be the record's."""
    books = Books()
    books.bury(TOPIC.topic_id, 12, value=None, **omitted("value", VALUE))
    books.bury(TOPIC.topic_id, 13, key=None, **omitted("key", KEY))
    assert (books.fate(12), books.fate(13)) == (Fate.DEAD_LETTERED, Fate.DEAD_LETTERED)
    assert books.faults == {}


@pytest.mark.parametrize(
    ("letter", "fault"),
    [
        ({"value": None}, Fault.WITHOUT_VALUE),
        ({"value": b""}, Fault.OF_ANOTHER_RECORD),
        ({"value": VALUE[:-1]}, Fault.OF_ANOTHER_RECORD),
        ({"key": None}, Fault.WITHOUT_VALUE),
        ({"key": b"k"}, Fault.OF_ANOTHER_RECORD),
        ({"value": None, **omitted("value", VALUE[:-1])}, Fault.OF_ANOTHER_RECORD),
        ({"value": None, **omitted("value", VALUE, bytes="17")}, Fault.OF_ANOTHER_RECORD),
        ({"value": None, **omitted("value", VALUE, sha256="")}, Fault.OF_ANOTHER_RECORD),
        ({"value": None, **omitted("value", VALUE, sha256="x")}, Fault.CONTRADICTORY),
        ({"value": None, "value_omitted_bytes": "18"}, Fault.CONTRADICTORY),
        ({"value": VALUE, **omitted("value", VALUE)}, Fault.CONTRADICTORY),
        ({"topic": "another"}, Fault.CONTRADICTORY),
    ],
)
def test_a_dead_letter_that_is_not_its_record_is_a_fault(
    letter: dict[str, Any], fault: Fault
) -> None:
    """What it holds, and what it says that it left out, is held against the record."""
    books = Books()
    books.bury(TOPIC.topic_id, 12, **letter)
    assert books.faults == {fault: 1}
    assert books.fate(12) == Fate.WRONG_OUTPUT


def test_the_dead_letter_of_a_record_without_value_has_none() -> None:
    """A tombstone was a tombstone."""
    books = Books()
    nothing = Identity(bytes_digest(None), bytes_digest(None), 0)
    books.ledger.identities([12], [nothing])
    books.bury(TOPIC.topic_id, 12, key=None, value=None)
    assert books.faults == {}
    books.bury(TOPIC.topic_id, 12, key=None, value=b"")
    assert books.faults == {Fault.OF_ANOTHER_RECORD: 1}


def test_a_dead_letter_says_whether_the_state_was_changed() -> None:
    """A prediction of the same record says that it was."""
    books = Books()
    books.bury(TOPIC.topic_id, 11, state="not-applied")
    books.bury(TOPIC.topic_id, 12, state="applied")
    books.bury(TOPIC.topic_id, 13, state="not-applied")
    books.predict(origin(13))
    assert [books.ledger.changed_no_state(offset) for offset in (11, 12, 13)] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    "headers",
    [
        None,
        [],
        [("prediction-id", b"nothing")],
        [("prediction-id", None)],
        [("prediction-id", b"\xff-1-2")],
        [("prediction-id", b"x" * 2**20 + b"-1-2")],
        [("prediction-id", str(origin(12)).encode()), ("source-topic", b"events")],
        [
            ("prediction-id", str(origin(12)).encode()),
            ("source-topic", b"events"),
            ("source-partition", b"1"),
            ("source-offset", b"9" * 5_000),
        ],
    ],
)
def test_a_prediction_that_cannot_be_read_is_a_fault_and_books_nothing(headers: Headers) -> None:
    """Its consumers cannot know what it is of; where a range is audited, it may be of another."""
    books = Books()
    books.take(message("predictions", headers=headers))
    assert books.outputs.counts.unreadable == 1
    assert books.fate(12) == Fate.WITHOUT_OUTPUT
    assert books.faults == {Fault.BROKEN_CONTRACT: 1}
    books = Books(is_everything=False)
    books.take(message("predictions", headers=headers))
    assert books.faults == {}


@pytest.mark.parametrize("topic", ["predictions", "dead"])
def test_headers_that_confluent_kafka_cannot_read_end_no_audit(topic: str) -> None:
    """Anybody may write to a topic; a dead letter that is not ours proves nothing and breaks none."""
    books = Books()
    books.take(message(topic, kind=Unreadable))
    assert books.outputs.counts.unreadable == 1
    assert books.faults == ({Fault.BROKEN_CONTRACT: 1} if topic == "predictions" else {})


def test_an_output_of_a_partition_that_does_not_exist_is_a_fault() -> None:
    """No record is there, and none was."""
    books = Books()
    books.bury(TOPIC.topic_id, 12, partition="7")
    books.bury(TOPIC.topic_id, 12, partition="-1")  # not even a number of a partition
    assert books.faults == {Fault.CONTRADICTORY: 1}
    assert books.outputs.counts.unreadable == 1


def test_outputs_beyond_the_range_are_counted_apart() -> None:
    """They are of records that this audit is not about, whatever is wrong with them."""
    books = Books()
    books.predict(origin(9), value=None)
    books.predict(origin(20), value=None)
    books.bury(TOPIC.topic_id, 20)
    books.bury(GONE, 12)
    books.bury(TOPIC.topic_id, 12, group="another")
    assert books.outputs.counts.out_of_range == 3
    assert books.outputs.counts.of_other_origins == 2
    assert books.faults == {}
    assert {place: list(each) for place, each in books.outputs.beyond.items()} == {PLACE: [20, 20]}


def test_an_output_of_a_record_that_is_gone_is_still_looked_into() -> None:
    """Its value tells without the record; what it is of can be compared no more."""
    books = Books(firsts={PLACE: 0})
    books.predict(origin(9), event_id="anything")
    books.predict(origin(8), value=None)
    assert books.outputs.counts.out_of_range == 1
    assert books.faults == {Fault.WITHOUT_VALUE: 1}


def test_examples_of_faults_are_bounded_and_all_are_counted() -> None:
    """A topic full of wrong outputs fills no memory."""
    books = Books()
    for _ in range(150):
        books.predict(origin(12), value=None)
    assert books.faults == {Fault.WITHOUT_VALUE: 150}
    assert len(books.outputs.faults.examples) == 100


def test_an_event_id_is_known_by_its_text() -> None:
    """A decoder may give a kind of string; a prediction has it as text."""

    class Number(StrEnum):
        ONE = "e"

    assert event_digest(Number.ONE, 5, None) == event_digest("e", 5.0, None)
    assert event_digest("\ud800", 5.0, None) != event_digest("e", 5.0, None)
    assert event_digest(["e"], 5.0, None) == NO_EVENT


def test_what_has_no_bytes_is_not_what_is_absent() -> None:
    """Kafka tells an absent key or value from an empty one, and so does the account."""
    assert bytes_digest(None) != bytes_digest(b"")


SECRET = b'{"card":"4012","n":1}'
REST = b'{"card":"[redacted]","n":1}'
REDACTED: dict[str, Any] = {"value": REST, "redacted": "card", "redacted_bytes": str(len(SECRET))}


def settled(books: Books, value: bytes | None = SECRET, offset: int = 12) -> None:
    """Read the record again that letters wait for."""
    assert books.outputs.waiting.ranges() == {PLACE: (offset, offset + 1)}
    again: Any = [message("events", 1, offset, key=KEY, value=value)]
    books.outputs.settle(again)
    books.outputs.settle_rest()
    assert not books.outputs.waiting.ranges()


@pytest.mark.parametrize(
    "letter",
    [REDACTED, {"value": None, "redacted": "$", "value_omitted_bytes": str(len(SECRET))}],
    ids=["replaced", "left out"],
)
def test_a_redacted_dead_letter_is_compared_with_its_record_without_the_same_fields(
    letter: dict[str, Any],
) -> None:
    """It waits until the record is read again, for digests do not tell."""
    books = Books()
    books.bury(TOPIC.topic_id, 12, state="not-applied", **letter)
    assert books.fate(12) == Fate.WITHOUT_OUTPUT
    settled(books)
    assert books.fate(12) == Fate.DEAD_LETTERED
    assert books.ledger.changed_no_state(12)
    assert books.faults == {}


@pytest.mark.parametrize(
    ("changes", "record"),
    [
        ({}, b'{"card":"4012","n":2}'),
        ({}, b'{"card":"40123","n":1}'),
        ({}, None),
        ({}, b'{"n":1,"c":"4012111"}'),
        ({}, b"no json and 21 bytes."),
        ({"value": None, "redacted": "$", "value_omitted_bytes": "22"}, SECRET),
        ({"redacted": "n"}, SECRET),
        ({"redacted_bytes": "20"}, SECRET),
    ],
)
def test_a_redacted_dead_letter_of_another_record_is_a_fault(
    changes: dict[str, Any], record: bytes | None
) -> None:
    """What is left of the value, and the length that it had."""
    books = Books()
    books.bury(TOPIC.topic_id, 12, **(REDACTED | changes))
    settled(books, record)
    assert books.faults == {Fault.OF_ANOTHER_RECORD: 1}
    assert books.fate(12) == Fate.WRONG_OUTPUT


@pytest.mark.parametrize(
    ("letter", "fault"),
    [
        ({"value": REST, "redacted": "card"}, Fault.CONTRADICTORY),
        (REDACTED | {"redacted": "a..b"}, Fault.CONTRADICTORY),
        (REDACTED | {"redacted_bytes": "many"}, Fault.CONTRADICTORY),
        (REDACTED | {"value": None}, Fault.WITHOUT_VALUE),
        (REDACTED | {"value_omitted_bytes": "21"}, Fault.CONTRADICTORY),
        (REDACTED | {"key": b"another"}, Fault.OF_ANOTHER_RECORD),
    ],
)
def test_a_redacted_dead_letter_says_what_was_replaced(
    letter: dict[str, Any], fault: Fault
) -> None:
    """Anybody may have written its headers."""
    books = Books()
    books.bury(TOPIC.topic_id, 12, **letter)
    assert books.faults == {fault: 1}
    assert not books.outputs.waiting.ranges()


def test_a_redacted_dead_letter_counts_if_its_record_is_gone_when_it_is_looked_for() -> None:
    """Retention may be faster."""
    books = Books()
    books.bury(TOPIC.topic_id, 12, **REDACTED)
    books.outputs.settle_rest()
    assert books.fate(12) == Fate.DEAD_LETTERED


def test_a_dead_letter_of_a_replay_counts_for_its_origin_also_if_it_was_cut() -> None:
    """Whether it is a replay is known by the whole record alone."""
    books = Books({15: origin(11)})
    made: Any = REPLAYS.headers(Replay(origin(11), applied=False), KEY, VALUE)
    books.bury(TOPIC.topic_id, 15, value=None, came=made, **omitted("value", VALUE))
    again: Any = [message("events", 1, 15, key=KEY, value=VALUE, headers=made)]
    books.outputs.settle(again)
    assert books.fate(15) == Fate.REPLAYED
    assert books.fate(11) == Fate.DEAD_LETTERED
