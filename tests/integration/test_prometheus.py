"""A real Prometheus that scrapes a real worker and a real `lag --serve`: what is asked of it has an answer."""

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from confluent_kafka import Consumer, KafkaException, TopicPartition
from redis import Redis

from stream_app.local import LocalRedis
from stream_app.local.ports import free_ports
from tests.dashboard import queries
from tests.integration.test_positions import delete_records
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Sent, Worker, eventually
from tests.services import missing
from tests.usecases import falling_back, regression

_DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = _DEPLOY / "prometheus" / "alerts.yml"
SLOW = {
    "StreamAppGroupLag", "StreamAppLag", "StreamAppLatencyBurnsFast", "StreamAppLatencyBurnsSlowly",
}  # fmt: skip
"""What records tell that were sent some minutes ago, as their timestamps say."""
SCALED = _DEPLOY / "kubernetes" / "components" / "scaling" / "scaled-object.yaml"


class Prometheus:
    """One that runs, on this port."""

    lag: "subprocess.Popen[bytes]"
    """What it scrapes besides the worker: `lag --serve`."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}/api/v1"

    def get(self, path: str, **arguments: str) -> Any:
        """What it answers; None while it does not."""
        url = f"{self._address}/{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def series(self, expression: str) -> list[Any]:
        """The series that an expression gives now."""
        found: list[Any] = (self.get("query", query=expression) or {}).get("result", [])
        return found

    def ringing(self) -> set[str]:
        """Names of alerts whose expression holds, whether or not it has held for long enough."""
        alerts = (self.get("alerts") or {}).get("alerts", [])
        return {each["labels"]["alertname"] for each in alerts}


@contextmanager
def prometheus(folder: Path, jobs: dict[str, int]) -> Iterator[Prometheus]:
    """Scrapes these ports every second, with the rules as they are deployed."""
    binary = shutil.which("prometheus")
    if binary is None:
        missing("needs Prometheus, which is not installed (Debian: apt-get install prometheus)")
    (port,) = free_ports(1)
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{served}"]}]}
            for job, served in jobs.items()
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [
        binary, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (folder / "prometheus.log").open("w") as log, subprocess.Popen(command, stderr=log) as it:
        try:
            yield Prometheus(port)
        finally:
            it.terminate()


@contextmanager
def watched(testbed: Testbed, worker: Worker, folder: Path) -> Iterator[Prometheus]:
    """Prometheus for a worker and for `lag --serve` of its group."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "stream_app", "lag", testbed.usecase.name]
    command += ["--serve", str(port), "--interval", "1"]
    environment = {"STREAM_APP_BOOTSTRAP_SERVERS": testbed.cluster.bootstrap}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as lag:
        try:
            with prometheus(folder, {"stream-app": worker.port, "stream-app-lag": port}) as found:
                found.lag = lag
                eventually("both are scraped", lambda: len(found.series("up == 1")) == 2, 60.0)
                yield found
        finally:
            lag.terminate()


def test_every_panel_has_data_and_every_rule_can_be_evaluated(
    meters: Testbed, tmp_path: Path
) -> None:
    """While real records are predicted and refused; a query with a wrong label would give nothing."""
    with meters.worker() as worker:
        worker.ready()
        with watched(meters, worker, tmp_path) as found:
            answered: dict[str, bool] = {}

            def all_answered() -> bool:
                meters.cluster.produce(meters.meters(20))
                meters.cluster.produce([Sent(meters.topics[0], b"{}", b"k")])
                for title, expression in queries("10s"):
                    if not answered.get(f"{title}: {expression}"):
                        answered[f"{title}: {expression}"] = bool(found.series(expression))
                return all(answered.values())

            eventually("every panel has data", all_answered, 90.0)
            assert len(answered) >= 12
            groups = found.get("rules")["groups"]
            rules = [rule for group in groups for rule in group["rules"]]
            assert {rule["health"] for rule in rules} == {"ok"}
            eventually(
                "the share of slow records is recorded",
                lambda: found.series("stream_app:latency_over_1s:ratio_rate5m"),
                30.0,
            )


def test_what_scales_by_it_gets_one_number_also_while_no_worker_is_left(
    meters: Testbed, tmp_path: Path
) -> None:
    """The queries of KEDA's object, which takes two series for an error: 0 when there is no work, else how much."""
    (scaled,) = yaml.safe_load_all(SCALED.read_text())
    lag, rate = (
        each["metadata"]["query"].replace('"flights"', f'"{meters.usecase.name}"')
        for each in scaled["spec"]["triggers"]
    )
    with meters.worker() as worker:
        worker.ready()
        with watched(meters, worker, tmp_path) as found:

            def number(query: str) -> float | None:
                series = found.series(query)
                assert len(series) <= 1
                return float(series[0]["value"][1]) if series else None

            sent = meters.cluster.produce(meters.meters(60))
            worker.until("all is done", meters.drained)
            eventually("there is no work", lambda: number(lag) == 0.0, 60.0)

            def is_told() -> bool:
                # What was done before the first scrape of the worker is part of no rate.
                meters.cluster.produce(meters.meters(60))
                return (number(rate) or 0.0) > 0.0

            eventually("the rate is told", is_told, 60.0)
            worker.until("all is done", meters.drained)
            worker.stop()
            meters.cluster.produce(meters.meters(60))
            eventually("all of it waits", lambda: number(lag) == len(sent), 60.0)


