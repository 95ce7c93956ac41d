"""Consumer lag, worked out when it is asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

__all__ = ["LagCollector", "PartitionLag"]

_LOG = logging.getLogger(__name__)
_LABELS = ("topic", "partition")


class PartitionLag(NamedTuple):
    """How far behind the worker is on a partition."""

    topic: str
    partition: int
    records: int | None
    """Records not finished yet; None while the end of the partition is unknown."""
    seconds: float
    """Age of the oldest record not finished yet; 0 where there is none."""


class LagCollector(Collector):
    """Asks `source` at each scrape: a number that the work loop set would stand still with it."""

    def __init__(self, records: tuple[str, str], seconds: tuple[str, str]) -> None:
        """Take name and documentation of the two families."""
        self._records = records
        self._seconds = seconds
        self.source: Callable[[], Iterable[PartitionLag]] | None = None

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Name the families, so that the registry refuses others of those names."""
        return self._families()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the lag of each partition; none if the source fails, which is logged."""
        records, seconds = families = self._families()
        try:
            for lag in list(self.source()) if self.source else []:
                labels = [lag.topic, str(lag.partition)]
                seconds.add_metric(labels, lag.seconds)
                if lag.records is not None:
                    records.add_metric(labels, lag.records)
        except Exception:  # noqa: BLE001  the other metrics must still be served
            _LOG.exception("The lag cannot be worked out.")
        return families

    def _families(self) -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
        return (
            GaugeMetricFamily(*self._records, labels=_LABELS),
            GaugeMetricFamily(*self._seconds, labels=_LABELS),
        )
