"""What a store promises, held against each implementation."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from stream_app.features.kinds import DecayedSums
from stream_app.features.stores import (
    MemoryStore,
    Progress,
    Source,
    StateLostError,
    StateWrite,
    Store,
    StoreMismatchError,
    StoreRefusedError,
    StoreUnavailableError,
)
from stream_app.features.stores.redis import RedisStore, client_of, default_buckets
from stream_app.features.views import FeatureSet
from stream_app.local.ports import free_ports
from tests.redis_cluster import LocalRedisCluster
from tests.unit.features.builders import (
    FEATURES,
    MASK,
    InMemory,
    Stored,
    arrival,
    assert_same_states,
    logged,
    ordered,
    reference_hash,
)


class Open(Protocol):
    """Opens a store as one worker of an application would."""

    def __call__(self, application: str = "app", features: FeatureSet = FEATURES) -> Store:
        """Two calls with the same arguments open the same states."""
        ...

    def lose_everything(self) -> None:
        """As FLUSHALL does, or a server that comes back without its data."""

    def lose_marks(self, source: int, to: int) -> None:
        """The marks of a source are back where they were, as a failover may leave them."""


@dataclass
class _Memory:
    stores: dict[Any, MemoryStore] = field(default_factory=dict)

    def __call__(self, application: str = "app", features: FeatureSet = FEATURES) -> Store:
        return self.stores.setdefault((application, id(features)), MemoryStore(features))

    def lose_everything(self) -> None:
        for store in self.stores.values():
            for table in (*store._states, *store._marks):
                table.clear()  # type: ignore[attr-defined]

    def lose_marks(self, source: int, to: int) -> None:
        for store in self.stores.values():
            for marks in store._marks:
                marks[source] = to


@dataclass
class _Redis:
    client: Any
    buckets: int

    def __call__(self, application: str = "app", features: FeatureSet = FEATURES) -> Store:
        return RedisStore(self.client, features, application, buckets=self.buckets)

    def lose_everything(self) -> None:
        self.client.flushall()

    def lose_marks(self, source: int, to: int) -> None:
        """In one bucket alone: a cluster loses one node's writes."""
        key = f"{{app:{self.buckets - 1}}}:0:marks"
        fields = self.client.hkeys(key)
        for field_ in fields:
            if field_.endswith(b":%d" % source):
                self.client.hset(key, field_, to)


class _Cluster(_Redis):
    """A client of a whole cluster is as good as one of a server."""

    def __init__(self, cluster: LocalRedisCluster) -> None:
        connect = client_of(cluster.url, timeout_seconds=5.0)
        assert callable(connect)
        super().__init__(connect(), default_buckets(cluster.url))
        self.cluster = cluster

    def lose_everything(self) -> None:
        self.cluster.flush()


@pytest.fixture(params=["memory", "redis", "redis in 4 buckets", "redis cluster"])
def open_store(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Open stores of each kind, empty at first."""
    if request.param == "memory":
        yield _Memory()
        return
    if request.param == "redis cluster":
        cluster = _Cluster(request.getfixturevalue("redis_cluster"))
        yield cluster
        cluster.client.close()
        return
    yield _Redis(request.getfixturevalue("redis"), 4 if "buckets" in request.param else 1)


@pytest.fixture
def store(open_store: Open) -> Store:
    """One store of each kind."""
    return open_store()


def value(version: int, content: bytes = b"") -> bytes:
    """A packed state as far as a store looks into it."""
    return version.to_bytes(8, "little") + content


def through(marks: Mapping[int, int], expected: int = -1) -> list[Progress]:
    """Progress of sources, each of which is expected to have at least a mark."""
    return [Progress(source, expected, offset) for source, offset in marks.items()]


def put(store: Store, *entities: str, view: int = 0, version: int = 1) -> None:
    """Write states that were not there."""
    writes = [StateWrite(view, e, 0, value(version, e.encode())) for e in entities]
    assert store.write(writes, []) == []


def sources(count: int, topic: str = "t", cluster: str = "c") -> list[Source]:
    """Partitions of a topic."""
    return [Source(cluster, topic, partition) for partition in range(count)]


# Sources


def test_a_source_has_one_id_for_every_worker_and_for_ever(open_store: Open) -> None:
    """Registered again, by whomever and in any order, it keeps its number."""
    one, other = open_store(), open_store()
    first = one.register(sources(5))
    assert len(set(first)) == 5
    assert all(0 < each < 2**32 for each in first)
    assert other.register(sources(5)[::-1]) == first[::-1]
    assert one.register([]) == []


def test_a_recreated_topic_is_another_source(store: Store) -> None:
    """Topic id and partition tell sources apart."""
    ids = store.register([*sources(2), *sources(2, topic="u")])
    assert len(set(ids)) == 4


def test_sources_of_another_cluster_are_refused(open_store: Open) -> None:
    """Two clusters with one application name would count into each other's states."""
    ids = open_store().register(sources(2))
    for _ in range(2):
        with pytest.raises(
            StoreMismatchError, match=r"of the Kafka cluster c, and .* cluster d: give"
        ):
            open_store().register(sources(2, cluster="d"))
    assert open_store().register([]) == []
    assert open_store().register(sources(2)) == ids
    with pytest.raises(StoreMismatchError):
        open_store("new").register([*sources(2), *sources(2, cluster="d")])


def test_a_generation_built_from_another_cluster_is_of_that_one(open_store: Open) -> None:
    """A cluster that replaced the other; until the switch nothing changes for who serves."""
    ids = open_store().register(sources(2))
    builder = open_store()
    adopted = builder.register(sources(2, cluster="d"), adopt=True)
    assert not set(ids) & set(adopted)
    built = builder.successor()
    assert open_store().register(sources(2)) == ids
    built.activate()
    with pytest.raises(StoreMismatchError, match=r"of the Kafka cluster d, and .* cluster c: give"):
        open_store().register(sources(2))
    assert open_store().register(sources(2, cluster="d")) == adopted


def test_workers_that_register_at_once_agree(open_store: Open) -> None:
    """No number is given twice and no source gets two."""
    wanted = sources(40)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: open_store().register(wanted), range(4)))
    assert all(answer == answers[0] for answer in answers)
    assert len(set(answers[0])) == 40


