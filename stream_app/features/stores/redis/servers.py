"""What the servers that keep an application's states say of themselves."""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from stream_app.features.stores.contract import StoreMismatchError, StoreRefusedError
from stream_app.features.stores.redis.nodes import Command, Nodes, pairs_of

__all__ = ["Server", "servers"]

_MICROSECOND: Final = 1e-6


class Server(NamedTuple):
    """A server of Redis, or of what speaks its language; what it does not tell is None or empty."""

    version: str
    used_bytes: int | None
    """Memory that its keys take."""
    most_bytes: int | None
    """Of maxmemory; 0 where there is no bound."""
    policy: str
    """What it does when that is reached: maxmemory-policy."""
    persists: bool | None
    """Whether it writes its keys to a disk."""
    ahead_seconds: float
    """How far its clock is ahead of ours, to within a round trip."""


def servers(nodes: Nodes, buckets: int) -> list[Server]:
    """Ask the server of each bucket once. Raises the contract's errors."""
    found = {}
    for bucket in range(buckets):
        told = _ask(nodes, bucket, ("INFO",)) or b""
        lines = dict(
            line.split(":", 1)
            for line in told.decode("utf-8", "replace").splitlines()
            if ":" in line
        )
        # One server may keep many buckets.
        name = lines.get("run_id", str(bucket))
        if name not in found:
            found[name] = _server(nodes, bucket, lines)
    return list(found.values())


def _server(nodes: Nodes, bucket: int, lines: dict[str, str]) -> Server:
    before = time.time()
    ((seconds, microseconds),) = nodes.round_trip([(bucket, ("TIME",))])
    ours = (before + time.time()) / 2
    return Server(
        lines.get("valkey_version") or lines.get("redis_version", ""),
        _number(lines.get("used_memory")),
        _number(lines.get("maxmemory")),
        lines.get("maxmemory_policy", ""),
        _persists(nodes, bucket, lines),
        int(seconds) + int(microseconds) * _MICROSECOND - ours,
    )


def _persists(nodes: Nodes, bucket: int, lines: dict[str, str]) -> bool | None:
    if lines.get("aof_enabled") == "1":
        return True
    reply = _ask(nodes, bucket, ("CONFIG", "GET", "save"))
    return None if reply is None else bool(dict(pairs_of(reply)).get(b"save"))


def _ask(nodes: Nodes, bucket: int, command: Command) -> bytes | None:
    """The reply; None where the right is missing, or the server knows no such command."""
    try:
        (reply,) = nodes.round_trip([(bucket, command)])
    except (StoreMismatchError, StoreRefusedError):
        return None
    else:
        found: bytes = reply
        return found


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None
