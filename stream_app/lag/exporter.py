"""The lag of groups for Prometheus: worked out when it is asked for, so it grows while nobody answers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from stream_app.lag.verdict import Verdict
from stream_app.lag.watch import Sight

__all__ = ["METRICS", "GroupLagCollector"]

_PARTITION: Final = ("group", "topic", "partition")

METRICS: Final = {
    "stream_app_group_lag_records": "Records that the group has not committed; markers of "
    "transactions are none.",
    "stream_app_group_lag_seconds": "Age of the oldest record that the group has not committed; 0 "
    "where there is none.",
    "stream_app_group_drain_seconds": "When nothing would wait, at the present rates; absent where "
    "that is not in sight.",
    "stream_app_group_committed_offset": "The next offset that the group would read.",
    "stream_app_group_held": "1 where a member of the group holds the partition.",
    "stream_app_group_verdict": "1 for the verdict that holds: ok, warning, stall, stop, rewind, "
    "flood, undecided.",
    "stream_app_group_members": "Members of the group that hold a partition.",
    "stream_app_group_looked_seconds": "Seconds since the brokers last told how the group stands; before "
    "they ever did, since they were first asked.",
}
"""Name to what it says."""


class GroupLagCollector(Collector):
    """What is known of some groups, at each scrape."""

    def __init__(self, sights: Sequence[Sight]) -> None:
        self._sights = sights

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Name the families."""
        return self._families().values()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The figures of all groups."""
        families = self._families()
        for sight in self._sights:
            _add(families, sight, time.time())
        return families.values()

    def _families(self) -> dict[str, GaugeMetricFamily]:
        labels = {
            "stream_app_group_verdict": (*_PARTITION, "verdict"),
            "stream_app_group_members": ("group",),
            "stream_app_group_looked_seconds": ("group",),
        }
        return {
            name: GaugeMetricFamily(name, doc, labels=labels.get(name, _PARTITION))
            for name, doc in METRICS.items()
        }


def _add(families: dict[str, GaugeMetricFamily], sight: Sight, now: float) -> None:
    known = sight.known
    families["stream_app_group_looked_seconds"].add_metric([sight.group], max(0.0, now - known.at))
    if not known.is_seen:
        return
    members = {lag.standing.member.id for lag in known.lags if lag.standing.member is not None}
    families["stream_app_group_members"].add_metric([sight.group], len(members))
    for lag in known.lags:
        labels = [sight.group, lag.partition.topic, str(lag.partition.number)]
        figures = {
            "stream_app_group_lag_records": lag.waiting.records,
            "stream_app_group_lag_seconds": lag.seconds(now),
            "stream_app_group_drain_seconds": lag.drain_seconds,
            "stream_app_group_committed_offset": lag.standing.committed,
            "stream_app_group_held": lag.standing.member is not None,
        }
        for name, value in figures.items():
            if value is not None:
                families[name].add_metric(labels, value)
        for verdict in Verdict:
            families["stream_app_group_verdict"].add_metric(
                [*labels, verdict.value], verdict is lag.verdict
            )