# States


def test_a_read_returns_what_exists(store: Store) -> None:
    """Of each view what is there, and nothing for what is not."""
    put(store, "a", "b", view=0)
    put(store, "a", view=2, version=7)
    found = store.read([{"a", "b", "c"}, {"a"}, {"a", "b"}])
    assert [dict(pairs) for pairs in found] == [
        {"a": value(1, b"a"), "b": value(1, b"b")},
        {},
        {"a": value(7, b"a")},
    ]
    assert store.read([set(), set(), set()]) == [[], [], []]


@pytest.mark.parametrize("entity", ["", " ", "a:b", "{x}", "é😀", "a\r\nb\x00", "x" * 500])
def test_an_entity_key_may_be_any_text(store: Store, entity: str) -> None:
    """And a value any bytes."""
    packed = value(3, bytes(range(256)) + b"\r\n$-1\r\n")
    assert store.write([StateWrite(0, entity, 0, packed)], []) == []
    assert store.read([[entity], [], []])[0] == [(entity, packed)]


def test_a_write_replaces_the_version_that_was_read(store: Store) -> None:
    """The first write expects nothing there; each later one its predecessor."""
    for expected, version in [(0, 1_000), (1_000, 1_001), (1_001, 1_002)]:
        assert store.write([StateWrite(0, "a", expected, value(version))], []) == []
    assert store.read([["a"], [], []])[0] == [("a", value(1_002))]


@pytest.mark.parametrize("expected", [0, 4, 6], ids=["none", "older", "newer"])
def test_a_write_that_expects_another_version_is_lost(store: Store, expected: int) -> None:
    """It changes nothing and is told what is there."""
    put(store, "a", version=5)
    write = StateWrite(0, "a", expected, value(99))
    assert store.write([write], []) == [(write, value(5, b"a"))]
    assert store.read([["a"], [], []])[0] == [("a", value(5, b"a"))]


def test_a_write_to_a_state_that_is_gone_is_lost(store: Store) -> None:
    """There is nothing to be told then."""
    write = StateWrite(0, "gone", 5, value(6))
    assert store.write([write], []) == [(write, None)]
    assert store.read([["gone"], [], []])[0] == []


def test_a_lost_write_does_not_hold_the_others_up(store: Store) -> None:
    """Winners of the same call are written."""
    put(store, "a", version=5)
    writes = [StateWrite(0, entity, 0, value(1, b"new")) for entity in ("a", "b", "c")]
    writes.append(StateWrite(1, "a", 0, value(1, b"new")))
    assert [write.entity for write, _ in store.write(writes, [])] == ["a"]
    found = store.read([["a", "b", "c"], ["a"], []])
    assert [len(pairs) for pairs in found] == [3, 1, 0]


def test_a_write_repeated_is_not_lost(store: Store) -> None:
    """Its answer may have been lost on the way: to send it again is always allowed."""
    write = StateWrite(0, "a", 0, value(8))
    assert store.write([write], []) == []
    assert store.write([write], []) == []


