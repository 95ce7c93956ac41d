"""Consumer lag, worked out when it is asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from stream_app.kafka.end_offsets import PartitionLag
from stream_app.telemetry.catalogue import CATALOGUE

__all__ = ["LAG_METRICS", "LagCollector"]

_LOG = logging.getLogger(__name__)
_LABELS = ("topic", "partition")
_RECORDS: Final = "stream_app_consumer_lag_records"
_SECONDS: Final = "stream_app_consumer_lag_seconds"

LAG_METRICS: Final = frozenset({_RECORDS, _SECONDS})
"""Exported by `LagCollector`."""

_DOCS: Final = {spec.name: spec.doc for spec in CATALOGUE}


class LagCollector(Collector):
    """Asks its source at each scrape: a number that the work loop set would stand still with it."""

    def __init__(self, source: Callable[[], Iterable[PartitionLag]]) -> None:
        """`source` is asked on the thread of the server."""
        self._source = source

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Name the families, so that the registry refuses others of those names."""
        return self._families()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the lag of each partition; none if the source fails, which is logged."""
        records, seconds = families = self._families()
        try:
            for lag in list(self._source()):
                labels = [lag.topic, str(lag.partition)]
                seconds.add_metric(labels, lag.seconds)
                if lag.records is not None:
                    records.add_metric(labels, lag.records)
        except Exception:  # noqa: BLE001  the other metrics must still be served
            _LOG.exception("The lag cannot be worked out.")
        return families

    def _families(self) -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
        return (
            GaugeMetricFamily(_RECORDS, _DOCS[_RECORDS], labels=_LABELS),
            GaugeMetricFamily(_SECONDS, _DOCS[_SECONDS], labels=_LABELS),
        )
