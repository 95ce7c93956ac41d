"""Redis is set back while writers are at work: what one of them read is not taken for what is there."""

from typing import Any

import pytest
from redis import Redis

from stream_app.features.stores import Source
from stream_app.features.stores.redis import RedisStore
from tests.unit.builders import partition
from tests.unit.features.builders import FEATURES
from tests.unit.state.test_stage import Worker, order

A, C = partition(0), partition(1)


def set_back(redis: Redis, to: dict[bytes, Any]) -> None:
    """Redis holds what it held, as after a failover to a replica that was behind."""
    redis.flushall()
    for key, dumped in to.items():
        redis.restore(key, 0, dumped)


def dumped(redis: Redis) -> dict[bytes, Any]:
    """What Redis holds."""
    return {key: redis.dump(key) for key in redis.scan_iter()}


@pytest.fixture
def writers(redis: Redis) -> tuple[Worker, Worker]:
    """Two workers of one application, each with a partition of its own."""
    found = []
    for place in (A, C):
        store = RedisStore(redis, FEATURES, "app")
        ids = store.register([Source("c", "t", number) for number in (0, 1)])
        worker = Worker(store)  # type: ignore[arg-type]
        for at, source_id in zip((A, C), ids, strict=True):
            worker.state.fencing.register(at, source_id)
        worker.state.expect(place, -1)
        found.append(worker)
    return found[0], found[1]


@pytest.mark.parametrize("again", [1, 2, 3], ids=lambda count: f"{count} writes")
def test_a_version_never_comes_twice(
    redis: Redis, writers: tuple[Worker, Worker], again: int
) -> None:
    """Of A and C, who share an entity, C read what Redis lost; A builds it again, and further.

    Counted versions came to the very number that C had read, and C wrote over A's update.
    """
    a, c = writers
    a.finish(order(A, 0, 10.0))
    before = dumped(redis)
    for offset in range(1, 1 + again):
        a.finish(order(A, offset, 10.0 + offset))
    under_way = c.begin(order(C, 0, 20.0))
    set_back(redis, before)
    rebuilding = Worker(RedisStore(redis, FEATURES, "app"))  # type: ignore[arg-type]
    for offset in range(1, again):
        rebuilding.finish(order(A, offset, 10.0 + offset))
    # In one write what were two: another state under the number that C expects.
    rebuilding.finish(order(A, again, 10.0 + again), order(A, again + 1, 11.0 + again))
    c.state.write(under_way)
    assert c.conflicts, "C finds that what it read is gone"
    found = RedisStore(redis, FEATURES, "app").read([["north"], [], []])
    (state,) = rebuilding.state._codecs[0].unpack([packed for _, packed in found[0]])
    assert state.count == again + 3
    ids = [a.state.fencing[at].source_id for at in (A, C)]
    assert state.fences == dict(zip(ids, (again + 1, 0), strict=True))


def test_a_write_that_is_sent_again_counts_as_written(
    redis: Redis, writers: tuple[Worker, Worker]
) -> None:
    """Its answer was lost: it has the version that it had."""
    a, _ = writers
    under_way = a.begin(order(A, 0, 10.0))
    for _ in range(2):
        a.state.write(under_way)
    assert a.conflicts == []


def test_two_workers_whose_use_case_seeds_its_random_numbers_draw_other_versions() -> None:
    """A use case may seed the generator that the module `random` shares."""
    import random

    from stream_app.features.stores.codec import unique_versions

    drawn = []
    for _ in range(2):
        random.seed(0)
        draw = unique_versions()
        drawn += [draw() for _ in range(1_000)]
    assert len(set(drawn)) == 2_000
    assert all(0 < version < 2**64 for version in drawn)