def test_thousands_of_states_at_once(store: Store) -> None:
    """More than one script call and more than one read can take; losers are told apart."""
    entities = [f"e{n}" for n in range(4_500)]
    put(store, *entities, view=0)
    put(store, *entities, view=1)
    found = store.read([set(entities), set(entities), set()])
    assert [len(pairs) for pairs in found] == [4_500, 4_500, 0]
    assert all(packed == value(1, entity.encode()) for entity, packed in found[0])
    writes = [StateWrite(0, e, 1 if n % 1_000 else 9, value(2)) for n, e in enumerate(entities)]
    lost = store.write(writes, [])
    assert {write.entity for write, _ in lost} == {"e0", "e1000", "e2000", "e3000", "e4000"}
    assert all(present == value(1, write.entity.encode()) for write, present in lost)


# Progress


def test_progress_is_kept_for_every_view(store: Store) -> None:
    """Offset by source, with states or without; what is noted later replaces it."""
    assert store.marks() == [{}, {}, {}]
    assert store.write([], through({1: 10, 2: 0})) == []
    assert store.write([StateWrite(0, "a", 0, value(1))], through({2: 2**62})) == []
    assert store.marks() == [{1: 10, 2: 2**62}] * 3


def test_nothing_to_write_and_nothing_to_note(store: Store) -> None:
    """Is no mistake."""
    assert store.write([], []) == []
    assert store.marks() == [{}, {}, {}]


def test_a_mark_never_goes_back(store: Store) -> None:
    """A worker that is behind, or a batch that is read again, takes nothing from it."""
    store.write([], through({1: 10, 2: 5}))
    store.write([], through({1: 4, 2: 6}))
    assert store.marks() == [{1: 10, 2: 6}] * 3


def test_a_mark_waits_for_the_states(store: Store) -> None:
    """Where a write was lost the offset is not noted; it is with the write that makes up for it.

    Otherwise a server that loses the second write would be believed to hold what it never did.
    """
    put(store, "a", version=5)
    store.write([], through({1: 3}))
    ((write, present),) = store.write(
        [StateWrite(0, "a", 0, value(9)), StateWrite(0, "b", 0, value(9))],
        through({1: 7}, expected=3),
    )
    assert store.marks() == [{1: 3}] * 3
    assert present == value(5, b"a")
    again = write._replace(expected=5)
    assert store.write([again], through({1: 7}, expected=3)) == []
    assert store.marks() == [{1: 7}] * 3


def test_a_write_repeated_after_its_answer_was_lost_changes_nothing(store: Store) -> None:
    """States, marks and what is expected of them are as after the first call."""
    writes = [StateWrite(view, "a", 0, value(8)) for view in range(3)]
    for _ in range(3):
        assert store.write(writes, through({1: 10, 2: 4})) == []
    assert store.marks() == [{1: 10, 2: 4}] * 3
    assert store.read([["a"]] * 3, through({1: 10})) == [[("a", value(8))]] * 3


@pytest.mark.parametrize("count", [1, 300])
def test_marks_of_many_sources(store: Store, count: int) -> None:
    """As many as a large topic has partitions; each is checked."""
    ends = {source: source * 10 for source in range(1, count + 1)}
    store.write([], through(ends))
    known = [Progress(source, offset, offset + 1) for source, offset in ends.items()]
    assert store.write([], known) == []
    assert store.marks() == [{source: offset + 1 for source, offset in ends.items()}] * 3
    with pytest.raises(StateLostError, match=f"source {count} "):
        store.read([[], [], []], [*known[:-1], Progress(count, count * 10 + 2, 0)])


# What the store loses


def test_a_store_that_holds_what_is_expected_is_read_and_written(store: Store) -> None:
    """Also by a worker that comes back after a successor went on: it takes nothing back."""
    assert store.write([StateWrite(0, "a", 0, value(1))], through({1: 10})) == []
    zombie = [Progress(1, 4, 6)]
    assert store.read([["a"], [], []], zombie)[0] == [("a", value(1))]
    assert store.write([StateWrite(0, "b", 0, value(1))], zombie) == []
    (lost,) = store.write([StateWrite(0, "a", 0, value(2))], zombie)
    assert lost[1] == value(1)
    assert store.marks() == [{1: 10}] * 3


def test_lost_state_is_noticed_by_whoever_reads_or_writes(open_store: Open) -> None:
    """After FLUSHALL: nothing is written, and the message says what was found and expected."""
    store = open_store()
    store.write([StateWrite(0, "a", 0, value(1))], through({1: 10, 2: 3}))
    open_store.lose_everything()
    expected = "source 1 is applied through offset -1, 10 was expected"
    with pytest.raises(StateLostError, match=expected):
        store.read([["a"], [], []], [Progress(1, 10, 10)])
    with pytest.raises(StateLostError, match=expected):
        store.write([StateWrite(0, "b", 0, value(1))], [Progress(2, -1, 4), Progress(1, 10, 11)])
    assert store.read([["a", "b"], [], []]) == [[], [], []]
    assert store.marks() == [{}, {}, {}]


