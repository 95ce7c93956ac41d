"""What the topics say: their records from the beginning, their ends, and what a group committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

from confluent_kafka import Message
from confluent_kafka.admin import AdminClient

from demo.errors import DemoError
from stream_app.errors import FatalError, ServiceAwayError
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.log_reader import NO_END
from stream_app.records.places import PartitionId

__all__ = ["Offsets", "Reader"]

_STALLED_SECONDS: Final = 30.0
_RECORDS: Final = 5_000


def _brokers(bootstrap: str, group: str, **properties: Any) -> Brokers:
    client: dict[str, Any] = {"bootstrap.servers": bootstrap, "log_level": 0}
    return Brokers(AdminClient(client), {**client, "group.id": group, **properties})


class Reader:
    """Reads partitions from their beginning, as a consumer of its own; it never commits."""

    def __init__(self, bootstrap: str, partitions: Iterable[PartitionId]) -> None:
        self._log = _brokers(
            bootstrap,
            "stream-app-demo-observer",  # asked for by the client, never joined
            **{
                "isolation.level": "read_committed",
                "fetch.queue.backoff.ms": 10,
                # Few large answers: what only looks on must not take the broker's time.
                "fetch.min.bytes": 65_536,
                "fetch.wait.max.ms": 200,
            },
        ).log_reader()
        self._log.assign(dict.fromkeys(partitions, (0, NO_END)))

    def read(self, timeout_seconds: float) -> list[Message]:
        """Return what has come, after at most `timeout_seconds`."""
        try:
            steps = list(self._log.read(_RECORDS, timeout_seconds))
        except (FatalError, ServiceAwayError) as error:
            raise DemoError(f"The topics cannot be read: {error}") from error
        return [step.message for step in steps if step.message is not None]

    def read_to(self, ends: Mapping[PartitionId, int]) -> Iterable[list[Message]]:
        """Yield everything up to the end offsets `ends`."""
        waited = 0.0
        while any(self._log.next_offset(partition) < end for partition, end in ends.items()):
            messages = self.read(0.2)
            waited = 0.0 if messages else waited + 0.2
            if waited > _STALLED_SECONDS:
                raise DemoError(f"The topics deliver nothing for {_STALLED_SECONDS:g} s.")
            yield messages

    def close(self) -> None:
        """Let go of the connections."""
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Offsets:
    """Asks the brokers how far topics and a group are."""

    def __init__(self, bootstrap: str, group: str) -> None:
        self._brokers = _brokers(bootstrap, group)

    def ends(self, partitions: Iterable[PartitionId]) -> dict[PartitionId, int]:
        """Return the end offset of each partition."""
        try:
            return self._brokers.ends(partitions)
        except (FatalError, ServiceAwayError) as error:
            raise DemoError(f"The brokers do not tell the ends: {error}") from error

    def committed(self, partitions: Iterable[PartitionId]) -> dict[PartitionId, int]:
        """Return what the group has committed; partitions without a commit are left out."""
        try:
            found = self._brokers.committed(partitions, wait=False)
        except ServiceAwayError:
            return {}  # the group's coordinator is still being made
        return {partition: each.offset for partition, each in found.items()}
