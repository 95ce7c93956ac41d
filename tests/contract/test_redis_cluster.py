"""A store on a Redis Cluster of real nodes, while the cluster changes under it."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from stream_app.features.stores import (
    Progress,
    StateLostError,
    StateWrite,
    Store,
    StoreMismatchError,
    StoreUnavailableError,
)
from stream_app.features.stores.redis import RedisStore, client_of, default_buckets
from stream_app.local import LocalRedis
from stream_app.local.ports import free_ports
from tests.contract.test_store import METHODS, put, sources, value
from tests.redis_cluster import LocalRedisCluster
from tests.services import missing
from tests.unit.features.builders import FEATURES

BUCKETS = 16
ENTITIES = [f"e{n}" for n in range(200)]

_T = TypeVar("_T")


def open_on(url: str, **options: Any) -> RedisStore:
    """A store of the application on a cluster."""
    return RedisStore(
        client_of(url, timeout_seconds=1.0),
        FEATURES,
        "app",
        buckets=BUCKETS,
        **options,  # type: ignore[arg-type]
    )


@pytest.fixture
def store(redis_cluster: LocalRedisCluster) -> Iterator[RedisStore]:
    """A store that is empty at first."""
    store = open_on(redis_cluster.url)
    yield store
    store.close()


@pytest.fixture
def replicated(request: pytest.FixtureRequest) -> Iterator[LocalRedisCluster]:
    """Three primaries, each with a replica, for a test that breaks some of them."""
    if request.config.getoption("--services") == "none":
        pytest.skip("needs a Redis Cluster, and --services=none was given")
    cluster = LocalRedisCluster(replicas=1)
    try:
        cluster.start()
    except Exception as error:  # noqa: BLE001  whatever it is, it is the reason
        missing(f"Redis Cluster (local) cannot be started: {error}")
    yield cluster
    cluster.stop()


def patiently(call: Callable[[], _T], seconds: float = 20.0) -> _T:
    """What a worker does: the same call until the store is there again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except StoreUnavailableError:
            if time.monotonic() > deadline:
                raise


def written(store: Store, version: int, known: int, end: int) -> None:
    """One batch: every entity one version further, and one source's progress."""
    writes = [StateWrite(0, e, version - 1, value(version)) for e in ENTITIES]
    assert store.write(writes, [Progress(1, known, end)]) == []


def versions(store: Store, known: int) -> set[bytes]:
    """All states there are."""
    (pairs, *_) = store.read([ENTITIES, [], []], [Progress(1, known, known)])
    assert len(pairs) == len(ENTITIES)
    return {packed for _, packed in pairs}


def test_the_default_number_of_buckets_reaches_every_node(
    store: RedisStore, redis_cluster: LocalRedisCluster
) -> None:
    """Each of three nodes has states, and none has half of them."""
    assert default_buckets(redis_cluster.url) == BUCKETS
    assert default_buckets("redis://localhost:6379/0") == 1
    put(store, *ENTITIES)
    held = [redis_cluster.ask(node, "DBSIZE") for node in redis_cluster.nodes]
    assert sum(held) == len(ENTITIES)
    assert all(0 < count < len(ENTITIES) * 0.6 for count in held), held


@pytest.mark.parametrize("frozen", range(3))
def test_nodes_are_asked_side_by_side(
    store: RedisStore, redis_cluster: LocalRedisCluster, frozen: int
) -> None:
    """While one node keeps its answer back, all others have been asked already."""
    put(store, *ENTITIES)
    patient = RedisStore(
        client_of(redis_cluster.url, timeout_seconds=30.0), FEATURES, "app", buckets=BUCKETS
    )
    versions_before = patient.read([ENTITIES, [], []])
    late, *others = [redis_cluster.nodes[(frozen + n) % 3] for n in range(3)]

    def asked(node: LocalRedis) -> int:
        return int(redis_cluster.ask(node, "INFO", "commandstats")["cmdstat_mget"]["calls"])

    before = [asked(node) for node in others]
    late.pause()
    try:
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(patient.read, [ENTITIES, [], []])
            redis_cluster.wait(
                lambda: all(asked(n) > b for n, b in zip(others, before, strict=True))
            )
            assert not reading.done()
            late.resume()
            assert reading.result(20.0) == versions_before
    finally:
        late.resume()
    patient.close()


@pytest.mark.parametrize("bucket", [0, 5])
def test_states_whose_slot_moves_are_followed(
    store: RedisStore, redis_cluster: LocalRedisCluster, bucket: int
) -> None:
    """While a slot's keys are in two places the store waits; then it goes where they went."""
    store.register(sources(3))
    written(store, 1, -1, 10)
    tag = f"{{app:{bucket}}}"
    before = redis_cluster.owner(tag)
    to = next(node for node in redis_cluster.nodes if node is not before)
    redis_cluster.begin_move(tag, to)
    marks = f"{tag}:0:marks"
    redis_cluster.ask(before, "MIGRATE", "127.0.0.1", to.port, marks, 0, 5_000)
    with pytest.raises(StoreUnavailableError, match="Redis cannot serve"):
        written(store, 2, 10, 11)
    assert store.marks() == [{1: 10}] * 3  # a single key is asked for where it is
    redis_cluster.finish_move(tag, to)
    assert redis_cluster.owner(tag) is to
    written(store, 2, 10, 11)
    assert versions(store, 11) == {value(2)}


