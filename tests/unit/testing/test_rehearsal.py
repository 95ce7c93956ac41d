"""A use case tried without Kafka and Redis, as its author would."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from stream_app import (
    Event,
    InputTopic,
    Message,
    ServiceAwayError,
    from_key,
    from_timestamp,
)
from stream_app.testing import Rehearsal
from tests.usecases.regression import events, topic_of, train, usecase


class Removed(Event, id_from=from_key(), time_from=from_timestamp()):
    """A meter is taken away; nothing is updated by it."""


def test_an_author_sends_events_and_looks_at_what_came_of_them(tmp_path: Path) -> None:
    """Good events are answered, a bad one is a dead letter that says why, and all is committed."""
    train(tmp_path)
    worker = Rehearsal.load(usecase, tmp_path)
    sent = events(6, time.time() - 6.0, step=1.0)
    for event in sent:
        worker.topics.send(topic_of(event, usecase), json.dumps(event).encode(), b"key")
    bad = worker.topics.send(usecase.topics[0].name, b"{", b"key")
    worker.run()
    asked = [event for event in sent if "minutes_ahead" in event]
    assert len(worker.topics.predictions) == len(asked) > 0
    (letter,) = worker.topics.dead_letters
    assert dict(letter.headers)["dead-letter.reason"] == b"invalid-json"
    assert worker.topics.committed[bad.topic, bad.partition] == bad.offset + 1


def test_a_topic_that_the_use_case_does_not_have_is_a_mistake_of_the_test(tmp_path: Path) -> None:
    """An event sent there would never be read."""
    train(tmp_path)
    with pytest.raises(KeyError):
        Rehearsal.load(usecase, tmp_path).topics.send("elsewhere", b"{}")


def test_records_may_be_skipped_waited_for_or_have_no_value(tmp_path: Path) -> None:
    """All are committed, none is a dead letter, and the events among them are answered."""
    train(tmp_path)
    away: list[ServiceAwayError] = []
    plain = {topic.name: topic for topic in usecase.topics}

    def decode(message: Message) -> Event | None:
        if away:
            raise away.pop()
        return None if message.value == b"#" else plain[message.topic].decoder(message)

    topics = [
        InputTopic(name, decode, plain[name].partitions, tombstones=Removed) for name in plain
    ]
    worker = Rehearsal.load(replace(usecase, topics=tuple(topics)), tmp_path)
    sent = events(6, time.time() - 6.0, step=1.0)
    for event in sent:
        worker.topics.send(topic_of(event, usecase), json.dumps(event).encode(), b"key")
        worker.topics.send(topic_of(event, usecase), b"#", b"key")
        last = worker.topics.send(topic_of(event, usecase), None, b"key")
    away += [ServiceAwayError("the vault", "it is being moved")] * 3
    worker.run()
    assert not worker.topics.dead_letters
    assert len(worker.topics.predictions) == sum("minutes_ahead" in event for event in sent) > 0
    assert worker.topics.committed[last.topic, last.partition] == last.offset + 1
    items = [item for batch in worker.finished for item in batch.items]
    assert [item.is_skipped for item in items].count(True) == len(sent)
    assert [type(item.event) for item in items].count(Removed) == len(sent)
    assert not away
