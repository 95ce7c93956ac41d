"""How a worker ends that is told to, or that cannot go on: by which status, and what it says last."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stream_app.local import Acl, LocalKafka, SaslSsl
from tests.integration.conftest import NO_REDIS
from tests.integration.testbed import Testbed
from tests.integration.worker import ROOT, Cluster, Worker, eventually
from tests.services import choose
from tests.usecases import text

PASSWORD = "hunter2-do-not-show"
WRONG = "hunter3-wrong-and-secret"


@pytest.fixture(scope="module")
def broker(request: pytest.FixtureRequest) -> Iterator[LocalKafka]:
    """A broker with TLS where `worker` may do what a worker does, and `stranger` nothing."""
    if choose(request.config.getoption("--services")) != "local":
        pytest.skip("a broker with TLS runs as a local child process only")
    acls = [
        Acl("worker", "READ", "TOPIC", "tickets.written", prefixed=True),
        Acl("worker", "READ", "GROUP", "tickets", prefixed=True),
        Acl("worker", "WRITE", "TOPIC", "tickets.", prefixed=True),
    ]
    users = {"worker": PASSWORD, "stranger": PASSWORD}
    with LocalKafka(security=SaslSsl(users=users, acls=acls)) as service:
        yield service


@pytest.fixture
def testbed(broker: LocalKafka, tmp_path: Path) -> Iterator[Testbed]:
    """The text classifier on it."""
    properties = broker.client_config("worker")
    kafka = {
        name: properties[name]
        for name in ("security.protocol", "sasl.mechanisms", "ssl.ca.location")
    }
    settings = {
        "kafka": json.dumps(kafka),
        "sasl_username": "worker",
        "sasl_password": PASSWORD,
        "refusal_seconds": 2,
    }
    with closing(Cluster(broker.bootstrap, broker.client_config())) as cluster:
        yield Testbed(text, tmp_path, cluster, NO_REDIS, settings)


def last_words(worker: Worker, status: int) -> str:
    """The one line that a worker ended with by itself, and no noise of a crash behind it."""
    assert worker.wait(60.0) == status, worker.tail()
    lines = [line for line in worker.log.splitlines() if " librdkafka " not in line]
    critical = [line for line in lines if " CRITICAL " in line]
    assert len(critical) == 1, worker.tail()
    behind = lines[lines.index(critical[0]) + 1 :]
    assert all(line.split()[1:2] == ["INFO"] for line in behind), worker.tail()
    assert "Traceback" not in worker.log
    assert PASSWORD not in worker.log
    assert WRONG not in worker.log
    return critical[0]


def test_a_wrong_password_ends_the_worker_once_it_is_believed(testbed: Testbed) -> None:
    """Probes are told before; the brokers only let each request time out."""
    with testbed.worker(sasl_password=WRONG) as worker:
        worker.until(
            "the probe says why", lambda: "uthentication failed" in worker.get("/readyz")[1]
        )
        last = last_words(worker, 1)
    assert testbed.cluster.bootstrap in last
    assert "check user name, password and sasl.mechanism" in last


def test_an_authority_that_did_not_sign_the_brokers_certificate(
    testbed: Testbed, tmp_path: Path
) -> None:
    """TLS is named, with the property."""
    import trustme

    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    kafka = json.loads(str(testbed.settings["kafka"])) | {"ssl.ca.location": str(other)}
    with testbed.worker(kafka=json.dumps(kafka)) as worker:
        last = last_words(worker, 1)
    assert "certificate verify failed" in last
    assert "ssl.ca.location" in last


def test_a_right_that_is_missing_is_a_wrong_setting_of_the_start(testbed: Testbed) -> None:
    """Found when all was reached once, before the group was joined."""
    with testbed.worker(sasl_username="stranger") as worker:
        last = last_words(worker, 2)
        assert "assigned" not in worker.log
    assert testbed.topics[0] in last
    assert "grant the worker its rights on the topic" in last


def test_a_topic_of_events_that_does_not_exist(testbed: Testbed) -> None:
    """It is named, and what to do; the start does not count as one that got nowhere."""
    testbed.cluster.delete_topic(testbed.topics[0])
    with testbed.worker() as worker:
        worker.until("the probe says why", lambda: "nknown topic" in worker.get("/readyz")[1])
        last = last_words(worker, 2)
    assert "tickets.written" in last
    assert "create the topic, or correct its name" in last


def test_faust_s_own_command_ends_in_the_same_way(testbed: Testbed) -> None:
    """With the same line and status; and Faust's variables do nothing there either."""
    command = ("-m", "faust", "-A", "stream_app.worker.app", "worker")
    variables = {"APP_VERSION": "1.4.2", "BROKER_URL": "kafka://localhost:9092", "TIMEZONE": "X"}
    with testbed.worker(command=command, sasl_username="stranger").environment(
        **variables
    ) as worker:
        assert testbed.topics[0] in last_words(worker, 2)


