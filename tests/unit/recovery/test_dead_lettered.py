"""What a rebuild leaves out, and what it takes."""

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import SecretStr

from stream_app.config.settings import Settings
from stream_app.dead_letters.outgoing_replay import resolution
from stream_app.features.stores import Source
from stream_app.features.usecase import Prediction
from stream_app.observer.observer import Observer
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId
from stream_app.records.record import Record
from stream_app.records.record_id import RecordId
from stream_app.recovery.dead_lettered import DeadLettered
from stream_app.waiting.retry import Retry
from stream_app.wire.dead_letter import DeadLetter
from tests.unit.builders import record, use_case
from tests.unit.dead_letters.letters import letter, said

P = Partition("orders", 0, 0, Source("cluster", "topic-topic-topic-topi", 0))


class Message:
    """A letter, or a mark."""

    def __init__(self, headers: Any = (), key: Any = None, value: Any = None) -> None:
        self._parts = headers, key, value

    def headers(self) -> Any:
        """Its headers."""
        return self._parts[0]

    def key(self) -> Any:
        """Its key."""
        return self._parts[1]

    def value(self) -> Any:
        """Its value."""
        return self._parts[2]


class Looking(DeadLettered):
    """Over topics in memory."""

    def __init__(self, letters: Sequence[Message], marks: Sequence[Message]) -> None:
        usecase = use_case(Prediction)
        settings = Settings(replay_secret=SecretStr("correct-horse-battery"))
        brokers: Any = None
        retry = Retry(initial_seconds=0.0, max_seconds=0.0, observer=Observer())
        super().__init__(settings, usecase, "shop", brokers, retry)
        self.topics = {self._letters: letters, self._resolutions: marks}

    def _read(self, topic: str, take: Any) -> None:
        for message in self.topics[topic]:
            try:
                take(message)
            except ValueError:
                continue


def of(offset: int, state: str, group: str = "shop") -> DeadLetter:
    """A letter of a record of the partition."""
    return said(topic_id=P.topic_id, partition=P.number, offset=offset, state=state, group=group)


def taken(letters: Sequence[Message], marks: Sequence[Message] = (), count: int = 6) -> list[int]:
    """The offsets of the records that are decoded."""
    looking = Looking(letters, marks)
    decoded: list[int] = []

    def decode(records: Sequence[Record]) -> list[Item]:
        decoded.extend(each.offset for each in records)
        return [Item(each, None) for each in records]

    stage = looking.leave_out(decode)
    looking.look()
    items = stage([record(P, offset) for offset in range(count)])
    assert [item.offset for item in items] == list(range(count))
    return decoded


def test_a_record_whose_letter_says_that_it_changed_nothing_is_left_out() -> None:
    """It is not even decoded: it may be the one that ends the process."""
    letters = [Message(of(1, "not-applied").headers()), Message(of(2, "applied").headers())]
    assert taken(letters) == [0, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "headers", [of(1, "").headers(), of(1, "not-applied", "other").headers(), []]
)
def test_what_says_nothing_or_is_another_applications_leaves_nothing_out(headers: Any) -> None:
    """Predictions may lie in the same topic."""
    assert taken([Message(headers)]) == [0, 1, 2, 3, 4, 5]


def test_a_mark_is_believed_where_the_letter_is_gone() -> None:
    """Of a replay, and of a record that had changed nothing."""
    target = PartitionId("orders", 0)
    marks = []
    for offset, state, to in (
        (1, "not-applied", target),
        (2, "applied", target),
        (3, "not-applied", None),
    ):
        found = letter(topic_id=P.topic_id, partition=P.number, state=state, offset=0)._replace(
            origin=RecordId(P.topic_id, P.number, offset)
        )
        mark = resolution(found, by="", note="", replayed_to=to)
        marks.append(Message((), str(found.id).encode(), mark.as_value()))
    marks.append(Message((), b"no letter", b"{"))
    assert taken([], marks) == [0, 2, 3, 4, 5]
