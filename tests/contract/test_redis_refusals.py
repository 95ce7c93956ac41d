"""A Redis that refuses: what is wrong is found at start, by name, and nothing is changed by looking."""

from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from stream_app.features.stores import (
    Source,
    StateWrite,
    StoreMismatchError,
    StoreRefusedError,
    StoreUnavailableError,
)
from stream_app.features.stores.redis import RedisStore, client_of
from stream_app.local import LocalRedis
from tests.redis_cluster import LocalRedisCluster
from tests.services import choose
from tests.unit.features.builders import FEATURES

#: What docs/delivery.md says a worker needs.
COMMANDS = [
    "get", "mget", "hmget", "hgetall", "eval", "evalsha", "set", "mset", "hget", "hset", "hincrby",
]  # fmt: skip

WithRights = Callable[..., RedisStore]


@pytest.fixture
def with_rights(redis: Redis, redis_url: str) -> Iterator[WithRights]:
    """A store whose user may do so much and no more."""
    clients: list[Redis] = []

    def make(*commands: str, keys: str = "{app:*", buckets: int = 1) -> RedisStore:
        redis.acl_setuser(
            "limited", enabled=True, nopass=True, reset=True, commands=commands, keys=[keys]
        )
        place = redis_url.replace("redis://", "redis://limited:any@")
        client = client_of(place)
        assert isinstance(client, Redis)
        clients.append(client)
        return RedisStore(client, FEATURES, "app", buckets=buckets)

    yield make
    for client in clients:
        client.close()
    redis.acl_deluser("limited")


@pytest.mark.parametrize("buckets", [1, 3])
def test_the_rights_in_the_docs_are_enough(with_rights: WithRights, buckets: int) -> None:
    """And to look at them changes nothing."""
    store = with_rights(*(f"+{command}" for command in COMMANDS), buckets=buckets)
    store.check_access()
    assert store.marks() == [{}, {}, {}]
    store.read([["a"], ["a"], ["a"]])


def test_the_rights_in_the_docs_are_enough_on_a_cluster(redis_cluster: LocalRedisCluster) -> None:
    """Its topology has to be asked for, too."""
    rights = [*COMMANDS, "command", "cluster|slots", "readonly", "asking"]
    nodes = [Redis.from_url(node.url) for node in redis_cluster.nodes]
    for node in nodes:
        node.acl_setuser(
            "limited", enabled=True, nopass=True, reset=True, keys=["{app:*"],
            commands=[f"+{command}" for command in rights],
        )  # fmt: skip
    client = client_of(
        redis_cluster.url.replace("redis+cluster://", "redis+cluster://limited:any@")
    )
    store = RedisStore(client, FEATURES, "app", buckets=16)
    try:
        store.check_access()
        store.register([])
        assert store.marks() == [{}, {}, {}]
    finally:
        store.close()
        for node in nodes:
            node.acl_deluser("limited")
            node.close()


def test_the_rights_in_the_docs_are_enough_to_rebuild(with_rights: WithRights) -> None:
    """A generation beside the current one is emptied, filled and switched to."""
    store = with_rights(*(f"+{command}" for command in [*COMMANDS, "scan", "unlink"]))
    built = store.successor()
    built.write([StateWrite(0, "a", 0, (1).to_bytes(8, "little"))], [])
    built.activate()
    store.drop()
    assert store.generation == 0
    assert built.generation == 1


