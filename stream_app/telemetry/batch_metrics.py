"""What became of a finished batch: everything is counted once, at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

import numpy as np

from stream_app.observer.events import BatchFinished
from stream_app.records.item import Item
from stream_app.telemetry.metrics import Metrics

__all__ = ["account_for"]


def account_for(finished: BatchFinished, metrics: Metrics) -> None:
    """Count outcomes, predictions, dead letters and latencies of a finished batch."""
    now = time.time()
    items, served, failed = finished.batch.items, finished.served, finished.failed
    topics = {
        "predicted": _topics(served),
        "dead_lettered": _topics(failed),
        "skipped": _topics(finished.skipped),
    }
    topics["state_only"] = _topics(items) - sum(topics.values(), Counter())
    for outcome, counts in topics.items():
        for topic, count in counts.items():
            metrics.outcome(outcome, topic, count)  # type: ignore[arg-type]
    # Everything in `Served` but the fields is a label of the metric.
    for by, count in Counter([item.served[1:] for item in served if item.served]).items():
        metrics.predictions(*by, count)
    letters = Counter(
        [(item.record.partition.topic, f.stage, f.reason, f.disposition)
         for item in failed if (f := item.failure) is not None]
    )  # fmt: skip
    for kind, count in letters.items():
        metrics.dead_letters(*kind, count)
    ahead = sum([item.ahead for item in items])
    if ahead:
        metrics.state_ahead(ahead)
    metrics.batch(len(items))
    metrics.latencies(now - np.array([item.record.known_at for item in items]))


def _topics(items: Sequence[Item]) -> Counter[str]:
    return Counter([item.record.partition.topic for item in items])
