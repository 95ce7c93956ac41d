"""The metrics of a Prometheus registry as OTLP's data, so that both say the same.

Counters and histograms become cumulative sums and histograms that began when the process did; whatever
else becomes a gauge. Names and labels are the registry's, as `/metrics` has them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Metric as OtlpMetric
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import CollectorRegistry, Metric

__all__ = ["metrics_data"]

_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE
_UNITS: Final = {"_seconds": "s", "_bytes": "By"}
_UNKNOWN: Final[Any] = None
"""The registry keeps no smallest and no largest value; OTLP may leave them out."""

_Labels = tuple[tuple[str, str], ...]


def metrics_data(
    registry: CollectorRegistry, resource: Resource, scope: str, since: int, now: int
) -> MetricsData:
    """What the registry says now; `since` and `now` in nanoseconds since the epoch."""
    metrics = [
        OtlpMetric(family.name, family.documentation, _unit(family.name), _data(family, since, now))
        for family in registry.collect()
        if family.samples
    ]
    scoped = ScopeMetrics(InstrumentationScope(scope), metrics, "")
    return MetricsData([ResourceMetrics(resource, [scoped], "")])


def _data(family: Metric, since: int, now: int) -> Sum | Gauge | Histogram:
    if family.type == "histogram":
        return Histogram(list(_histograms(family, since, now)), _CUMULATIVE)
    # An info has all it says in its labels, and the value 1.
    points = [
        NumberDataPoint(dict(sample.labels), since, now, sample.value)
        for sample in family.samples
        if not sample.name.endswith("_created")
    ]
    if family.type == "counter":
        return Sum(points, _CUMULATIVE, is_monotonic=True)
    return Gauge(points)


def _histograms(family: Metric, since: int, now: int) -> Iterable[HistogramDataPoint]:
    cumulative: dict[_Labels, list[tuple[float, float]]] = {}
    sums: dict[_Labels, float] = {}
    for sample in family.samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        key = tuple(labels.items())
        if sample.name.endswith("_bucket"):
            cumulative.setdefault(key, []).append((float(sample.labels["le"]), sample.value))
        elif sample.name.endswith("_sum"):
            sums[key] = sample.value
    for key, buckets in cumulative.items():
        counts = [count for _, count in buckets]
        apart = [int(count - before) for count, before in zip(counts, [0.0, *counts], strict=False)]
        bounds = [bound for bound, _ in buckets[:-1]]
        yield HistogramDataPoint(
            dict(key), since, now, int(counts[-1]), sums.get(key, 0.0), apart, bounds,
            _UNKNOWN, _UNKNOWN,
        )  # fmt: skip


def _unit(name: str) -> str:
    return next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "")