def test_looking_changes_nothing(redis: Redis) -> None:
    """Neither in an empty Redis nor in one that holds states."""
    RedisStore(redis, FEATURES, "app").check_access()
    assert redis.keys() == []
    redis.set("{app:0}:generation", "3")
    redis.hset("{app:0}:sources", "", "7")
    RedisStore(redis, FEATURES, "app").check_access()
    assert sorted(redis.keys()) == [b"{app:0}:generation", b"{app:0}:sources"]
    assert redis.get("{app:0}:generation") == b"3"
    assert redis.hgetall("{app:0}:sources") == {b"": b"7"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_right_that_is_missing_is_named(with_rights: WithRights, command: str) -> None:
    """Whichever it is, and whether the worker or its script uses it."""
    store = with_rights("+@all", f"-{command}")
    with pytest.raises(StoreMismatchError, match=f"(?i)'{command}'.*its rights") as told:
        store.check_access()
    assert "\n" not in str(told.value)


def test_all_missing_rights_are_named_at_once(with_rights: WithRights) -> None:
    """One restart is enough."""
    with pytest.raises(StoreMismatchError, match=r"Refused: MGET, HSET, MSET$"):
        with_rights("+@all", "-mget", "-mset", "-hset").check_access()


@pytest.mark.parametrize("keys", ["other:*", "{app:0}:0:*", "{app:0}:sources", "%R~{app:*"])
def test_keys_that_may_not_be_reached(with_rights: WithRights, redis: Redis, keys: str) -> None:
    """A right to some of the keys, or to read them alone, is not enough."""
    if keys.startswith("%"):
        store = with_rights("+@all")
        redis.execute_command("ACL", "SETUSER", "limited", "resetkeys", keys)
    else:
        store = with_rights("+@all", keys=keys)
    with pytest.raises(StoreMismatchError, match=r"(?i)permissions? to access.*its rights"):
        store.check_access()


def test_a_right_that_is_taken_away_later_is_refused_too(
    with_rights: WithRights, redis: Redis
) -> None:
    """No absence, no mistake of ours: the sentence is the same."""
    store = with_rights("+@all")
    store.read([["a"], [], []])
    redis.execute_command("ACL", "SETUSER", "limited", "-mget")
    with pytest.raises(StoreMismatchError, match="'mget' command; grant"):
        store.read([["a"], [], []])


def test_another_number_of_buckets_is_found_at_start(redis: Redis) -> None:
    """Before any record is read."""
    RedisStore(redis, FEATURES, "app", buckets=4).register([])
    with pytest.raises(StoreMismatchError, match="set state_buckets to 4"):
        RedisStore(redis, FEATURES, "app").check_access()


def test_a_wrong_user_is_not_believed_at_once(redis_url: str) -> None:
    """A server that starts may not have read its users yet."""
    client = client_of(redis_url.replace("redis://", "redis://nobody:secret@"))
    with pytest.raises(StoreRefusedError, match="password in redis_url") as told:
        RedisStore(client, FEATURES, "app").check_access()
    assert told.value.is_doubtful
    assert "secret" not in str(told.value)


def test_a_replica_is_found_at_start(redis: Redis) -> None:
    """It would serve every read and refuse the first write."""
    redis.replicaof("127.0.0.1", "1")
    try:
        with pytest.raises(StoreRefusedError, match="name the primary"):
            RedisStore(redis, FEATURES, "app").check_access()
    finally:
        redis.replicaof("NO", "ONE")


def test_memory_that_is_full_is_waited_for(redis: Redis) -> None:
    """Somebody may make room."""
    redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailableError, match="used memory"):
            RedisStore(redis, FEATURES, "app").check_access()
    finally:
        redis.config_set("maxmemory", "0")


def test_a_server_that_lacks_commands_or_databases(request: pytest.FixtureRequest) -> None:
    """Renamed commands are named, and so is the setting with the number of the database.

    HELLO and CLIENT, which proxies and old servers do not know, are not needed.
    """
    if choose(request.config.getoption("--services")) != "local":
        pytest.skip("needs a Redis with settings of its own")
    renamed = 'EVALSHA ""\nrename-command HELLO ""\nrename-command CLIENT ""'
    settings = {"rename-command": renamed, "databases": "1"}
    with LocalRedis(settings=settings) as server:
        with pytest.raises(
            StoreMismatchError, match=r"'EVALSHA'.*lacks a command.*Refused: EVALSHA"
        ):
            RedisStore(client_of(server.url), FEATURES, "app").check_access()
        other = client_of(server.url.replace("/0", "/5"))
        with pytest.raises(StoreMismatchError, match="database in redis_url does not exist"):
            RedisStore(other, FEATURES, "app").check_access()


def test_a_cluster_and_a_server_are_told_apart(
    redis_cluster: LocalRedisCluster, redis_url: str
) -> None:
    """The sentence says which scheme to write."""
    cluster = client_of(redis_url.replace("redis://", "redis+cluster://").rpartition("/")[0])
    with pytest.raises(StoreMismatchError, match=r"says \+cluster, and the server is none"):
        RedisStore(cluster, FEATURES, "app", buckets=4).check_access()
    told = [
        sentence
        for node in redis_cluster.nodes
        if (sentence := _refusal(RedisStore(client_of(node.url), FEATURES, "app")))
    ]
    assert len(told) == 2, "one of three nodes has the one bucket"
    assert all("write redis+cluster://" in sentence for sentence in told)


def _refusal(store: RedisStore) -> str:
    try:
        store.check_access()
    except StoreMismatchError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "spoil",
    [
        lambda redis: redis.set("{app:0}:generation", "what?"),
        lambda redis: redis.set("{app:0}:buckets", "what?"),
        lambda redis: redis.hset("{app:0}:sources", "c/t/0", "what?"),
        lambda redis: redis.hset("{app:0}:0:marks", b"\xff\xfe", "1"),
        lambda redis: redis.lpush("{app:0}:0:marks", "what?"),
        lambda redis: redis.set("{app:0}:sources", "what?"),
    ],
    ids=["generation", "buckets", "a source", "a mark", "marks", "sources"],
)
def test_what_somebody_else_wrote_is_no_mistake_of_ours(
    redis: Redis, spoil: Callable[[Redis], object]
) -> None:
    """It ends the worker with a sentence, not with a traceback, and is no record's fault."""
    spoil(redis)
    store = RedisStore(redis, FEATURES, "app")

    def use() -> None:
        store.check_access()
        store.register([Source("c", "t", 0)])
        store.marks()

    with pytest.raises((StoreRefusedError, StoreMismatchError)) as told:
        use()
    assert "\n" not in str(told.value)
