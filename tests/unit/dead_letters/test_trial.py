"""Whether letters' records would pass now, where no model is to be had."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stream_app.config.settings import Settings
from stream_app.dead_letters.outgoing_replay import OutgoingReplay, outgoing_replay
from stream_app.dead_letters.trial import Attempt, Trial
from stream_app.errors import ServiceAwayError
from stream_app.records.failure import Failure
from stream_app.records.places import PartitionId
from stream_app.records.record import Record
from tests.unit.dead_letters.letters import REPLAYS, letter
from tests.usecases import text

TOPIC = text.usecase.topics[0].name
DEADLY = Failure("decode", "process-crash", "tried alone in a child process, it ended with SIGABRT")


def replay(value: bytes, **about: Any) -> OutgoingReplay:
    """The replay of a letter of this value."""
    return outgoing_replay(letter(value, **about), PartitionId(TOPIC, 0), value, REPLAYS)


class Bench:
    """Trials over an empty folder of models."""

    def __init__(self, folder: Path) -> None:
        self._settings = Settings(artifacts=folder, redis_url="redis://127.0.0.1:1/0")
        self._opened: list[Trial] = []

    def __call__(self, *replays: OutgoingReplay, attempt: Attempt | None = None) -> list[Any]:
        """The reasons for which they would fail."""
        trial = Trial(self._settings, text.usecase, "shop", attempt)
        self._opened.append(trial)
        found = trial(replays)
        assert trial.only_decoded
        return [each and (each.reason, each.message) for each in found]

    def close(self) -> None:
        """Let go of the connections."""
        for each in self._opened:
            each.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench."""
    made = Bench(tmp_path)
    yield made
    made.close()


GOOD = b'{"event_id":"a","event_time":"2026-01-01T00:00:00Z","text":"Hi"}'


def test_what_ended_a_worker_is_tried_elsewhere_and_its_neighbours_here(bench: Bench) -> None:
    """Each keeps its place in the answer."""
    tried: list[Record] = []

    def attempt(record: Record) -> Failure | None:
        tried.append(record)
        return DEADLY if record.value == b"deadly" else None

    broken, crash, hang = replay(b"{"), {"reason": "process-crash"}, {"reason": "process-hang"}
    found = bench(broken, replay(b"deadly", **crash), broken, replay(b"{", **hang), attempt=attempt)
    assert [reason for reason, _ in found] == [
        "invalid-json", "process-crash", "invalid-json", "invalid-json",
    ]  # fmt: skip
    assert [record.value for record in tried] == [b"deadly", b"{"]


def test_where_it_cannot_be_tried_elsewhere_it_is_left(bench: Bench) -> None:
    """It must not end the process of whoever replays."""

    def away(_: Record) -> Failure | None:
        raise ServiceAwayError("redis", "it does not answer")

    deadly = replay(GOOD, reason="process-crash")
    ((reason, message),) = bench(deadly, attempt=away)
    assert (reason, message.split(": ")[-1]) == ("process-crash", "it does not answer")
    ((reason, _),) = bench(deadly)
    assert reason == "process-crash"


def test_headers_are_counted_as_the_worker_counts_them(bench: Bench) -> None:
    """Those of the replay with them."""
    many = [(f"h{number}", b"") for number in range(1_021)]
    ((reason, message),) = bench(replay(GOOD, came=many))
    assert reason == "too-many-headers"
    assert "1025 headers" in message