def test_a_store_set_back_is_noticed(open_store: Open) -> None:
    """A failover may lose the newest writes; a source that did not lose any is served."""
    store = open_store()
    store.write([StateWrite(0, "a", 0, value(1))], through({1: 10, 2: 3}))
    open_store.lose_marks(1, to=9)
    known = {1: Progress(1, 10, 11), 2: Progress(2, 3, 4)}
    with pytest.raises(StateLostError, match="source 1 is applied through offset 9, 10 was"):
        store.write([StateWrite(0, "a", 1, value(2))], list(known.values()))
    with pytest.raises(StateLostError):
        store.read([["a"], [], []], [known[1]])
    assert store.write([StateWrite(0, "a", 1, value(2))], [known[2]]) == []
    assert store.marks()[0][1] == 9


def test_a_source_without_a_mark_is_expected_to_have_none(store: Store) -> None:
    """A new partition, or a new application."""
    new = [Progress(7, -1, 0)]
    assert store.read([[], [], []], new) == [[], [], []]
    assert store.write([], new) == []
    assert store.marks() == [{7: 0}] * 3


# Generations


def test_a_generation_is_filled_beside_the_current_one(open_store: Open) -> None:
    """Neither sees the other; sources belong to both."""
    live = open_store()
    ids = live.register(sources(3))
    assert live.write([StateWrite(0, "a", 0, value(1))], through({1: 10})) == []
    built = live.successor()
    assert (live.generation, built.generation) == (0, 1)
    assert built.read([["a"], [], []], through({1: 0})) == [[], [], []]
    assert built.marks() == [{}, {}, {}]
    assert built.register(sources(3)) == ids
    assert built.write([StateWrite(0, "a", 0, value(7))], through({1: 4})) == []
    assert live.read([["a"], [], []])[0] == [("a", value(1))]
    assert live.write([], [Progress(1, 10, 11)]) == []
    assert (live.marks()[0], built.marks()[0]) == ({1: 11}, {1: 4})


def test_a_generation_that_was_switched_over_is_noticed(open_store: Open) -> None:
    """The stores of the one before may do nothing with progress until they are opened again."""
    live, other = open_store("app"), open_store("app")
    live.write([StateWrite(0, "a", 0, value(1))], through({1: 10}))
    other.read([["a"], [], []], through({1: 10}))
    built = live.successor()
    built.write([StateWrite(0, "a", 0, value(7))], through({1: 8}))
    built.activate()
    moved = "generation 1 of the state is the current one, 0 was expected"
    with pytest.raises(StateLostError, match=moved):
        other.read([["a"], [], []], [Progress(1, 10, 11)])
    with pytest.raises(StateLostError, match=moved):
        other.write([StateWrite(0, "a", 1, value(2))], [Progress(3, -1, 11)])
    other.reopen()
    assert other.generation == 1
    assert other.marks() == [{1: 8}] * 3
    assert other.write([StateWrite(0, "a", 7, value(8))], [Progress(1, 8, 10)]) == []
    assert built.read([["a"], [], []], [Progress(1, 10, 10)])[0] == [("a", value(8))]


def test_a_store_opened_later_reads_the_current_generation(open_store: Open) -> None:
    """Three generations on; the numbers of the sources stay."""
    ids = open_store("app").register(sources(2))
    for number in range(3):
        store = open_store("app")
        store.reopen()
        built = store.successor()
        built.write([StateWrite(0, "a", 0, value(number + 1))], through({1: number}))
        built.activate()
    latest = open_store("app")
    latest.reopen()
    assert latest.generation == 3
    assert latest.read([["a"], [], []], [Progress(1, 2, 2)])[0] == [("a", value(3))]
    assert latest.register(sources(2)) == ids


def test_to_activate_twice_is_harmless(open_store: Open) -> None:
    """The first answer may have been lost; what has been switched over again is not taken back."""
    store = open_store()
    built = store.successor()
    for _ in range(2):
        built.activate()
    assert built.write([], through({1: 1})) == []
    built.successor().activate()
    with pytest.raises(StateLostError, match="generation 2 of the state is the current one"):
        built.activate()


