"""The status page of a real worker, in a browser, while services go away and come back."""

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from stream_app.local import LocalRedis
from stream_app.local.ports import free_ports
from tests.chromium import SIZES, Look
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Sent, Worker, eventually
from tests.usecases import hostile, regression

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page


def status(worker: Worker) -> Any:
    """What status.json says."""
    code, text = worker.get("/status.json")
    return json.loads(text) if code == 200 else {}


def first(worker: Worker) -> str:
    """The key of the worst problem; empty when all is well."""
    return next((each["key"] for each in status(worker).get("problems", ["?"])), "")


@pytest.mark.parametrize("size", SIZES)
def test_a_worker_that_keeps_up_says_so_and_what_it_did(
    meters: Testbed, look: Look, size: str
) -> None:
    """Counted from the same records as the metrics; refused ones are told with their reason."""
    with meters.worker() as worker:
        worker.ready()
        meters.cluster.produce(meters.meters(200))
        bad = "<img src=x onerror=alert(1)>"
        meters.cluster.produce([Sent(meters.topics[0], bad.encode(), b"<b>key</b>")])
        worker.until("all is done", meters.drained)
        worker.until("it is told", lambda: status(worker)["dead_letters"]["last_ten_minutes"], 15.0)
        told = status(worker)
        done = 2.0 * sum(sum(filter(None, each)) for each in told["throughput"].values())
        assert done == pytest.approx(201, abs=1)
        assert told["model_version"] == meters.usecase.champion.rpartition("/")[2]
        (letter,) = told["dead_letters"]["latest"]
        assert (letter["topic"], letter["reason"]) == (meters.topics[0], "invalid-json")
        page = look(f"http://127.0.0.1:{worker.port}/", size)
        assert page.inner_text("#sentence") in (
            "All is well",
            "The worker is behind by some seconds",
        )
        assert "invalid-json" in page.inner_text("#rest")
        assert page.locator("#partitions tbody th[scope=row]").count() == sum(
            each.partitions for each in meters.usecase.topics
        )
        assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
        page.click("footer a:has-text('Runbook')")
        page.wait_for_selector("#streamapplag")
        assert worker.get("/metrics")[0] == 200


def test_redis_away_is_the_first_line_and_goes_when_it_is_back(
    cluster: Cluster, own_redis: LocalRedis, look: Look, tmp_path: "Path"
) -> None:
    """Meanwhile the lag grows on the page, and nothing has to be loaded anew."""
    testbed = Testbed(regression, tmp_path, cluster, own_redis.url)
    with testbed.worker() as worker:
        worker.ready()
        page = look(f"http://127.0.0.1:{worker.port}/", "phone")
        eventually("it is well", lambda: page.get_attribute("#verdict", "class") == "ok")
        own_redis.kill()
        testbed.cluster.produce(testbed.meters(50))
        eventually("it is told", lambda: "waits for redis" in page.inner_text("#sentence"))
        assert "StreamAppWaitingForService" in page.inner_text("#advice")
        eventually("it lasts", lambda: "(5 s)" in page.inner_text("#facts"))
        eventually(
            "the lag grows",
            lambda: max(each["seconds"] for each in status(worker)["partitions"]) > 5.0,
        )
        own_redis.start()
        eventually("it is well again", lambda: "waits" not in page.inner_text("#sentence"))
        eventually("it is told", lambda: "redis is back after" in page.inner_text("#rest"))
        worker.until("all is done", testbed.drained)


def test_work_that_is_stuck_is_named_with_its_stage_and_offsets(
    cluster: Cluster, look: Look, tmp_path: "Path"
) -> None:
    """While it is stuck, so from the thread of the page, and with a lag that rises."""
    testbed = Testbed(hostile, tmp_path, cluster, "redis://127.0.0.1:1/0")
    with testbed.worker(work_deadline_seconds=600.0) as worker:
        worker.ready()
        (topic,) = testbed.topics
        ((_, offset),) = cluster.produce([Sent(topic, hostile.ticket("feature hang"), partition=0)])
        worker.until("it is noticed", lambda: first(worker) == "stuck enrich", 40.0)
        page = look(f"http://127.0.0.1:{worker.port}/")
        assert page.inner_text("#sentence") == (
            f"The work stands still at stage enrich, on {topic}[0] {offset}-{offset}"
        )
        assert "StreamAppGroupStands" in page.inner_text("#advice")
        seconds = [each for each in status(worker)["lag"]["seconds"] if each]
        assert seconds[-1] > 8.0
        assert seconds == sorted(seconds)


