"""A use case tried without Kafka and Redis, as its author would."""

import json
import time
from pathlib import Path

import pytest

from stream_app.testing import Rehearsal
from tests.usecases.regression import events, topic_of, train, usecase


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