def test_a_generation_that_is_begun_again_is_empty(open_store: Open) -> None:
    """What an earlier attempt left behind is gone, and whoever still fills it notices."""
    live = open_store()
    abandoned = live.successor()
    abandoned.write([StateWrite(0, "a", 0, value(1))], through({1: 10}))
    built = live.successor()
    assert built.read([["a"], [], []]) == [[], [], []]
    assert built.marks() == [{}, {}, {}]
    with pytest.raises(StateLostError):
        abandoned.write([], [Progress(1, 10, 11)])


def test_a_generation_is_dropped_and_no_other(open_store: Open) -> None:
    """The current one never; another application's never."""
    live, other = open_store("app"), open_store("app:0")
    entities = [f"e{n}" for n in range(2_500)]
    for store in (live, other):
        put(store, *entities)
        store.write([], through({1: 10}))
        store.register(sources(1))
    with pytest.raises(ValueError, match="generation 0 of the state is the current one"):
        live.drop()
    built = live.successor()
    put(built, "a")
    built.activate()
    with pytest.raises(ValueError, match="generation 1 of the state is the current one"):
        built.drop()
    live.drop()
    assert live.marks() == [{}, {}, {}]
    assert live.read([entities, [], []]) == [[], [], []]
    assert len(built.read([["a"], [], []])[0]) == 1
    assert len(other.read([entities, [], []])[0]) == 2_500
    assert other.marks() == [{1: 10}] * 3
    with pytest.raises(StateLostError, match="generation 1"):
        live.write([StateWrite(0, "a", 0, value(1))], [Progress(9, -1, 1)])


# Workers and applications


def test_two_applications_do_not_see_each_other(open_store: Open) -> None:
    """Not their states, nor their progress."""
    one, other = open_store("one"), open_store("other")
    put(one, "a")
    one.write([], through({1: 5}))
    assert other.read([["a"], [], []]) == [[], [], []]
    assert other.marks() == [{}, {}, {}]
    put(other, "a", version=9)
    assert one.read([["a"], [], []])[0] == [("a", value(1, b"a"))]


@pytest.mark.parametrize("buckets", [1, 4])
def test_a_changed_view_starts_from_nothing(redis: Redis, buckets: int) -> None:
    """Its states and its progress; the other views keep theirs."""
    open_store = _Redis(redis, buckets)
    orders, *others = FEATURES.views
    changed = replace(orders, state=DecayedSums(60.0, ("amount",)))
    before, after = open_store(), open_store(features=replace(FEATURES, views=(changed, *others)))
    put(before, "a", view=0)
    put(before, "a", view=1)
    before.write([], through({1: 5}))
    assert [len(pairs) for pairs in after.read([["a"], ["a"], []])] == [0, 1, 0]
    assert after.marks() == [{}, {1: 5}, {1: 5}]
    put(after, "a", view=0, version=9)
    after.write([], through({1: 7}))
    assert before.read([["a"], ["a"], []])[0] == [("a", value(1, b"a"))]
    assert before.marks() == [{1: 5}, {1: 7}, {1: 7}]


@pytest.mark.parametrize("buckets", [1, 4])
def test_what_a_changed_view_leaves_behind_goes_with_its_generation(
    redis: Redis, buckets: int
) -> None:
    """The next generation has only what is declared now, and the one before goes as a whole."""
    open_store = _Redis(redis, buckets)
    before = open_store()
    put(before, *(f"e{n}" for n in range(20)))
    before.write([], through({1: 5}))
    after = open_store(features=replace(FEATURES, views=FEATURES.views[1:]))
    put(after, "a")
    successor = after.successor()
    put(successor, "a")
    successor.write([], through({1: 5}))
    successor.activate()
    after.drop()
    states = {key for key in redis.scan_iter() if b":generation" not in key}
    assert {key.split(b"}:")[1][:2] for key in states} == {b"1:"}
    assert not any(b":orders:" in key for key in states)


def test_a_writer_that_lost_merges_its_updates(open_store: Open) -> None:
    """Both read, both write: the second sees the first's updates and adds its own."""
    one, other = Stored(open_store()), Stored(open_store())
    log = [logged(ordered(10.0 + n, amount=n, due=60.0 * n), n % 2, n) for n in range(10)]
    batches = [[arrival(e) for e in log if e.rank == partition] for partition in (0, 1)]
    stale = one.states(one.engine.gather(batches[0]))
    other.batch(batches[1])
    one.batch(batches[0], stale)
    assert one.conflicts == 3
    alone = InMemory()
    alone.take(log)
    assert_same_states(one.states([["north"], ["north"], ["all"]]), alone.tables)


