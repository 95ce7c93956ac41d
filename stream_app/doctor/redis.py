"""Redis, as the state of a use case needs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from stream_app.doctor.finding import Finding, error, ok, warning
from stream_app.state.store_errors import ask

if TYPE_CHECKING:
    from stream_app.features.stores.redis import RedisStore
    from stream_app.features.stores.redis.servers import Server

__all__ = ["look", "redis"]

_CLOCK_SECONDS: Final = 5.0
_MIB: Final = 2**20
_FULL: Final = 0.8


def redis(store: RedisStore) -> Iterator[Finding]:
    """Whether states can be kept there, and would stay."""
    ask(store.check_access)
    found = ask(store.servers)
    versions = ", ".join(sorted({server.version or "version not told" for server in found}))
    yield ok("redis", f"reached, with every right that states need; {versions}")
    for server in found:
        yield from look(server)


def look(server: Server) -> Iterator[Finding]:
    """What of one server puts states at risk."""
    if server.policy and server.policy != "noeviction":
        told = f"maxmemory-policy is {server.policy}: a server that is full deletes states; set noeviction"
        # Without a bound nothing is ever deleted, until somebody sets one.
        yield (error if server.most_bytes else warning)("redis", told)
    if server.most_bytes and server.used_bytes is not None:
        share = server.used_bytes / server.most_bytes
        if share > _FULL:
            yield warning(
                "redis",
                f"{share:.0%} of maxmemory is taken ({server.used_bytes / _MIB:,.0f} MiB): writes are "
                "refused when it is full, and records wait; raise maxmemory",
            )
    if server.persists is False:
        yield warning(
            "redis",
            "it writes nothing to a disk: after a restart the state is rebuilt from the topics, as far "
            "back as they reach; set appendonly yes",
        )
    if abs(server.ahead_seconds) > _CLOCK_SECONDS:
        apart = "ahead of" if server.ahead_seconds > 0 else "behind"
        yield warning(
            "redis",
            f"its clock is {abs(server.ahead_seconds):,.0f} s {apart} the one here: states expire by "
            "its clock, events are judged by this one; set both by NTP",
        )
