"""Faults that strike Redis."""

import random
import shutil
import time
from pathlib import Path

from stream_app.local import LocalRedis
from tests.chaos.faults.base import Context, Fault

__all__ = [
    "STATE_LOSS",
    "KilledInRebuild",
    "OnRedis",
    "RedisAnswersWithErrors",
    "RedisCutShort",
    "RedisFlushed",
    "RedisFrozen",
    "RedisKilled",
    "RedisRestarted",
    "RedisRolledBack",
    "RedisRolledBackUnderAWriter",
    "RedisRolledBackWhileHeld",
]


_LARGEST_CUT_BYTES = 200_000
_REBUILD_SECONDS = 3.0
_HELD_SECONDS = 1.0
_NOTICE_SECONDS = 6.0
_REBUILDING = "is rebuilt from"
"""What a worker says when it begins to build the state anew."""

#: Faults after which Redis lacks what it acknowledged, so that the state has to be built again.
STATE_LOSS = frozenset(
    {
        "redis-flushed",
        "redis-cut-short",
        "redis-rolled-back",
        "redis-rolled-back-under-a-writer",
        "redis-rolled-back-while-held",
        "killed-in-rebuild",
    }
)


class OnRedis(Fault):
    """Strikes the server."""

    target = "redis"

    def heal(self, context: Context) -> None:
        context.services.redis.start()


class RedisKilled(OnRedis):
    """kill -9; what was acknowledged is in its append-only file."""

    kind = "redis-killed"
    longest_seconds = 2.0
    weight = 2.0

    def begin(self, context: Context) -> None:
        context.services.redis.kill()


class RedisRestarted(OnRedis):
    """Ended in good order and started again."""

    kind = "redis-restarted"

    def begin(self, context: Context) -> None:
        context.services.redis.terminate()


class RedisFrozen(OnRedis):
    """SIGSTOP: it takes connections and answers nothing."""

    kind = "redis-frozen"
    shortest_seconds, longest_seconds = 1.0, 4.0

    def begin(self, context: Context) -> None:
        context.services.redis.pause()

    def heal(self, context: Context) -> None:
        context.services.redis.resume()


class RedisFlushed(OnRedis):
    """FLUSHALL: everything that was acknowledged is gone."""

    kind = "redis-flushed"

    def begin(self, context: Context) -> None:
        context.services.empty_redis()

    def heal(self, context: Context) -> None:
        """What is lost is lost."""


class RedisCutShort(OnRedis):
    """kill -9, and the end of the append-only file is lost."""

    kind = "redis-cut-short"
    longest_seconds = 1.0

    def begin(self, context: Context) -> None:
        redis = context.services.redis
        redis.kill()
        newest = max(_append_only(redis.directory).glob("*.incr.aof"), key=_number)
        size = newest.stat().st_size
        cut = min(size, random.Random(self.choice).randrange(1, _LARGEST_CUT_BYTES))
        with newest.open("rb+") as file:
            file.truncate(size - cut)


class RedisRolledBack(OnRedis):
    """A replica that lagged takes over: the last seconds are lost, as a whole."""

    kind = "redis-rolled-back"
    shortest_seconds, longest_seconds = 0.5, 3.0

    def begin(self, context: Context) -> None:
        _keep_copy(context.services.redis)

    def heal(self, context: Context) -> None:
        _roll_back(context.services.redis)


class RedisRolledBackUnderAWriter(OnRedis):
    """The same while one worker is frozen: it comes back with states that it read before.

    What it writes then must not replace what the others have built meanwhile, though its versions
    may look the same.
    """

    kind = "redis-rolled-back-under-a-writer"
    shortest_seconds, longest_seconds = 0.5, 2.0
    weight = 2.0

    def begin(self, context: Context) -> None:
        _keep_copy(context.services.redis)
        time.sleep(self.lasts_seconds)
        member = context.workers.members[self.choice % len(context.workers.members)]
        with member.lock:
            member.freeze()
            try:
                _roll_back(context.services.redis)
                time.sleep(_REBUILD_SECONDS)
            finally:
                member.resume()

    def heal(self, context: Context) -> None:
        """Nothing is left to do."""


class RedisRolledBackWhileHeld(OnRedis):
    """The same while what the workers publish is held up on its way to the brokers."""

    kind = "redis-rolled-back-while-held"
    shortest_seconds, longest_seconds = 0.5, 2.0
    weight = 2.0

    def begin(self, context: Context) -> None:
        _keep_copy(context.services.redis)
        time.sleep(self.lasts_seconds)
        with context.alone_with("kafka link"):
            for link in context.services.kafka_links:
                link.freeze()
            try:
                time.sleep(_HELD_SECONDS)
                _roll_back(context.services.redis)
            finally:
                for link in context.services.kafka_links:
                    link.heal()

    def heal(self, context: Context) -> None:
        """Nothing is left to do."""


class RedisAnswersWithErrors(OnRedis):
    """It answers, and refuses: the right to a command that the worker needs is taken away."""

    kind = "redis-answers-with-errors"
    shortest_seconds, longest_seconds = 0.5, 4.0
    weight = 2.0
    ends_workers = (r"^Redis refuses: .*has no permissions to run the '\S+' command",)

    def begin(self, context: Context) -> None:
        command = ("mget", "evalsha", "eval", "hgetall", "@all")[self.choice % 5]
        context.services.rights_in_redis(f"-{command}")

    def heal(self, context: Context) -> None:
        context.services.rights_in_redis("+@all")


class KilledInRebuild(OnRedis):
    """Redis is emptied, and who begins to build the state anew is killed at it, twice."""

    kind = "killed-in-rebuild"
    weight = 2.0

    def begin(self, context: Context) -> None:
        for _ in range(2):
            said = {member.number: len(member.worker.log) for member in context.workers.members}
            context.services.empty_redis()
            deadline = time.monotonic() + _NOTICE_SECONDS
            struck = False
            while not struck and time.monotonic() < deadline:
                for member in context.workers.members:
                    if _REBUILDING in member.worker.log[said[member.number] :]:
                        with member.lock:
                            member.kill()
                            member.start()
                        struck = True
                time.sleep(0.05)

    def heal(self, context: Context) -> None:
        """What is lost is lost."""


def _keep_copy(redis: LocalRedis) -> None:
    folder = _append_only(redis.directory)
    copy = redis.directory / "earlier"
    shutil.rmtree(copy, ignore_errors=True)
    # Frozen, so that the copy is of one moment.
    redis.pause()
    try:
        shutil.copytree(folder, copy)
    finally:
        redis.resume()


def _roll_back(redis: LocalRedis) -> None:
    folder = _append_only(redis.directory)
    redis.kill()
    shutil.rmtree(folder)
    (redis.directory / "earlier").rename(folder)
    redis.start()


def _append_only(directory: Path) -> Path:
    return directory / "appendonlydir"


def _number(file: Path) -> int:
    """`appendonly.aof.3.incr.aof` is the third."""
    return int(file.name.split(".")[2])
