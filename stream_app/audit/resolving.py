"""From what was asked for to offsets of each partition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stream_app.audit.scope import Scope
from stream_app.errors import ConfigurationError
from stream_app.kafka.brokers import Brokers
from stream_app.records.places import PartitionId

__all__ = ["resolve"]


def resolve(
    scope: Scope,
    brokers: Brokers,
    starts: Mapping[PartitionId, int],
    ends: Mapping[PartitionId, int],
) -> dict[PartitionId, tuple[int, int]]:
    """First offset and end of the range of each partition in scope.

    A range may begin before the log does: what lies in between is gone. Raises
    `ConfigurationError` for partitions or offsets that do not exist.
    """
    unknown = sorted(scope.partitions - ends.keys())
    if unknown:
        raise ConfigurationError(f"The event topics have no partition {unknown[0]}.")
    partition_ids = sorted(scope.partitions or ends)
    firsts, bounded = _by_time(scope, brokers, partition_ids, starts, ends)
    if scope.first is not None or scope.last is not None:
        if len(partition_ids) != 1:
            raise ConfigurationError("Offsets are those of one partition: name it, and only it.")
        partition_id = partition_ids[0]
        firsts[partition_id] = max(firsts[partition_id], scope.first or 0)
        if scope.last is not None:
            bounded[partition_id] = min(bounded[partition_id], scope.last + 1)
    return {
        partition_id: (min(firsts[partition_id], bounded[partition_id]), bounded[partition_id])
        for partition_id in partition_ids
    }


def _by_time(
    scope: Scope,
    brokers: Brokers,
    partition_ids: Sequence[PartitionId],
    starts: Mapping[PartitionId, int],
    ends: Mapping[PartitionId, int],
) -> tuple[dict[PartitionId, int], dict[PartitionId, int]]:
    """First offsets and ends by the times of the scope."""
    firsts = dict.fromkeys(partition_ids, 0)
    bounded = {partition_id: ends[partition_id] for partition_id in partition_ids}
    if scope.since is not None:
        for partition_id, offset in brokers.first_at(partition_ids, scope.since).items():
            if offset is None:
                firsts[partition_id] = ends[partition_id]
            elif offset > starts[partition_id]:
                firsts[partition_id] = offset
            # Else the log begins later than the range: offsets that are gone have no times, so
            # all of them may belong to it.
    if scope.until is not None:
        for partition_id, offset in brokers.first_at(partition_ids, scope.until).items():
            if offset is not None:
                bounded[partition_id] = min(bounded[partition_id], offset)
    return firsts, bounded
