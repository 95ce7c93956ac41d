"""What is said of brokers and Redis, from what they say of themselves."""

import pytest

from stream_app.doctor.coordinator_clock import offsets_partition
from stream_app.doctor.finding import Finding, Level, error, ok, told_once, tried, warning
from stream_app.doctor.kafka import weaknesses
from stream_app.doctor.redis import look
from stream_app.errors import FatalError
from stream_app.features.stores.redis.servers import Server

GOOD = Server("8.0", 100, 1_000, "noeviction", True, 0.0)


@pytest.mark.parametrize(
    ("in_sync", "least", "said"),
    [
        ({0: (3, 3), 1: (3, 3)}, 2, []),
        ({0: (1, 1)}, 1, ["kept by one broker"]),
        ({0: (3, 3)}, 1, ["min.insync.replicas=1"]),
        ({0: (2, 2)}, 2, ["nothing is written while one broker is away"]),
        ({0: (3, 3), 1: (2, 3)}, 2, ["of partitions 1 not all replicas are in sync"]),
        ({0: (3, 3), 1: (1, 3)}, 2, ["of partitions 1 fewer replicas are in sync than"]),
        ({0: (1, 1)}, 2, ["so nothing can be written"]),
    ],
)
def test_how_many_brokers_may_fail_is_told(
    in_sync: dict[int, tuple[int, int]], least: int, said: list[str]
) -> None:
    """Three replicas of which two must have a record are what nothing is said of."""
    found = list(weaknesses(in_sync, least))
    assert len(found) == len(said)
    assert all(part in text for part, (_, text) in zip(said, found, strict=True))
    levels = [level for level, _ in found]
    assert levels == [
        Level.ERROR if "can be written" in part or "fewer" in part else Level.WARNING
        for part in said
    ]


@pytest.mark.parametrize(
    ("changes", "level", "said"),
    [
        ({"policy": "allkeys-lru"}, Level.ERROR, "set noeviction"),
        ({"policy": "volatile-ttl", "most_bytes": 0}, Level.WARNING, "set noeviction"),
        ({"used_bytes": 900}, Level.WARNING, "90% of maxmemory"),
        ({"persists": False}, Level.WARNING, "appendonly yes"),
        ({"ahead_seconds": -60.0}, Level.WARNING, "60 s behind"),
    ],
)
def test_what_puts_states_at_risk_is_told(
    changes: dict[str, object], level: Level, said: str
) -> None:
    """A server that may drop state is an error where it has a bound to drop it at."""
    (finding,) = look(GOOD._replace(**changes))
    assert finding.level is level
    assert said in finding.text


def test_nothing_is_said_of_what_a_server_does_not_tell() -> None:
    """CONFIG and INFO are not for everyone."""
    assert list(look(GOOD)) == []
    assert list(look(Server("", None, None, "", None, 0.0))) == []


def test_one_look_that_fails_is_a_finding_and_ends_no_other() -> None:
    """What was found before it stands."""

    def look_twice() -> object:
        yield ok("kafka", "reached")
        raise FatalError("the worker may not\nread")

    assert list(tried("kafka", look_twice)) == [
        Finding(Level.OK, "kafka", "reached"),
        Finding(Level.ERROR, "kafka", "the worker may not read"),
    ]


def test_the_log_of_a_group_is_found_as_brokers_find_it() -> None:
    """By the hash that Java has of its name: negative, of a character of two units, and the one without a
    positive counterpart."""
    groups = ("flights", "orders-eu", "Ströme 🛫", "polygenelubricants")
    assert [offsets_partition(group, 50).number for group in groups] == [9, 16, 25, 0]


def test_an_error_that_several_looks_meet_is_told_once() -> None:
    """By the first of them: a topic that is missing is one thing to mend."""
    missing = "topic orders is missing"
    found = [ok("kafka", "there"), error("events", missing), error("group", missing)]
    found += [warning("events", "one broker"), warning("topics out", "one broker")]
    assert [*told_once(found)] == [found[0], found[1], found[3], found[4]]
