"""A record is tried in a child process, and blamed for what it does there and for nothing else."""

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from stream_app.config.settings import Settings
from stream_app.crash_isolation.trial import Trial
from stream_app.errors import ServiceAwayError
from stream_app.features.stores.redis.keys import Keys
from stream_app.observer.observer import Observer
from stream_app.records.failure import Failure
from stream_app.records.partition import Partition
from stream_app.records.record import Record
from stream_app.waiting.retry import Retry
from tests.usecases import hostile, regression


class Once(Retry):
    """Waits for nothing."""

    def __init__(self) -> None:
        super().__init__(initial_seconds=0.0, max_seconds=0.0, observer=Observer())

    def __call__(self, service: str, call: Any, before_waiting: Any = None) -> Any:
        """Call it once."""
        return call()


def trial_of(module: Any, folder: Path, redis_url: str = "redis://127.0.0.1:1/0") -> Trial:
    """A trial of a use case's records."""
    module.train(folder, module.usecase)
    settings = Settings(
        usecase=f"{module.__name__}:usecase",
        artifacts=folder,
        redis_url=redis_url,
        redis_timeout_seconds=1.0,
        bootstrap_servers="127.0.0.1:1",
    )
    return Trial(settings, Once(), lambda _: 0, Observer(), of="batches")


@pytest.fixture(scope="module")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """Trial of messages that may do harm."""
    trial = trial_of(hostile, tmp_path_factory.mktemp("artifacts"))
    yield trial
    trial.close()


def record(topic: str, value: bytes, offset: int = 7) -> Record:
    """A record."""
    return Record(Partition(topic, 0, 0), offset, time.time(), b"key", value)


def tried(trial: Trial, text: str) -> Failure | None:
    """What becomes of a message."""
    return trial(record(hostile.usecase.topics[0].name, hostile.ticket(text)))


def test_a_child_that_was_killed_from_outside_says_nothing_about_its_record(
    tickets: Trial, caplog: pytest.LogCaptureFixture
) -> None:
    """Where memory is short, the kernel ends the child first, whoever took the memory."""
    with caplog.at_level(logging.ERROR):
        assert tried(tickets, "score kill") is None
    assert "7 is not blamed: twice the child that tried it ended with SIGKILL" in caplog.text


def test_a_record_that_took_the_memory_is_blamed(tickets: Trial) -> None:
    """The child's own memory is the evidence; what it had before the record does not count."""
    assert tried(tickets, "thanks") is None
    failure = tried(tickets, "feature hoard")
    assert failure is not None
    assert (failure.stage, failure.reason) == ("enrich", "process-crash")
    assert "SIGKILL when its memory had grown by " in failure.message


def test_a_record_that_ends_its_process_is_blamed(tickets: Trial) -> None:
    """As it always was."""
    failure = tried(tickets, "score abort")
    assert failure is not None
    assert failure.message == "tried alone in a child process, it ended with SIGABRT"


def test_a_store_that_refuses_is_no_fault_of_the_record(
    redis: Redis,
    redis_url: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Twelve good records were dead letters for it; now the worker meets the refusal and tells it."""
    trial = trial_of(regression, tmp_path, redis_url)
    event = regression.events(1, time.time(), step=1.0)[0]
    topic = regression.topic_of(event, regression.usecase)
    redis.execute_command("ACL", "SETUSER", "default", "-mget")
    try:
        with caplog.at_level(logging.WARNING):
            assert trial(record(topic, json.dumps(event).encode())) is None
    finally:
        redis.execute_command("ACL", "SETUSER", "default", "+@all")
        trial.close()
    assert "7 could not be tried: Redis refuses: " in (caplog.text)
    assert "'mget'" in caplog.text


def test_a_value_that_is_no_state_is_no_fault_of_the_record(
    redis: Redis, redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Something else wrote it; the worker says where."""
    trial = trial_of(regression, tmp_path, redis_url)
    try:
        event = regression.events(1, time.time(), step=1.0)[0]
        topic = regression.topic_of(event, regression.usecase)
        assert trial(record(topic, json.dumps(event).encode())) is None
        keys = Keys(regression.usecase.name, regression.FEATURES.views, 1, 0)
        redis.mset({f"{prefix}{event['meter']}": "not a state" for prefix in keys.states[0]})
        with caplog.at_level(logging.WARNING):
            assert trial(record(topic, json.dumps(event).encode())) is None
        assert "is no state: something else wrote there" in caplog.text
    finally:
        trial.close()


def test_a_store_that_is_away_is_waited_for(tmp_path: Path) -> None:
    """By the worker, whose patience it is."""
    trial = trial_of(regression, tmp_path)
    event = regression.events(1, time.time(), step=1.0)[0]
    try:
        with pytest.raises(ServiceAwayError, match="Redis is away"):
            trial(
                record(regression.topic_of(event, regression.usecase), json.dumps(event).encode())
            )
    finally:
        trial.close()
