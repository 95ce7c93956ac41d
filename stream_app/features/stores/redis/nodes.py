"""Round trips: commands to the nodes that have their buckets, side by side, and the replies.

redis-py's own packing walks over every argument in Python, which for thousands of keys a batch
costs more than Redis itself; its connections and its knowledge of a cluster are used, and commands
are packed by hiredis.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from typing import Any, Final

from hiredis import pack_command
from redis.exceptions import (
    AskError,
    MovedError,
    NoScriptError,
    ResponseError,
)

from stream_app.features.stores.contract import StateLostError, StoreMismatchError, another_cluster
from stream_app.features.stores.redis.errors import in_the_contract
from stream_app.text.foreign import bounded

__all__ = ["KEYS_A_SCAN", "Command", "Nodes", "OneNode", "Script", "pairs_of", "spread_otherwise"]

Command = tuple[str | bytes | int, ...]

#: How often a command is sent in one round trip while nodes point elsewhere.
_ATTEMPTS: Final = 5

KEYS_A_SCAN: Final = 1_000


class Script:
    """A Lua script, called by its hash and sent where it is not known yet."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    @classmethod
    def named(cls, name: str) -> Script:
        """The script in the file of that name."""
        return cls(files("stream_app.features.stores.redis").joinpath(f"{name}.lua").read_text())

    def __call__(self, keys: Sequence[str], *arguments: str | bytes | int) -> Command:
        """The command that runs it."""
        return ("EVALSHA", self.sha, len(keys), *keys, *arguments)


class Nodes(ABC):
    """The servers that keep an application's buckets."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        self._texts = {script.sha: script.text for script in scripts}

    @abstractmethod
    def _pool(self, bucket: int) -> Any:
        """The connection pool of the node that has the bucket."""

    def _pool_of(self, redirection: AskError) -> Any:
        """The connection pool of the node that an answer points at for this once."""
        raise _no_cluster_client(redirection)

    def _follow(self, redirection: MovedError) -> None:
        """Remember where a slot has moved to."""
        raise _no_cluster_client(redirection)

    def _doubt(self) -> None:  # noqa: B027  a single node is where it is
        """Ask again, before the next round trip, which node has what."""

    @abstractmethod
    def scan(self, pattern: str) -> Iterator[bytes]:
        """Keys that match the pattern, some perhaps more than once."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""

    def round_trip(self, commands: Sequence[tuple[int, Command]]) -> list[Any]:
        """Send commands, each with its bucket, to their nodes at once, and return their replies.

        Commands of one bucket are served in order. Raises the contract's errors.
        """
        if not commands:
            return []
        replies: list[Any] = [None] * len(commands)
        sendings = [(index, bucket, command) for index, (bucket, command) in enumerate(commands)]
        with in_the_contract(self._doubt):
            for _ in range(_ATTEMPTS):
                self._exchange(self._by_pool(sendings), replies)
                sendings = self._again(sendings, replies)
                if not sendings:
                    break
            return [_checked(reply) for reply in replies]

    def _by_pool(
        self, sendings: Sequence[tuple[int, int, Command]]
    ) -> dict[Any, list[tuple[int, Command]]]:
        groups: dict[Any, list[tuple[int, Command]]] = {}
        for index, bucket, command in sendings:
            groups.setdefault(self._pool(bucket), []).append((index, command))
        return groups

    def _exchange(self, groups: dict[Any, list[tuple[int, Command]]], replies: list[Any]) -> None:
        """Send to all nodes, then read from all; replies that are errors are kept as such."""
        under_way = []
        try:
            for pool, group in groups.items():
                connection = pool.get_connection()
                under_way.append((pool, connection, group))
                packed = b"".join([pack_command(c) for _, c in group])  # type: ignore[arg-type]
                connection.send_packed_command([packed])
            for _, connection, group in under_way:
                for index, _ in group:
                    try:
                        replies[index] = connection.read_response()
                    except ResponseError as error:
                        replies[index] = error
        except BaseException:
            # Replies that were not read would be taken for those of the next command.
            for _, connection, _ in under_way:
                connection.disconnect()
            raise
        finally:
            for pool, connection, _ in under_way:
                pool.release(connection)

    def _again(
        self, sendings: Sequence[tuple[int, int, Command]], replies: list[Any]
    ) -> list[tuple[int, int, Command]]:
        """What has to be sent again, elsewhere or in another form."""
        again = []
        for index, bucket, command in sendings:
            reply = replies[index]
            if isinstance(reply, NoScriptError):
                # The server was restarted or its scripts were flushed.
                again.append((index, bucket, ("EVAL", self._texts[str(command[1])], *command[2:])))
            elif isinstance(reply, MovedError):
                self._follow(reply)
                again.append((index, bucket, command))
            elif isinstance(reply, AskError):
                # The slot is about to move: this command alone is served by the next owner.
                asked: list[Any] = [None, None]
                pool = self._pool_of(reply)
                self._exchange({pool: [(0, ("ASKING",)), (1, command)]}, asked)
                replies[index] = asked[1]
                if isinstance(asked[1], NoScriptError):
                    again.append((index, bucket, command))
        return again


class OneNode(Nodes):
    """A single server, which has every bucket."""

    def __init__(self, client: Any, scripts: Sequence[Script]) -> None:
        super().__init__(scripts)
        self._client = client

    def _pool(self, bucket: int) -> Any:  # noqa: ARG002
        return self._client.connection_pool

    def scan(self, pattern: str) -> Iterator[bytes]:
        """Keys that match the pattern."""
        with in_the_contract(self._doubt):
            yield from self._client.scan_iter(match=pattern, count=KEYS_A_SCAN)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


def _no_cluster_client(redirection: AskError) -> StoreMismatchError:
    place = f"{redirection.host}:{redirection.port}"
    return StoreMismatchError(
        f"the server of redis_url belongs to a Redis Cluster and points at {bounded(place)}: write "
        "redis+cluster:// or rediss+cluster://"
    )


def _checked(reply: Any) -> Any:
    """A reply; raises if it is an error."""
    if not isinstance(reply, Exception):
        return reply
    code, *words = str(reply).split(" ")
    if code == "STATELOST":
        raise StateLostError(_lost(*words))
    if code == "BUCKETS":
        raise spread_otherwise(*map(int, words))
    if code == "CLUSTER":
        raise another_cluster(*words)
    raise reply


def spread_otherwise(found: int, opened: int) -> StoreMismatchError:
    """The states would not be found."""
    return StoreMismatchError(
        f"state_buckets: the application's state is spread over {found} buckets and was opened with "
        f"{opened}: set state_buckets to {found}, or give the application another name"
    )


def _lost(what: str, *words: str) -> str:
    if what == "generation":
        found, expected = words
        return f"generation {found} of the state is the current one, {expected} was expected"
    if what == "source":
        found, expected = words
        known = "not at all" if found == "-" else f"as {found}"
        return f"source {expected} is registered {known}: Redis lost what it had acknowledged"
    source, found, expected = words
    return (
        f"source {source} is applied through offset {found}, {expected} was expected: Redis lost "
        "what it had acknowledged"
    )


def pairs_of(reply: Any) -> Iterable[tuple[bytes, bytes]]:
    """What a command with a map for an answer says: RESP3 has maps, RESP2 lists."""
    return reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