def test_concurrent_writers_of_one_entity_lose_no_update(open_store: Open) -> None:
    """Every update is accounted for in count, digest and fences."""
    writers, batches, size = 4, 8, 3
    start = threading.Barrier(writers)

    def write(partition: int) -> None:
        worker = Stored(open_store())
        offsets = range(batches * size)
        log = [logged(ordered(float(n), amount=1.0), partition, n) for n in offsets]
        start.wait(10.0)
        worker.take(log, [size])

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))
    ((state,), *_) = (
        list(table.values()) for table in Stored(open_store()).states([["north"], [], []])
    )
    total = batches * size
    assert state.count == writers * total
    assert state.fences == dict.fromkeys(range(1, writers + 1), total - 1)
    hashes = (reference_hash(s + 1, o) for s in range(writers) for o in range(total))
    assert state.digest == sum(hashes) & MASK


# Redis alone: what is under which key


def test_the_successor_of_a_generation_leaves_nothing_behind(redis: Redis) -> None:
    """Dropped, only what belongs to the application is left."""
    store = RedisStore(redis, FEATURES, "an [odd]*? name", buckets=2)
    store.register(sources(1))
    before = set(redis.scan_iter())
    put(store, "a", "b", "c")
    store.write([], through({1: 1}))
    store.successor().activate()
    store.drop()
    pointers = {key for key in redis.scan_iter() if key.endswith(b":generation")}
    assert len(pointers) == 2
    assert set(redis.scan_iter()) == before | pointers


def test_a_switch_that_died_half_way_is_completed(redis: Redis) -> None:
    """Whoever opens the store then turns every bucket to the newer generation."""
    live = RedisStore(redis, FEATURES, "app", buckets=4)
    put(live, "a", "b", "c", "d", "e")
    redis.set("{app:2}:generation", 1)
    with pytest.raises(StateLostError, match="generation 1 of the state is the current one"):
        live.write([], through({1: 1}))
    live.reopen()
    assert live.generation == 1
    assert {redis.get(f"{{app:{n}}}:generation") for n in range(4)} == {b"1"}


def test_a_node_that_lost_everything_is_told_again(redis: Redis) -> None:
    """Generation and sources are in every bucket; its marks are missing, which is noticed."""
    store = RedisStore(redis, FEATURES, "app", buckets=3)
    ids = store.register(sources(5))
    store.successor().activate()
    store.reopen()
    store.write([], [Progress(source, -1, 7) for source in ids])
    for key in redis.scan_iter(match="{app:0}:*"):
        redis.delete(key)
    known = [Progress(source, 7, 8) for source in ids]
    with pytest.raises(StateLostError, match="generation 0 of the state is the current one"):
        store.write([], known)
    store.reopen()
    assert store.generation == 1
    with pytest.raises(StateLostError, match=r"source 1 is registered not at all: Redis lost"):
        store.write([], known)
    added, *again = store.register([*sources(1, topic="new"), *sources(5)])
    assert again == ids
    assert added not in ids
    with pytest.raises(StateLostError, match="source 1 is applied through offset -1, 7 was"):
        store.write([], known)
    assert store.marks() == [{}, {}, {}]


def test_a_number_given_twice_is_noticed(redis: Redis) -> None:
    """The registry was lost and a number has gone to another source: its fences are not ours."""
    ours = RedisStore(redis, FEATURES, "app")
    (number,) = ours.register(sources(1))
    redis.flushall()
    theirs = RedisStore(redis, FEATURES, "app")
    assert theirs.register(sources(1, topic="other")) == [number]
    theirs.write([], through({number: 100}))
    with pytest.raises(StateLostError, match=f"source {number} is registered not at all"):
        ours.write([StateWrite(0, "a", 0, value(1))], [Progress(number, 50, 51)])
    assert ours.register(sources(1)) != [number]


@pytest.mark.parametrize(("first", "then"), [(1, 4), (4, 1), (4, 8)])
def test_another_number_of_buckets_is_refused(redis: Redis, first: int, then: int) -> None:
    """The states would not be found; the sentence says with how many they are."""
    RedisStore(redis, FEATURES, "app", buckets=first).register(sources(2))
    with pytest.raises(StoreMismatchError, match=f"spread over {first} buckets .* with {then}"):
        RedisStore(redis, FEATURES, "app", buckets=then).register(sources(2))
    RedisStore(redis, FEATURES, "other", buckets=then).register(sources(2))


@pytest.mark.parametrize("buckets", [1, 4])
def test_a_new_view_has_no_marks(redis: Redis, buckets: int) -> None:
    """Until it is caught up with; the marks of the others stay, and are what is expected."""
    open_store = _Redis(redis, buckets)
    orders, *_ = FEATURES.views
    before, after = open_store(features=replace(FEATURES, views=(orders,))), open_store()
    before.write([StateWrite(0, "a", 0, value(1))], through({1: 10}))
    assert after.marks() == [{1: 10}, {}, {}]
    assert after.write([StateWrite(1, "a", 0, value(1))], [Progress(1, 10, 4)]) == []
    assert after.marks() == [{1: 10}, {1: 4}, {1: 4}]
    assert after.write([], [Progress(1, 10, 12)]) == []
    assert after.marks() == [{1: 12}] * 3


