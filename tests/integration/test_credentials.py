"""A password that changes while the worker runs, at a broker that asks for certificates as well."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trustme
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports silently
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from stream_app.local import LocalKafka, SaslSsl
from tests.integration.conftest import NO_REDIS
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster
from tests.usecases import text

OLD, NEW = "hunter2-do-not-show", "hunter4-do-not-show"
AUTHORITY = trustme.CA()


@pytest.fixture(scope="module")
def broker(local_only: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """It asks clients for a certificate and a password, and for the password every few seconds."""
    trusted = tmp_path_factory.mktemp("trusted") / "clients.pem"
    AUTHORITY.cert_pem.write_to_path(str(trusted))
    properties = {
        "listener.name.clients.ssl.client.auth": "required",
        "listener.name.clients.ssl.truststore.type": "PEM",
        "listener.name.clients.ssl.truststore.location": str(trusted),
        "listener.name.clients.connections.max.reauth.ms": "3000",
        "super.users": "User:admin;User:worker;User:ANONYMOUS",
    }
    with LocalKafka(security=SaslSsl(users={"worker": OLD}), properties=properties) as service:
        yield service


def issue(folder: Path) -> dict[str, str]:
    """Write a client's certificate and its key."""
    made = AUTHORITY.issue_cert("worker.invalid")
    files = {"ssl.certificate.location": "worker.pem", "ssl.key.location": "worker.key"}
    (folder / "worker.pem").write_bytes(b"".join(p.bytes() for p in made.cert_chain_pems))
    (folder / "worker.key").write_bytes(made.private_key_pem.bytes())
    return {name: str(folder / file) for name, file in files.items()}


def change_password(broker: LocalKafka, password: str) -> None:
    """As an administrator does."""
    admin = AdminClient({"bootstrap.servers": broker.internal})
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    change = UserScramCredentialUpsertion("worker", info, password.encode())
    admin.alter_user_scram_credentials([change])["worker"].result()


@pytest.fixture
def testbed(broker: LocalKafka, tmp_path: Path) -> Iterator[Testbed]:
    """The text classifier on it."""
    properties = broker.client_config("worker")
    kept = ("security.protocol", "sasl.mechanisms", "ssl.ca.location")
    kafka = {**{name: properties[name] for name in kept}, **issue(tmp_path)}
    settings = {
        "bootstrap_servers": broker.bootstrap,
        "kafka": json.dumps(kafka),
        "sasl_username": "worker",
        "sasl_password": OLD,
        "refusal_seconds": 3,
    }
    with closing(Cluster(broker.internal)) as cluster:
        yield Testbed(text, tmp_path, cluster, NO_REDIS, settings)


def test_a_password_that_is_changed_while_it_runs_ends_the_worker(
    broker: LocalKafka, testbed: Testbed
) -> None:
    """With a sentence and status 1; the next start, with the new one, finds everything there."""
    testbed.cluster.produce(testbed.tickets(30))
    with testbed.worker(delivery="exactly_once") as worker:
        worker.until("the backlog is drained", testbed.drained)
        change_password(broker, NEW)
        try:
            assert worker.wait() == 1, worker.tail()
            assert "uthentication failed" in worker.last_words, worker.tail()
            assert "Traceback" not in worker.log
            testbed.cluster.produce(testbed.tickets(30))
            worker.environment(STREAM_APP_SASL_PASSWORD=NEW).start()
            worker.until("the backlog is drained", testbed.drained)
            assert worker.stop() == 0, worker.tail()
        finally:
            change_password(broker, OLD)
        assert OLD not in worker.log
        assert NEW not in worker.log
    testbed.check_nothing_lost(once=True)