def test_a_group_is_shown_from_outside_while_its_worker_is_frozen(
    tickets: Testbed, look: Look
) -> None:
    """By `lag --serve`: the worker's own page cannot answer then."""
    (port,) = free_ports(1)
    environment = {"STREAM_APP_BOOTSTRAP_SERVERS": tickets.cluster.bootstrap}
    group = tickets.usecase.name
    command = [sys.executable, "-m", "stream_app", "lag", group, "--serve", str(port)]
    # The brokers count on it all the while: else nobody would hold its partitions.
    with tickets.worker(session_timeout_seconds=30) as worker:
        tickets.cluster.produce(tickets.tickets(50))
        worker.until("all is done", tickets.drained)
        serving = [*command, "--interval", "0.5"]
        with subprocess.Popen(
            serving, env=environment, stderr=subprocess.PIPE, text=True
        ) as server:
            try:
                assert server.stderr is not None
                lines = [server.stderr.readline().strip() for _ in range(2)]
                assert lines[1] == f"http://127.0.0.1:{port}/ for people"
                page = look(f"http://127.0.0.1:{port}/", "phone")
                eventually("it is well", lambda: page.inner_text("#sentence") == "All is well")
                worker.pause()
                tickets.cluster.produce(tickets.tickets(40))
                eventually("it stalls", lambda: "does not get on" in page.inner_text("#sentence"))
                assert page.get_attribute("#verdict", "class") == "trouble"
                assert "stall" in page.inner_text("#partitions")
                worker.resume()
                eventually(
                    "it is well again", lambda: page.inner_text("#sentence") == "All is well"
                )
            finally:
                server.terminate()


@pytest.mark.parametrize("size", SIZES)
def test_a_partition_that_was_stopped_is_the_first_line(
    meters: Testbed, look: Look, size: str
) -> None:
    """By the flood breaker: which one, from which offset on, and what to do."""
    topic = meters.topics[1]
    with meters.worker(flood_poison_in_a_row=20, flood_retry_seconds=60) as worker:
        meters.cluster.produce(meters.meters(100))
        worker.until("the beginning is taken", meters.drained)
        meters.cluster.produce([Sent(topic, b"{}", b"k", 1) for _ in range(200)])
        worker.until("it is told", lambda: first(worker) == f"stopped {topic}[1]")
        (stop,) = status(worker)["stopped_partitions"]
        page = look(f"http://127.0.0.1:{worker.port}/", size)
        assert page.inner_text("#sentence").endswith(f"nothing is taken of {topic}[1]")
        assert f"from offset {stop['offset']:,} on" in page.inner_text("#facts")
        assert "StreamAppFloodStop" in page.inner_text("#advice")
        assert f"{topic}[1] is stopped at offset {stop['offset']}" in page.inner_text("#rest")
        page.click("#advice a")
        page.wait_for_selector("#streamappfloodstop:target")


@pytest.mark.parametrize("size", SIZES)
def test_two_workers_of_one_host_are_one_page_that_says_who_holds_what(
    meters: Testbed, look: Look, size: str
) -> None:
    """Under the names that they have in the log, and to the brokers; one that does not answer is missed, and comes back."""
    command = ("-m", "stream_app", "run", "--workers", "2")
    with meters.worker(command=command) as worker:
        worker.ready()
        meters.cluster.produce(meters.meters(100))
        worker.until("all is done", meters.drained)
        page = look(f"http://127.0.0.1:{worker.port}/", size)
        names = [each["name"] for each in status(worker)["workers"]]
        assert len(set(names)) == 2
        for name in names:
            assert f"worker={name}" in worker.log
            assert name in page.inner_text("[aria-label='Workers of this host']")
        eventually("each holds a half", lambda: holders(page) == ["1", "2"], 30.0)
        assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
        pid = int(names[0].rpartition(":")[2])
        os.kill(pid, signal.SIGSTOP)  # one that is ended is back before a busy machine shows it
        eventually(
            "it is missed", lambda: "Worker 1 does not answer" in page.inner_text("#verdict"), 30.0
        )
        os.kill(pid, signal.SIGKILL)
        eventually(
            "another one is there",
            lambda: status(worker)["workers"][0]["name"] not in {None, names[0]},
            60.0,
        )
        eventually(
            "it is not missed any more",
            lambda: "does not answer" not in page.inner_text("#verdict"),
            30.0,
        )


def holders(page: "Page") -> list[str]:
    """Which workers hold partitions, as the page says."""
    return sorted(
        {each.strip() for each in page.locator("#partitions td.holder").all_inner_texts()}
    )