def test_a_renewed_authority_ends_the_worker_in_order(testbed: Testbed, tmp_path: Path) -> None:
    """What is in flight is finished, and the next start takes the new file."""
    import trustme

    kafka = json.loads(str(testbed.settings["kafka"]))
    mounted = tmp_path / "mounted.pem"
    right = Path(kafka["ssl.ca.location"]).read_bytes()
    mounted.write_bytes(right)
    kafka["ssl.ca.location"] = str(mounted)
    with testbed.worker(kafka=json.dumps(kafka)) as worker:
        worker.ready()
        testbed.cluster.produce(testbed.tickets(300))
        worker.until("the backlog is drained", testbed.drained)
        mounted.write_bytes(right + trustme.CA().cert_pem.bytes())
        last = last_words(worker, 1)
        assert f"ssl.ca.location ({mounted}) has changed" in last
        worker.start()
        worker.ready()
        assert worker.stop() == 0, worker.tail()
    testbed.check_nothing_lost(once=True)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_a_stop_while_brokers_are_not_reached_is_no_failure(testbed: Testbed, silent: int) -> None:
    """The wait has the address in it, and the end comes at once: there is no group to leave."""
    for address, protocol, seen in (
        (f"127.0.0.1:{silent}", "PLAINTEXT", str(silent)),
        ("nowhere.invalid:9092", "PLAINTEXT", "Failed to resolve"),
        (testbed.cluster.bootstrap, "PLAINTEXT", testbed.cluster.bootstrap),
    ):
        properties = {"security.protocol": protocol, "api.version.request.timeout.ms": 1000}
        with testbed.worker(bootstrap_servers=address, kafka=json.dumps(properties)) as worker:
            worker.until(
                "the probe has the address", lambda w=worker, s=seen: s in w.get("/readyz")[1]
            )
            began = time.monotonic()
            assert worker.stop() == 0, worker.tail()
            assert time.monotonic() - began < 6.0
            assert "CRITICAL" not in worker.log
            assert "Traceback" not in worker.log


def test_sigterm_at_any_moment_of_a_start_ends_it(testbed: Testbed) -> None:
    """Also as process 1, which the kernel spares signals that it has no handler for."""
    unshare = ["unshare", "--pid", "--fork", "--kill-child"]
    alone = subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0
    for seconds in (0.6, 1.2, 2.4):
        worker = testbed.worker(bootstrap_servers="127.0.0.1:1", kafka="{}")
        process = subprocess.Popen(
            [*(unshare if alone else []), sys.executable, "-m", "stream_app", "run"],
            env=worker._environment | {"TEST_TOPIC_SUFFIX": testbed.suffix},
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        try:
            if alone:
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
                pid = int(eventually("it has begun", lambda c=children: c.read_text().split())[0])
            else:
                pid = process.pid
            handled = eventually("it heeds SIGTERM", lambda p=pid: _heeds_sigterm(p))
            assert handled
            time.sleep(seconds)  # the moment is what is tried
            os.kill(pid, signal.SIGTERM)
            _, said = process.communicate(timeout=20)
            assert process.returncode == 0, said.decode()
            assert b"Traceback" not in said
        finally:
            process.kill()


def _heeds_sigterm(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught & (1 << (signal.SIGTERM - 1)))
