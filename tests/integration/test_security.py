"""The worker against a broker with TLS, SCRAM passwords and permissions, by settings alone."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka.admin import AclBindingFilter, AdminClient

from stream_app.local import Acl, LocalKafka, SaslSsl
from tests.integration.conftest import NO_REDIS
from tests.integration.hand import Hand
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster
from tests.services import choose
from tests.usecases import text

PASSWORD = "hunter2-do-not-show"
WRONG = "hunter3-wrong-and-secret"


@pytest.fixture(scope="module")
def broker(request: pytest.FixtureRequest) -> Iterator[LocalKafka]:
    """Run a broker where `worker` may do what a worker does, and nothing else."""
    if choose(request.config.getoption("--services")) != "local":
        pytest.skip("a broker with TLS runs as a local child process only")
    security = SaslSsl(
        users={"worker": PASSWORD, "operator": PASSWORD},
        acls=[
            Acl("worker", "READ", "TOPIC", "tickets.written", prefixed=True),
            Acl("worker", "READ", "GROUP", "tickets", prefixed=True),
            Acl("worker", "WRITE", "TOPIC", "tickets.routed", prefixed=True),
            Acl("worker", "WRITE", "TOPIC", "tickets.dead-letters", prefixed=True),
            Acl("operator", "READ", "TOPIC", "tickets.", prefixed=True),
            Acl("operator", "WRITE", "TOPIC", "tickets.written", prefixed=True),
            Acl("operator", "READ", "GROUP", "tickets", prefixed=True),
        ],
    )
    with LocalKafka(security=security) as service:
        yield service


@pytest.fixture
def secured(broker: LocalKafka, tmp_path: Path) -> Iterator[Testbed]:
    """The text classifier on it."""
    properties = broker.client_config("worker")
    kafka = {
        name: properties[name]
        for name in ("security.protocol", "sasl.mechanisms", "ssl.ca.location")
    }
    settings = {"kafka": json.dumps(kafka), "sasl_username": "worker", "sasl_password": PASSWORD}
    with closing(Cluster(broker.bootstrap, broker.client_config())) as cluster:
        yield Testbed(text, tmp_path, cluster, NO_REDIS, settings)


def test_a_worker_with_least_permissions_predicts(secured: Testbed) -> None:
    """Reading its topics and group and writing its two topics is all it needs."""
    secured.cluster.produce(secured.tickets(300))
    with secured.worker() as worker:
        worker.ready().until("the backlog is drained", secured.drained)
        assert worker.metric("stream_app_consumer_lag_records") == 0
        assert PASSWORD not in worker.log
        assert worker.stop() == 0, worker.log
    secured.check_nothing_lost(once=True)


def test_a_wrong_password_is_named_and_nothing_is_lost(secured: Testbed) -> None:
    """The log says why, and never the password; the right one then finds everything there."""
    secured.cluster.produce(secured.tickets(60))
    with secured.worker(sasl_password=WRONG) as worker:
        worker.until("the log names the cause", lambda: "uthentication failed" in worker.log)
        status, why = worker.get("/readyz")
        assert status == 503, why
        assert worker.stop() == 0, worker.log
        assert WRONG not in worker.log
        assert PASSWORD not in worker.log
    assert not any(secured.cluster.committed(secured.usecase.name, *secured.topics).values())
    with secured.worker() as worker:
        worker.until("the backlog is drained", secured.drained)
    secured.check_nothing_lost(once=True)


def test_an_audit_says_why_it_has_no_connection(secured: Testbed) -> None:
    """A wrong password at once, with status 3; a broker that is not there after some seconds."""
    command = ("-m", "stream_app", "audit")
    with secured.worker(command=command, sasl_password=WRONG) as audit:
        assert audit.wait() == 3, audit.log
        assert "uthentication failed" in audit.log
        assert "check user name, password" in audit.log
        assert WRONG not in audit.log
    with secured.worker(command=command, bootstrap_servers="localhost:1") as audit:
        assert audit.wait() == 3, audit.log
        assert "localhost:1" in audit.log
        assert "Connection refused" in audit.log


def test_without_the_right_to_write_predictions_it_does_not_begin(secured: Testbed) -> None:
    """The worker names topic and right, ends with status 2 and has committed nothing."""
    secured.cluster.produce(secured.tickets(60))
    forbidden = "forbidden.predictions"
    secured.cluster.create_topic(forbidden)
    with (
        secured.worker(refusal_seconds=2)
        .environment(TEST_PREDICTIONS_TOPIC=forbidden) as worker
    ):  # fmt: skip
        assert worker.wait() == 2, worker.log
        last = worker.last_words
        assert forbidden in last
        assert "grant" in last
        assert "Traceback" not in worker.log
    assert not any(secured.cluster.committed(secured.usecase.name, *secured.topics).values())
    with secured.worker() as worker:
        worker.until("the backlog is drained", secured.drained)
    secured.check_nothing_lost(once=True)


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_a_right_withdrawn_while_it_runs_ends_it(
    broker: LocalKafka, secured: Testbed, delivery: str
) -> None:
    """With a sentence and status 1, when it was refused for long enough; nothing is lost."""
    admin = AdminClient(broker.client_config())
    right = Acl("worker", "WRITE", "TOPIC", secured.usecase.predictions_topic)
    prefix = Acl("worker", "WRITE", "TOPIC", "tickets.routed", prefixed=True)
    transactions = Acl("worker", "WRITE", "TRANSACTIONAL_ID", "tickets", prefixed=True)
    _create(admin, right, transactions)
    _delete(admin, prefix)
    try:
        with secured.worker(delivery=delivery, refusal_seconds=2) as worker:
            worker.ready()
            secured.cluster.produce(secured.tickets(60))
            worker.until("the backlog is drained", secured.drained)
            _delete(admin, right)
            secured.cluster.produce(secured.tickets(60))
            assert worker.wait() == 1, worker.tail()
            last = worker.last_words
            assert secured.usecase.predictions_topic in last
            assert "grant" in last
            assert "Traceback" not in worker.log
        _create(admin, prefix)
        with secured.worker(delivery=delivery) as worker:
            worker.until("the backlog is drained", secured.drained)
        secured.check_nothing_lost(once=True)
    finally:
        _create(admin, prefix)


def test_a_missing_right_on_the_topic_of_resolutions_is_a_sentence(
    broker: LocalKafka, secured: Testbed
) -> None:
    """Create where it is missing, Write where it is there; status 2, and nothing is replayed."""
    hand = Hand(secured)
    hand.send(3)
    hand.bury([0, 1, 2])
    resolutions = f"{secured.usecase.name}.dead-letter-resolutions"

    def told() -> str:
        line = ("-m", "stream_app", "dlq", "replay", "--everything", "--yes", "--untried")
        with secured.worker(command=line, sasl_username="operator") as operator:
            assert operator.wait() == 2, operator.log
            assert "Traceback" not in operator.log
            return " ".join(operator.log.split())

    assert (
        f"topic {resolutions}, for the resolutions of dead letters, is not there and may not"
        in (missing := told())
    )
    assert "grant whoever replays Create on it" in missing
    secured.cluster.create_topic(resolutions)
    assert (
        f"the resolutions of dead letters may not be written to topic {resolutions}: grant whoever "
        "replays Write on it" in told()
    )
    assert len(secured.cluster.read(hand.topic)) == 3
    rights = (
        Acl("operator", "WRITE", "TOPIC", resolutions),
        Acl("operator", "READ", "GROUP", secured.usecase.name),
        Acl("operator", "WRITE", "TRANSACTIONAL_ID", secured.usecase.name, prefixed=True),
    )
    _create(AdminClient(broker.client_config()), *rights)
    line = ("-m", "stream_app", "dlq", "replay", "--everything", "--yes", "--untried")
    with secured.worker(command=line, sasl_username="operator") as operator:
        assert operator.wait() == 0, operator.log
    assert len(secured.cluster.read(hand.topic)) == 6


def _create(admin: AdminClient, *acls: Acl) -> None:
    for done in admin.create_acls([acl.binding() for acl in acls]).values():
        done.result()


def _delete(admin: AdminClient, acl: Acl) -> None:
    binding = acl.binding()
    one = AclBindingFilter(
        binding.restype, binding.name, binding.resource_pattern_type, binding.principal,
        binding.host, binding.operation, binding.permission_type,
    )  # fmt: skip
    for done in admin.delete_acls([one]).values():
        assert done.result()


def test_who_may_not_write_resolutions_replays_nothing(secured: Testbed) -> None:
    """The sentence names the topic and the right; nothing is sent."""
    settings = {"replay_secret": "correct-horse-battery", "sasl_username": "operator"}
    line = ("-m", "stream_app", "dlq", "replay", "--everything", "--yes")
    with secured.worker(command=line, **settings) as command:
        assert command.wait() == 2, command.log
        told = " ".join(command.log.split())
    assert f"topic {secured.usecase.name}.dead-letter-resolutions, for the resolutions of" in told
    assert "grant whoever replays Create on it" in told
