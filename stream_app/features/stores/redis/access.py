"""Whether a Redis lets states be kept in it: every command that is needed is tried, in vain.

Who runs a worker learns of a missing right, a renamed command or another database before records
are taken, and of all that is missing at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stream_app.features.stores.contract import StoreMismatchError, StoreRefusedError
from stream_app.features.stores.redis.errors import Kind, answered, failure, understood, verdict
from stream_app.features.stores.redis.keys import Keys
from stream_app.features.stores.redis.nodes import (
    Command,
    Nodes,
    Script,
    pairs_of,
    spread_otherwise,
)

__all__ = ["ACCESS", "check_access", "warn_of_eviction"]

ACCESS: Final = Script.named("access")


def check_access(nodes: Nodes, keys: Keys) -> None:
    """Raise the contract's error where a bucket cannot be read or written, or is one of another number.

    Nothing is changed.
    """
    present = nodes.round_trip([(bucket, ("GET", key)) for bucket, key in enumerate(keys.sizes)])
    for found in present:
        with understood():
            buckets = keys.buckets if found is None else int(found)
        if buckets != keys.buckets:
            raise spread_otherwise(buckets, keys.buckets)
    refused: dict[str, StoreMismatchError] = {}
    for bucket in range(keys.buckets):
        _try(nodes, keys, bucket, refused)
    if refused:
        first = next(iter(refused.values()))
        raise StoreMismatchError(f"{first}. Refused: {', '.join(refused)}") from first


def warn_of_eviction(nodes: Nodes, buckets: int, warn: Callable[[str], None]) -> None:
    """Say what happens to states when a server's memory is full."""
    ask: Command = ("CONFIG", "GET", "maxmemory-policy")
    try:
        replies = nodes.round_trip([(bucket, ask) for bucket in range(buckets)])
    except (StoreMismatchError, StoreRefusedError):  # CONFIG is not for everyone
        return
    policies = {dict(pairs_of(reply)).get(b"maxmemory-policy", b"").decode() for reply in replies}
    for policy in sorted(policies - {"", "noeviction"}):
        warn(
            f"Redis deletes keys when its memory is full (maxmemory-policy {policy}), and states "
            "with them: set maxmemory-policy noeviction"
        )


def _try(nodes: Nodes, keys: Keys, bucket: int, refused: dict[str, StoreMismatchError]) -> None:
    states = [f"{prefix}access" for prefix in keys.states[bucket]]
    call = ACCESS(
        [
            keys.current[bucket],
            keys.marks[bucket],
            keys.sources[bucket],
            keys.sizes[bucket],
            *states,
        ]
    )
    commands: list[Command] = [
        ("MGET", *states),
        ("HMGET", keys.sources[bucket], ""),
        ("HGETALL", keys.marks[bucket]),
        ("EVAL", ACCESS.text, *call[2:]),
        call,
    ]
    answers: list[bytes] = []
    for command in commands:
        try:
            (reply,) = nodes.round_trip([(bucket, command)])
        except StoreMismatchError as error:
            refused.setdefault(str(command[0]), error)
        else:
            answers = reply if command is call else answers
    for name, answer in zip(answers[::2], answers[1::2], strict=True):
        told = answered(answer.decode("utf-8", "replace"))
        if not answer or verdict(told).kind is Kind.BUG:
            continue  # served, or refused for nothing but its arguments
        known = failure(told)
        if not isinstance(known, StoreMismatchError):
            raise known
        refused.setdefault(name.decode(), known)
