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
    places = sorted(scope.partitions or ends)
    firsts, bounded = _by_time(scope, brokers, places, starts, ends)
    if scope.first is not None or scope.last is not None:
        if len(places) != 1:
            raise ConfigurationError("Offsets are those of one partition: name it, and only it.")
        place = places[0]
        firsts[place] = max(firsts[place], scope.first or 0)
        if scope.last is not None:
            bounded[place] = min(bounded[place], scope.last + 1)
    return {place: (min(firsts[place], bounded[place]), bounded[place]) for place in places}


def _by_time(
    scope: Scope,
    brokers: Brokers,
    places: Sequence[PartitionId],
    starts: Mapping[PartitionId, int],
    ends: Mapping[PartitionId, int],
) -> tuple[dict[PartitionId, int], dict[PartitionId, int]]:
    """First offsets and ends by the times of the scope."""
    firsts = dict.fromkeys(places, 0)
    bounded = {place: ends[place] for place in places}
    if scope.since is not None:
        for place, offset in brokers.first_at(places, scope.since).items():
            if offset is None:
                firsts[place] = ends[place]
            elif offset > starts[place]:
                firsts[place] = offset
            # Else the log begins later than the range: offsets that are gone have no times, so
            # all of them may belong to it.
    if scope.until is not None:
        for place, offset in brokers.first_at(places, scope.until).items():
            if offset is not None:
                bounded[place] = min(bounded[place], offset)
    return firsts, bounded
