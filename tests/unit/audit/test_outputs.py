"""Headers tell which record an output came of."""

from typing import Any

import pytest

from stream_app.audit.brokers import Topic
from stream_app.audit.ledger import Fate, Kind, Ledger, Terms
from stream_app.audit.outputs import Outputs
from stream_app.audit.places import Place
from stream_app.origins import Origin, origin_of, replayed_origin

TOPIC = Topic("events", "-id-with-hyphens-", "cluster", 2)
PLACE = Place("events", 1)
TERMS = Terms(committed=100, mark=None, outputs_removed_until=-1.0)

Headers = list[tuple[str, bytes | None]]


class Message:
    """A record of a topic out."""

    def __init__(self, topic: str, headers: Headers | None) -> None:
        self._topic = topic
        self._headers = headers

    def topic(self) -> str:
        """Its topic."""
        return self._topic

    def headers(self) -> Headers | None:
        """Its headers; confluent-kafka gives None where there are none."""
        return self._headers


class Books:
    """Ten records at the offsets 10 to 19, each asking for a prediction."""

    def __init__(self, *replays: int) -> None:
        self.ledger = Ledger(10, 20)
        self.ledger.records(
            range(10, 20),
            [Kind.RECORD | Kind.ASKS | (Kind.REPLAY if o in replays else 0) for o in range(10, 20)],
            [1] * 10,
        )
        self.outputs = Outputs({PLACE: self.ledger}, [TOPIC], "predictions", "dead", "group")

    def predict(self, origin: str, *source: object) -> None:
        """Take a prediction."""
        names = ("source-topic", "source-partition", "source-offset")
        given = zip(
            names, map(str, source or ("events", 1, origin.rpartition("-")[2])), strict=True
        )
        headers: Headers = [("prediction-id", origin.encode())]
        self.take("predictions", headers + [(name, value.encode()) for name, value in given])

    def bury(self, topic_id: str, offset: int, **more: str) -> None:
        """Take a dead letter."""
        about = {"dead-letter.topic-id": topic_id, "dead-letter.partition": "1"}
        about |= {"dead-letter.offset": str(offset), **more}
        self.take("dead", [(name, value.encode()) for name, value in about.items()])

    def take(self, topic: str, headers: Headers | None) -> None:
        """Take any record."""
        made: Any = Message(topic, headers)
        self.outputs.take([made])

    def fate(self, offset: int) -> Fate:
        """What became of a record."""
        (part,) = self.ledger.judge(TERMS)
        return Fate(int(part.fates[offset - 10]))


def test_the_id_of_a_prediction_names_its_record() -> None:
    """Hyphens of the topic id are no separators."""
    books = Books()
    books.predict(f"{TOPIC.topic_id}-1-12")
    assert books.fate(12) == Fate.PREDICTED
    assert origin_of(f"{TOPIC.topic_id}-1-12") == Origin(TOPIC.topic_id, 1, 12)


def test_a_replay_of_an_earlier_topic_s_record_is_answered_by_its_prediction() -> None:
    """Its id is of a topic that is gone; the replay is here, and only a replay is."""
    books = Books(13)
    books.predict("gone-1-4", "events", 1, 13)
    books.predict("gone-1-4", "events", 1, 14)
    assert books.fate(13) == Fate.REPLAYED
    assert books.fate(14) == Fate.WITHOUT_OUTPUT
    assert books.outputs.counts.of_other_origins == 1


def test_a_dead_letter_of_a_replay_is_the_replay_s_and_its_origin_s() -> None:
    """Neither of the two is missing, and neither came twice."""
    books = Books(15)
    books.bury(TOPIC.topic_id, 15, **{"replay-of": f"{TOPIC.topic_id}-1-11"})
    assert books.fate(15) == Fate.REPLAYED
    assert books.fate(11) == Fate.DEAD_LETTERED


def test_a_header_that_names_no_origin_is_no_replay() -> None:
    """Anybody may send one, and its record is a record as any other."""
    assert replayed_origin({"replay-of": b"\xff"}) is None
    assert replayed_origin({"replay-of": None}) is None
    assert replayed_origin({"replay-of": b"something"}) is None
    books = Books()
    books.bury(TOPIC.topic_id, 15, **{"replay-of": "something"})
    assert books.fate(15) == Fate.DEAD_LETTERED
    assert books.outputs.counts.unreadable == 0


def test_a_dead_letter_says_whether_the_state_was_changed() -> None:
    """A prediction of the same record says that it was."""
    books = Books()
    books.bury(TOPIC.topic_id, 11, **{"dead-letter.state": "not-applied"})
    books.bury(TOPIC.topic_id, 12, **{"dead-letter.state": "applied"})
    books.bury(TOPIC.topic_id, 13, **{"dead-letter.state": "not-applied"})
    books.predict(f"{TOPIC.topic_id}-1-13")
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
        [("prediction-id", f"{TOPIC.topic_id}-1-12".encode()), ("source-topic", b"events")],
    ],
)
def test_what_cannot_be_read_is_counted_and_books_nothing(headers: Headers | None) -> None:
    """Anybody may write to a topic."""
    books = Books()
    books.take("predictions", headers)
    assert books.outputs.counts.unreadable == 1
    assert books.fate(12) == Fate.WITHOUT_OUTPUT


def test_outputs_beyond_the_range_are_counted_apart() -> None:
    """They are of records that this audit is not about."""
    books = Books()
    books.predict(f"{TOPIC.topic_id}-1-9")
    books.bury(TOPIC.topic_id, 20)
    books.bury("gone", 12)
    assert books.outputs.counts.out_of_range == 2
    assert books.outputs.counts.of_other_origins == 1
