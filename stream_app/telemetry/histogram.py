"""A histogram that takes a whole batch of values at once."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

__all__ = ["Buckets", "BulkHistogram"]


class Buckets:
    """Counts of values by upper bound; one for each set of label values."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._bounds_array = np.asarray(bounds, dtype=np.float64)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    @property
    def bounds(self) -> tuple[float, ...]:
        """The upper bounds, without the infinite one."""
        return self._bounds

    def counts(self) -> list[int]:
        """How many values lie in each bucket, and last those above every bound."""
        with self._lock:
            return list(self._counts)

    def observe(self, value: float) -> None:
        """Count one value."""
        place = bisect_left(self._bounds, value)
        with self._lock:
            self._counts[place] += 1
            self._sum += value

    def observe_many(self, values: npt.NDArray[np.float64]) -> None:
        """Count every value; NaN is left out, since it would spoil the sum for ever."""
        total = float(values.sum())
        if np.isnan(total):
            values = values[~np.isnan(values)]
            total = float(values.sum())
        places = np.searchsorted(self._bounds_array, values, side="left")
        added = np.bincount(places, minlength=len(self._counts)).tolist()
        with self._lock:
            self._counts = [a + b for a, b in zip(self._counts, added, strict=True)]
            self._sum += total

    def read(self) -> tuple[list[tuple[str, float]], float]:
        """Return (upper bound, how many are not above it) of each bucket, and the sum."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        buckets = []
        running = 0
        for bound, count in zip((*map(str, map(float, self._bounds)), "+Inf"), counts, strict=True):
            running += count
            buckets.append((bound, float(running)))
        return buckets, total


class BulkHistogram(Collector):
    """A `prometheus_client.Histogram` that can count arrays, and single values faster.

    `Histogram.observe` walks its buckets in Python: 1 to 6 us a value, and an event may cost 20.
    """

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str], buckets: Sequence[float]
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = tuple(labels)
        self._bounds = tuple(buckets)
        self._children: dict[tuple[str, ...], Buckets] = {}
        if not labels:
            self.labels()  # it is served before the first value, as 0

    def labels(self, *values: str) -> Buckets:
        """Return the counts for these label values."""
        # setdefault on a dict is atomic: two threads that ask first get the same counts.
        return self._children.get(values) or self._children.setdefault(
            values, Buckets(self._bounds)
        )

    def describe(self) -> Iterable[HistogramMetricFamily]:
        """Name the family, so that the registry refuses a second one of that name."""
        return [self._family()]

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Return the cumulative counts and the sums."""
        family = self._family()
        for values, child in list(self._children.items()):
            buckets, total = child.read()
            family.add_metric(values, buckets=buckets, sum_value=total)
        return [family]

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