# Redis alone: what can happen to a server


METHODS: dict[str, Callable[[Store], Any]] = {
    "register": lambda store: store.register(sources(1)),
    "check_access": lambda store: store.check_access(),
    "read": lambda store: store.read([["a"], [], []]),
    "write": lambda store: store.write([StateWrite(0, "a", 0, value(1))], through({1: 1})),
    "marks": lambda store: store.marks(),
}


def test_states_expire_only_where_it_is_asked_for(redis: Redis) -> None:
    """The expiry of a view is set with every write; marks and sources never expire."""
    store = RedisStore(redis, FEATURES, "app", expiry_seconds={"last": 1_000})
    for version in (0, 1):
        writes = [StateWrite(view, "a", version, value(version + 1)) for view in range(3)]
        assert store.write(writes, through({1: 1})) == []
        store.register(sources(1))
        seconds = {key: redis.ttl(key) for key in redis.scan_iter()}
        ((expiring, left),) = ((key, ttl) for key, ttl in seconds.items() if ttl != -1)
        assert expiring.endswith(b":last:a")
        assert 900 < left <= 1_000
        redis.persist(expiring)


@pytest.mark.parametrize("buckets", [1, 4])
def test_states_with_and_without_expiry_are_told_apart(redis: Redis, buckets: int) -> None:
    """In one write, more than a script takes at once: losers, and what expires when."""
    expiry = {"orders": 500, "last": 1_000}
    store = RedisStore(redis, FEATURES, "app", buckets=buckets, expiry_seconds=lambda: expiry)
    entities = [f"e{n}" for n in range(2_500)]
    put(store, *(f"e{n}" for n in range(0, 2_500, 500)), view=1, version=7)
    writes = [StateWrite(n % 3, entity, 0, value(1)) for entity in entities for n in range(3)]
    lost = store.write(writes, through({1: 1}))
    assert {(write.view, write.entity) for write, _ in lost} == {
        (1, f"e{n}") for n in range(0, 2_500, 500)
    }
    assert store.marks() == [{}, {}, {}]
    store.write([], through({1: 1}))
    for name, seconds in (("orders", 500), ("last", 1_000)):
        for key in redis.scan_iter(match=f"*:{name}:*", count=1_000):
            assert seconds - 60 < redis.ttl(key) <= seconds
    assert all(redis.ttl(key) == -1 for key in redis.scan_iter(match="*:open:*", count=1_000))
    assert all(redis.ttl(key) == -1 for key in redis.scan_iter(match="*:marks"))


def test_a_server_that_deletes_keys_is_warned_of_once(
    redis: Redis, configured: Callable[[str, str], None]
) -> None:
    """When the store is opened; it says which policy, and what to set."""
    told: list[str] = []
    RedisStore(redis, FEATURES, "app", on_warning=told.append).marks()
    assert told == []
    configured("maxmemory-policy", "allkeys-lru")
    store = RedisStore(redis, FEATURES, "app", buckets=3, on_warning=told.append)
    for _ in range(2):
        store.reopen()
    (sentence,) = told
    assert "allkeys-lru" in sentence
    assert "noeviction" in sentence