def test_alerts_ring_for_faults_that_are_made(meters: Testbed, tmp_path: Path) -> None:
    """Refused records, timestamps ahead of the clock, a frozen worker, and its end."""
    with meters.worker(session_timeout_seconds=45, flood_breaker="false") as worker:
        worker.ready()
        with watched(meters, worker, tmp_path) as found:

            def rings(name: str) -> None:
                eventually(f"{name} rings", lambda: name in found.ringing(), 120.0)

            def more() -> None:
                meters.cluster.produce([Sent(meters.topics[0], b"{}", b"k") for _ in range(20)])
                ahead = time.time() + 600.0
                meters.cluster.produce([Sent(meters.topics[1], b"{}", b"k", 0, ahead)])

            def after(name: str) -> None:
                def seen() -> bool:
                    more()
                    return name in found.ringing()

                eventually(f"{name} rings", seen, 60.0)

            eventually("all is quiet", lambda: found.ringing() == set(), 60.0)
            for name in (
                "StreamAppContractBroken",
                "StreamAppDeadLetters",
                "StreamAppClockCorrected",
            ):
                after(name)
            worker.pause()
            meters.cluster.produce(meters.meters(20))
            rings("StreamAppWorkerDown")
            rings("StreamAppGroupStands")
            worker.resume()
            worker.kill()
            rings("StreamAppNoWorker")


def test_alerts_ring_for_mistakes_in_code_and_for_state_that_is_lost(
    cluster: Cluster, own_redis: LocalRedis, tmp_path: Path
) -> None:
    """A function that raises, one that raises for the champion alone, and a store that forgets everything."""
    meters = Testbed(falling_back, tmp_path, cluster, own_redis.url)
    meters.cluster.produce(meters.meters(300))
    with (
        meters.worker(flood_breaker="false") as worker,
        Redis.from_url(own_redis.url) as redis,
    ):
        worker.until("all is done", meters.drained)
        with watched(meters, worker, tmp_path) as found:
            eventually("all is quiet", lambda: found.ringing() <= SLOW, 60.0)

            def rings(name: str, fault: Callable[[], object]) -> None:
                def seen() -> bool:
                    fault()
                    return name in found.ringing()

                eventually(f"{name} rings", seen, 60.0)

            rings("StreamAppBugs", lambda: meters.cluster.produce(_mistaken(meters, "raises")))
            # Where it is to be mended, as the runbook says.
            assert re.search(
                r"dead letter: .*LookupError.*_celsius.*falling_back\.py:\d+", worker.log
            )
            rings(
                "StreamAppFallbackServes",
                lambda: meters.cluster.produce(_mistaken(meters, "champion")),
            )
            reasons = found.series(
                'sum by (degraded) (rate(stream_app_predictions_total{served_by!="champion"}[5m]))'
            )
            assert [each["metric"] for each in reasons] == [{"degraded": "answer-error"}]
            rings(
                "StreamAppStateRebuilding",
                lambda: (redis.flushall(), meters.cluster.produce(meters.meters(30))),
            )
            worker.until("it is rebuilt", lambda: "the state is rebuilt" in worker.log)
            assert "the state is not what it was: " in worker.log
            assert "offsets of their logs; meanwhile " in worker.log


def _mistaken(meters: Testbed, mistake: str) -> list[Sent]:
    """Some records, of which the requests make that mistake."""
    made = []
    for sent in meters.meters(30):
        event = json.loads(sent.value or b"")
        event["event_id"] = f"{mistake} {event['event_id']}"
        made.append(replace(sent, value=json.dumps(event).encode()))
    return made


def test_alerts_ring_for_a_service_that_is_away_and_a_group_that_is_set_back(
    cluster: Cluster, own_redis: LocalRedis, tmp_path: Path
) -> None:
    """Redis goes, records are late, a partition is stopped, records are deleted unread, nobody is left, offsets
    are set back, and nobody looks any more."""
    meters = Testbed(regression, tmp_path, cluster, own_redis.url)
    topic = meters.topics[0]
    meters.cluster.produce([Sent(topic, b"{}", b"k", 0) for _ in range(10)])
    with meters.worker() as worker:
        worker.until("all is done", meters.drained)
        worker.stop()
    # Those that are deleted now were never read.
    meters.cluster.produce([Sent(topic, b"{}", b"k", 0) for _ in range(10)])
    delete_records(meters, topic, 0, 15)
    with (
        meters.worker(flood_poison_in_a_row=30, session_timeout_seconds=10) as worker,
        watched(meters, worker, tmp_path) as found,
    ):

        def rings(name: str) -> None:
            eventually(f"{name} rings", lambda: name in found.ringing(), 120.0)

        worker.ready()
        rings("StreamAppRecordsGone")
        own_redis.kill()
        # Sent five minutes ago, as their timestamps say.
        old = time.time() - 300.0
        meters.cluster.produce(
            [Sent(each.topic, each.value, each.key, timestamp=old) for each in meters.meters(20)]
        )
        rings("StreamAppWaitingForService")
        rings("StreamAppLag")
        rings("StreamAppGroupLag")
        own_redis.start()
        rings("StreamAppLatencyBurnsFast")
        rings("StreamAppLatencyBurnsSlowly")
        meters.cluster.produce([Sent(topic, b"{}", b"k", 0) for _ in range(60)])
        rings("StreamAppFloodStop")
        worker.stop()
        rings("StreamAppGroupAbsent")
        own = {"bootstrap.servers": meters.cluster.bootstrap, "group.id": meters.usecase.name}
        with closing(Consumer(own)) as consumer:
            back = TopicPartition(topic, 0, 15)
            eventually("the group is empty", lambda: _committed(consumer, back), 40.0)
        rings("StreamAppGroupRewound")
        found.lag.terminate()
        rings("StreamAppGroupUnseen")


def _committed(consumer: Consumer, offset: TopicPartition) -> bool:
    """Set an offset of a group that has no members; False while it has one."""
    try:
        consumer.commit(offsets=[offset], asynchronous=False)
    except KafkaException:
        return False
    return True
