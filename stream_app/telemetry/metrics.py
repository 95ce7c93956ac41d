"""What the worker tells Prometheus. The names are in `catalogue`.

Every method may be called from any thread and costs a microsecond or so: call it once a batch, not
once a record.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Info,
    Metric,
    PlatformCollector,
    ProcessCollector,
)

from stream_app.telemetry.catalogue import CATALOGUE, MetricSpec
from stream_app.telemetry.histogram import Buckets, BulkHistogram
from stream_app.telemetry.lag import LAG_METRICS
from stream_app.wire.reasons import label

__all__ = ["Metrics"]

_KINDS: dict[str, Any] = {"counter": Counter, "gauge": Gauge}
_STAGES: Final = frozenset({"align", "decode", "enrich", "score", "publish", "state"})


class _Registry(CollectorRegistry):
    """A registry without `_created` series, which would be one more for each of ours."""

    def collect(self) -> Iterable[Metric]:
        """Return every family."""
        for family in super().collect():
            family.samples = [s for s in family.samples if not s.name.endswith("_created")]
            yield family


class Metrics:
    """The worker's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry: CollectorRegistry = _Registry()
        specs = {spec.name.removeprefix("stream_app_"): spec for spec in CATALOGUE}
        self._metrics = {
            name: self._make(spec) for name, spec in specs.items() if spec.name not in LAG_METRICS
        }
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        # Looking a child up by its labels costs more than counting.
        self._children: dict[tuple[str, ...], Any] = {}
        self._stopped: set[tuple[str, str]] = set()
        self._latency: Buckets = self._metrics["latency_seconds"].labels()
        self._batch: Buckets = self._metrics["batch_records"].labels()
        self._commit: Buckets = self._metrics["commit_seconds"].labels()
        for kind in ("assigned", "revoked", "lost"):
            self._child("rebalances", kind)
            self._child("rebalanced_partitions", kind)

    def build(self, version: str, model: str, model_version: str) -> None:
        """Say which application and which model serve."""
        self._metrics["build"].info(
            {"version": version, "model": model, "model_version": model_version}
        )

    def stage(self, name: str, seconds: float) -> None:
        """Count the time that a batch took in a stage; others than a batch's are left out."""
        if name in _STAGES:
            self._child("stage_seconds", name).observe(seconds)

    def batch(self, records: int) -> None:
        """Count a batch of so many records."""
        self._batch.observe(records)

    def predictions(
        self, model: str, version: str, served_by: str, degraded: str | None, count: int
    ) -> None:
        """Count predictions that were acknowledged."""
        self._child("predictions", model, version, served_by, degraded or "").inc(count)

    def outcome(
        self,
        outcome: Literal["predicted", "state_only", "dead_lettered", "skipped"],
        topic: str,
        count: int,
    ) -> None:
        """Count records that are finished."""
        self._child("records", outcome, topic).inc(count)

    def dead_letters(
        self, topic: str, stage: str, reason: str, disposition: str, count: int
    ) -> None:
        """Count dead letters that were acknowledged, by the topic of their events."""
        self._child("dead_letters", topic, stage, label(reason), disposition).inc(count)

    def latencies(self, seconds: npt.NDArray[np.float64]) -> None:
        """Count each record's time from its timestamp to the acknowledgement."""
        self._latency.observe_many(np.maximum(seconds, 0.0))

    def flood_stop(self, topic: str, partition: int) -> None:
        """Count a stop of a partition."""
        self._child("flood_stops", topic, str(partition)).inc()

    def flood_stopped(self, stopped: Iterable[tuple[str, int]]) -> None:
        """Say which partitions, as topic and number, are stopped now: those and no others."""
        now = {(topic, str(partition)) for topic, partition in stopped}
        for labels in self._stopped - now:
            self._child("flood_stopped", *labels).set(0)
        for labels in now:
            self._child("flood_stopped", *labels).set(1)
        self._stopped = now

    def unknown_fields(self, topic: str, count: int) -> None:
        """Count fields that the contract of a topic's events does not know."""
        self._child("unknown_fields", topic).inc(count)

    def redis_seconds(self, operation: str, seconds: float) -> None:
        """Count one round trip to Redis."""
        self._child("redis_seconds", operation).observe(seconds)

    def commit(self, seconds: float) -> None:
        """Count one commit that was answered."""
        self._commit.observe(seconds)

    def commit_failures(self, count: int = 1) -> None:
        """Count commits that failed."""
        self._metrics["commit_failures"].inc(count)

    def rebalance(self, kind: Literal["assigned", "revoked", "lost"], partitions: int) -> None:
        """Count a change of the assignment, by the partitions that came or went."""
        self._child("rebalances", kind).inc()
        self._child("rebalanced_partitions", kind).inc(partitions)
        self._metrics["assigned_partitions"].inc(partitions if kind == "assigned" else -partitions)

    def state_conflicts(self, count: int) -> None:
        """Count state values that another worker had changed."""
        self._metrics["state_conflicts"].inc(count)

    def state_ahead(self, count: int) -> None:
        """Count redelivered records whose state was ahead of them."""
        self._metrics["state_ahead"].inc(count)

    def rebuilding(self, partitions: int) -> None:
        """Say of how many partitions the state is being rebuilt now."""
        self._metrics["rebuilding_partitions"].set(partitions)

    def rebuilt_records(self, count: int) -> None:
        """Count records that were read again to rebuild the state."""
        self._metrics["rebuilt_records"].inc(count)

    def alignment_gave_up(self, count: int = 1) -> None:
        """Count waits for a partition that ran out."""
        self._metrics["alignment_gave_up"].inc(count)

    def clock_corrected(self, count: int) -> None:
        """Count records whose timestamp was replaced by now."""
        self._metrics["clock_corrected"].inc(count)

    def held(self, records: int, size_bytes: int) -> None:
        """Say what waits for another partition now."""
        self._metrics["held_records"].set(records)
        self._metrics["held_bytes"].set(size_bytes)

    def waiting(self, service: str, waiting: bool) -> None:
        """Say whether the worker waits for a service that is away."""
        self._child("waiting", service).set(int(waiting))

    def gone_by_retention(self, topic: str, partition: int, count: int) -> None:
        """Count records that were deleted before they were read."""
        self._child("records_gone_by_retention", topic, str(partition)).inc(count)

    def skipped_at_start(self, topic: str, partition: int, count: int) -> None:
        """Count records that a new group begins behind."""
        self._child("records_skipped_at_start", topic, str(partition)).inc(count)

    def now(self, name: str) -> dict[tuple[str, ...], float]:
        """What a counter or a gauge of the catalogue, without its prefix, holds now, by its label values."""
        metric = self._metrics[name]
        return {
            tuple(sample.labels.values()): sample.value
            for family in metric.collect()
            for sample in family.samples
            if not sample.name.endswith("_created")
        }

    @property
    def latency(self) -> Buckets:
        """Each record's time from its timestamp to the acknowledgement, as counted so far."""
        return self._latency

    def _child(self, name: str, *labels: str) -> Any:
        key = (name, *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._metrics[name].labels(*labels)
        return child

    def _make(self, spec: MetricSpec) -> Any:
        if spec.kind == "histogram":
            histogram = BulkHistogram(spec.name, spec.doc, spec.labels, spec.buckets)
            self.registry.register(histogram)
            return histogram
        if spec.kind == "info":
            return Info(spec.name, spec.doc, registry=self.registry)
        return _KINDS[spec.kind](spec.name, spec.doc, spec.labels, registry=self.registry)