def test_who_may_not_ask_for_the_configuration_is_served(redis: Redis, redis_url: str) -> None:
    """A managed Redis often forbids CONFIG."""
    redis.acl_setuser("app", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-config"])
    told: list[str] = []
    client = Redis.from_url(redis_url, username="app", password="any")
    store = RedisStore(client, FEATURES, "app", on_warning=told.append)
    put(store, "a")
    assert told == []
    client.close()
    redis.acl_deluser("app")


def test_all_keys_of_a_bucket_share_a_slot(redis: Redis) -> None:
    """A cluster serves them by one read and one script call; no key lies outside a bucket."""
    store = RedisStore(redis, FEATURES, "app", buckets=4)
    put(store, *(f"e{n}" for n in range(50)))
    store.write([], through({1: 1}))
    store.register(sources(1))
    tags = {key[key.index(b"{") : key.index(b"}") + 1] for key in redis.scan_iter()}
    assert tags == {b"{app:0}", b"{app:1}", b"{app:2}", b"{app:3}"}


@pytest.mark.parametrize("buckets", [1, 4])
def test_flushed_scripts_heal(redis: Redis, buckets: int) -> None:
    """A restarted server knows no script: it is told again, and no write is lost or doubled."""
    store = RedisStore(redis, FEATURES, "app", buckets=buckets)
    entities = [f"e{n}" for n in range(20)]
    put(store, *entities)
    redis.script_flush()
    writes = [StateWrite(0, entity, 1, value(2)) for entity in entities]
    assert store.write(writes, through({1: 4})) == []
    assert store.marks() == [{1: 4}] * 3
    assert {packed for _, packed in store.read([entities, [], []])[0]} == {value(2)}


@pytest.mark.parametrize("method", METHODS)
def test_a_server_that_cannot_be_reached(method: str) -> None:
    """Is an absence, which the caller may wait for."""
    (port,) = free_ports(1)
    client = Redis(port=port, retry=Retry(NoBackoff(), 0), socket_connect_timeout=1.0)
    with pytest.raises(StoreUnavailableError, match="Redis is away"):
        METHODS[method](RedisStore(client, FEATURES, "app"))


@pytest.mark.parametrize("method", METHODS)
def test_a_connection_that_was_cut_is_an_absence_at_most(
    redis: Redis, redis_url: str, method: str
) -> None:
    """The next call, at the latest, is served again."""
    client = Redis.from_url(redis_url)
    store = RedisStore(client, FEATURES, "app")
    METHODS[method](store)
    redis.client_kill_filter(_type="normal", skipme=True)
    try:
        METHODS[method](store)
    except StoreUnavailableError:
        METHODS[method](store)
    client.close()


def test_a_server_that_answers_too_late_is_an_absence(redis: Redis, redis_url: str) -> None:
    """What it did all the same is not done twice when the call is repeated."""
    hasty = RedisStore(Redis.from_url(redis_url, socket_timeout=0.1), FEATURES, "app")
    put(hasty, "a")
    write = StateWrite(0, "a", 1, value(2))
    redis.client_pause(400)
    with pytest.raises(StoreUnavailableError):
        hasty.write([write], through({1: 9}))
    patient = RedisStore(redis, FEATURES, "app")
    assert patient.write([write], through({1: 9})) == []
    assert hasty.read([["a"], [], []])[0] == [("a", value(2))]
    hasty.close()


@pytest.fixture
def configured(redis: Redis) -> Iterator[Callable[[str, str], None]]:
    """Set options of the server for one test."""
    before: dict[str, str] = {}

    def configure(name: str, option: str) -> None:
        before.update(redis.config_get(name))
        redis.config_set(name, option)

    yield configure
    for name, option in before.items():
        redis.config_set(name, option)


@pytest.mark.parametrize(
    ("name", "option"),
    [("min-replicas-to-write", "1"), ("maxmemory", "1")],
    ids=["too few replicas", "out of memory"],
)
def test_a_server_that_refuses_writes_is_an_absence(
    redis: Redis, configured: Callable[[str, str], None], name: str, option: str
) -> None:
    """The refusal names its reason; reads go on, and the same write succeeds when it is over."""
    store = RedisStore(redis, FEATURES, "app")
    put(store, "a")
    configured(name, option)
    write = StateWrite(0, "a", 1, value(2))
    for attempt in (
        lambda: store.write([write], through({1: 1})),
        lambda: store.write([], through({1: 1})),
    ):
        with pytest.raises(StoreUnavailableError):
            attempt()
    assert store.read([["a"], [], []])[0] == [("a", value(1, b"a"))]
    redis.config_set(name, "0")
    assert store.write([write], through({1: 1})) == []


def test_a_server_that_becomes_a_replica_refuses_and_is_not_believed_at_once(redis: Redis) -> None:
    """After a failover the old primary refuses writes until clients find the new one."""
    store = RedisStore(redis, FEATURES, "app")
    put(store, "a")
    (port,) = free_ports(1)
    redis.replicaof("127.0.0.1", str(port))
    try:
        with pytest.raises(StoreRefusedError, match="has to name the primary") as told:
            store.write([StateWrite(0, "a", 1, value(2))], [])
        assert told.value.is_doubtful
    finally:
        redis.replicaof("NO", "ONE")


def test_a_mistake_is_no_absence(redis: Redis) -> None:
    """What waiting cannot heal is refused, in a sentence."""
    store = RedisStore(redis, FEATURES, "app")
    store.register(sources(1))
    redis.delete("{app:0}:sources")
    redis.set("{app:0}:sources", "spoiled")
    for call in (store.check_access, lambda: store.register(sources(1))):
        with pytest.raises(StoreRefusedError, match=r"WRONGTYPE .*; something else wrote") as told:
            call()
        assert not told.value.is_doubtful