def test_a_node_that_lost_everything_is_noticed(
    store: RedisStore, redis_cluster: LocalRedisCluster
) -> None:
    """Whichever it is; sources keep their numbers, and nothing of the other nodes is forgotten."""
    ids = store.register(sources(4))
    for node in redis_cluster.nodes:
        put(store, *ENTITIES)
        store.write([], [Progress(source, -1, 7) for source in ids])
        redis_cluster.ask(node, "FLUSHALL")
        with pytest.raises(StateLostError):
            store.read([ENTITIES, [], []], [Progress(ids[0], 7, 7)])
        store.reopen()
        assert store.register(sources(4)) == ids
        assert store.marks() == [{}, {}, {}]
        assert 0 < len(store.read([ENTITIES, [], []])[0]) < len(ENTITIES)
        redis_cluster.flush()
        store.register(sources(4))


def test_a_killed_primary_is_waited_for_and_its_replica_found(
    replicated: LocalRedisCluster,
) -> None:
    """The worker's call is repeated until the replica serves; the old primary may come back."""
    store = open_on(replicated.url)
    store.register(sources(1))
    written(store, 1, -1, 10)
    key = "{app:0}:generation"
    victim = replicated.owner(key)
    assert replicated.ask(victim, "WAIT", 1, 5_000) >= 1
    victim.kill()
    with pytest.raises(StoreUnavailableError):
        written(store, 2, 10, 11)
    patiently(lambda: written(store, 2, 10, 11))
    assert replicated.owner(key) is not victim
    victim.start()
    replicated.wait(replicated.healthy)
    assert patiently(lambda: versions(store, 11)) == {value(2)}
    patiently(lambda: written(store, 3, 11, 12))
    store.close()


def test_an_ordered_failover_loses_nothing(replicated: LocalRedisCluster) -> None:
    """Batches go on while each primary hands over to its replica."""
    store = open_on(replicated.url)
    done = threading.Event()

    def work() -> int:
        version = 0
        while not done.is_set() or version < 2:
            version += 1
            patiently(lambda version=version: written(store, version, version - 2, version - 1))  # type: ignore[misc]
        return version

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        try:
            for primary, replica in zip(replicated.nodes[:3], replicated.nodes[3:], strict=True):
                replicated.ask(replica, "CLUSTER", "FAILOVER")
                replicated.wait(
                    lambda replica=replica: replicated.ask(replica, "ROLE")[0] == b"master"
                )  # type: ignore[misc]
                assert primary.is_running
        finally:
            done.set()
        last = working.result(60.0)
    assert versions(store, last - 1) == {value(last)}
    store.close()


def test_a_failover_that_loses_acknowledged_writes_is_noticed(
    replicated: LocalRedisCluster,
) -> None:
    """The replica did not have the last batch: whoever needs it is told, not served without."""
    store = open_on(replicated.url)
    written(store, 1, -1, 10)
    key = "{app:0}:generation"
    victim = replicated.owner(key)
    assert replicated.ask(victim, "WAIT", 1, 5_000) >= 1
    replica = replicated.nodes[3 + replicated.nodes.index(victim)]
    replica.pause()
    replicated.ask(victim, "CLIENT", "KILL", "TYPE", "replica")
    written(store, 2, 10, 11)
    victim.kill()
    replica.resume()
    with pytest.raises(StateLostError, match="source 1 is applied through offset 10, 11 was"):
        patiently(lambda: versions(store, 11))
    assert store.marks() == [{1: 10}] * 3
    # Read again from the mark: what is not there any more is merged, what is there is not lost.
    lost = store.write([StateWrite(0, e, 2, value(3)) for e in ENTITIES], [Progress(1, 10, 11)])
    assert lost
    assert {present for _, present in lost} == {value(1)}
    store.close()


@pytest.mark.parametrize("method", METHODS)
def test_a_cluster_that_cannot_be_reached(method: str) -> None:
    """Is an absence; to make the store was none yet."""
    ports = free_ports(2)
    store = open_on("redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports))
    with pytest.raises(StoreUnavailableError, match="Redis is away"):
        METHODS[method](store)


def test_a_cluster_of_which_one_named_node_answers(redis_cluster: LocalRedisCluster) -> None:
    """Is enough: it names the others."""
    (port,) = free_ports(1)
    store = open_on(f"redis+cluster://127.0.0.1:{port},{redis_cluster.nodes[1].address}")
    put(store, *ENTITIES)
    assert len(store.read([ENTITIES, [], []])[0]) == len(ENTITIES)
    store.close()


def test_a_server_that_is_no_cluster_says_so(redis_url: str) -> None:
    """A URL of a cluster that names a single server is refused, with the scheme to write."""
    store = open_on(redis_url.replace("redis://", "redis+cluster://").removesuffix("/0"))
    with pytest.raises(StoreMismatchError, match=r"write redis://"):
        store.marks()
