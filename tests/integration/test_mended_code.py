"""A record fails for a mistake in code, the code is mended, its letter is replayed: it counts once."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from stream_app.local import LocalRedis
from stream_app.training.topic_log import read_topics
from tests.integration.hand import SECRET, run
from tests.integration.test_dead_letter_replay import Desk
from tests.integration.testbed import Account, Testbed
from tests.integration.worker import Cluster, Sent, Worker
from tests.usecases import mistaken
from tests.usecases.regression import iso


@pytest.fixture
def testbed(cluster: Cluster, own_redis: LocalRedis, tmp_path: Path) -> Testbed:
    """The use case that makes every mistake, until it is mended."""
    return Testbed(mistaken, tmp_path, cluster, own_redis.url, {"replay_secret": SECRET})


def mended(testbed: Testbed, *command: str) -> Worker:
    """A worker, or a command, with the mended code."""
    line = ("-m", "stream_app", *(command or ("run",)))
    return testbed.worker(command=line).environment(**{mistaken.MENDED: "1"})


def request(testbed: Testbed, what: str) -> Sent:
    """A record that makes a mistake, or a good one."""
    event = {
        "event_id": f"{what} 1", "meter": "m1", "area": "a1", "event_time": iso(float(int(time.time()))),
        "minutes_ahead": 30, "celsius": 1.5,
    }  # fmt: skip
    return Sent(testbed.topics[1], json.dumps(event).encode(), b"m1", 0)


def expected(testbed: Testbed, left_out: set[str]) -> Account:
    """The states with each event once: without the records of these ids that are no replays."""
    log = [
        each
        for each in testbed.log()
        if each[2].event_id not in left_out or each[0].header("replay-of") is not None
    ]
    return testbed.expected_account(log)


def counts(account: Account) -> dict[tuple[str, str], tuple[int, int]]:
    """Updates and digest of each state: which records it holds."""
    return {key: (count, digest) for key, (count, digest, *_) in account.items()}


def rebuild(testbed: Testbed) -> None:
    """Run `stream-app state rebuild` with the mended code."""
    with mended(testbed, "state", "rebuild") as command:
        assert command.wait() == 0, command.log


def test_an_update_that_was_applied_is_not_applied_again_however_often_it_is_replayed(
    testbed: Testbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record whose answer fails has updated the state; each replay fails again, until the code is mended."""
    desk = Desk(testbed, monkeypatch)
    limit = ("--everything", "--untried", "--yes", "--max-attempts", "9")
    with testbed.worker() as worker:
        testbed.cluster.produce([request(testbed, "good"), request(testbed, "answer-raise")])
        for attempt in range(1, 5):
            worker.until("it fails", lambda n=attempt: len(desk.letters("--all")) == n)
            assert desk.json("replay", *limit)["replayed"] == 1
        worker.until("it fails for the last time", lambda: len(desk.letters("--all")) == 5)
        worker.until("all is committed", testbed.drained)
        assert worker.stop() == 0
    (last,) = desk.letters()
    assert (last["attempts"], last["state"]) == (5, "applied")
    once = testbed.expected_account(
        [each for each in testbed.log() if each[0].header("replay-of") is None]
    )
    assert counts(testbed.account(once)) == counts(once)
    with mended(testbed) as worker:
        assert desk.json("replay", *limit)["replayed"] == 1
        worker.until("it is predicted", lambda: len(testbed.predictions()) == 2)
        worker.until("and committed", testbed.drained)
        assert worker.stop() == 0
    assert counts(testbed.account(once)) == counts(once)
    rebuild(testbed)
    assert counts(testbed.account(once)) == counts(once), "rebuilt"
    assert run(testbed, recompute_state=True).exit_status == 0


@pytest.mark.parametrize("order", ["replay, then rebuild", "rebuild, then replay"])
def test_a_replay_after_the_code_was_mended_counts_once_also_in_a_rebuilt_state(
    testbed: Testbed, own_redis: LocalRedis, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    """The log has the record twice, and both are good now; the letter says that the first did nothing."""
    desk = Desk(testbed, monkeypatch)
    with testbed.worker() as worker:
        good = request(testbed, "good")
        bad = [request(testbed, "row-raises"), request(testbed, "decoder-raises")]
        testbed.cluster.produce([good, *bad, replace(good, key=b"other")])
        worker.until("all is taken", testbed.drained)
        assert worker.stop() == 0
    assert {letter["state"] for letter in desk.letters()} == {"not-applied"}
    assert len(desk.letters()) == 2
    monkeypatch.setenv(mistaken.MENDED, "1")
    ids = {"row-raises 1", "decoder-raises 1"}
    if order == "rebuild, then replay":
        rebuild(testbed)
        everything = expected(testbed, ids)
        assert counts(testbed.account(everything)) == counts(everything), "as it was worked on"
    with mended(testbed) as worker:
        assert desk.json("replay", "--everything", "--yes")["replayed"] == 2
        worker.until("the replays are predicted", lambda: len(testbed.predictions()) == 4)
        worker.until("and committed", testbed.drained)
        once = expected(testbed, ids)
        assert counts(testbed.account(once)) == counts(once), "by the worker"
        with Redis.from_url(own_redis.url) as redis:
            redis.flushall()
        worker.until("it is rebuilt", lambda: "the state is rebuilt" in worker.log)
        assert "2 records that changed no state" in worker.log
        assert counts(testbed.account(once)) == counts(once), "by the worker's own rebuilding"
        assert worker.stop() == 0
    rebuild(testbed)
    assert counts(testbed.account(once)) == counts(once), "by the command"
    report = run(testbed, recompute_state=True)
    assert report.recomputed is not None
    assert not report.recomputed.different
    assert report.exit_status == 0
    monkeypatch.setenv("STREAM_APP_BOOTSTRAP_SERVERS", testbed.cluster.bootstrap)
    monkeypatch.setenv("STREAM_APP_REPLAY_SECRET", SECRET)
    trained = read_topics(testbed.usecase)
    assert len(trained) == 4, "by training, too"
    assert sum(any(name == "replay-of" for name, _ in each.headers) for each in trained) == 2
