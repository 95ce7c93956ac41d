"""What became of a finished batch, told to the metrics: everything is counted once, at the end."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np

from stream_app.metrics import Metrics
from stream_app.records import Batch

__all__ = ["account_for"]


def account_for(batch: Batch, metrics: Metrics) -> None:
    """Count outcomes, predictions, dead letters and latencies of a finished batch."""
    now = time.time()
    outcomes: Counter[tuple[str, str]] = Counter()
    predictions: Counter[tuple[str, str, str, str | None]] = Counter()
    dead: Counter[tuple[str, str]] = Counter()
    ahead = 0
    for item in batch.items:
        topic = item.record.partition.topic
        if item.failure is not None:
            outcomes["dead_lettered", topic] += 1
            dead[item.failure.stage, item.failure.reason] += 1
        elif (served := item.served) is not None:
            outcomes["predicted", topic] += 1
            predictions[served.model, served.version, served.served_by, served.degraded] += 1
        else:
            outcomes["state_only", topic] += 1
        ahead += item.ahead
    for (outcome, topic), count in outcomes.items():
        metrics.outcome(outcome, topic, count)  # type: ignore[arg-type]
    for labels, count in predictions.items():
        metrics.predictions(*labels, count)
    for (stage, reason), count in dead.items():
        metrics.dead_letters(stage, reason, count)
    if ahead:
        metrics.state_ahead(ahead)
    metrics.batch(len(batch.items))
    metrics.latencies(now - np.array([item.known_at for item in batch.items]))
