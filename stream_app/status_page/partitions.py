"""The lag of each partition over the last minutes, as the page and scripts get it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from stream_app.status_page.problems import Lag
from stream_app.status_page.series import STEP_SECONDS, STEPS, Series

__all__ = ["LagHistory", "PartitionHistory"]

_MOST: Final = 512
"""Partitions whose history is kept: 1.5 MB."""
_SHOWN: Final = 32
"""Partitions whose history is told: those that are the furthest behind."""
_MINUTE: Final = round(60.0 / STEP_SECONDS)

_RECORDS: Final = 0
_SECONDS: Final = 1


class LagHistory:
    """Of some partitions together: all records that wait, and the seconds of the furthest behind."""

    def __init__(self) -> None:
        self._series = Series(2)

    def take(self, step: int, lags: Sequence[Lag]) -> None:
        """Take a step down."""
        records = [lag.records for lag in lags if lag.records is not None]
        seconds = [lag.seconds for lag in lags if lag.seconds is not None]
        self._series.set(
            step,
            sum(records) if records else float("nan"),
            max(seconds) if seconds else float("nan"),
        )

    def grows(self, step: int) -> bool:
        """Whether more records wait than a minute ago."""
        known = self._series.last(_MINUTE + 1, step)[:, _RECORDS]
        known = known[~np.isnan(known)]
        return len(known) > 1 and bool(known[-1] > known[0])

    def as_json(self, until: int) -> dict[str, list[float | None]]:
        """Records and seconds in each step, oldest first."""
        return _history(self._series, until)


class PartitionHistory:
    """Records and seconds of lag by partition and step."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, int], Series] = {}
        self.all = LagHistory()
        """Of all partitions together."""

    def take(self, step: int, lags: Sequence[Lag]) -> None:
        """Take a step down; partitions that are none of ours any more are forgotten."""
        self.all.take(step, lags)
        self._series = {
            (lag.topic, lag.partition): self._series.get((lag.topic, lag.partition)) or Series(2)
            for lag in lags[:_MOST]
        }
        for lag in lags[:_MOST]:
            self._series[lag.topic, lag.partition].set(
                step, _number(lag.records), _number(lag.seconds)
            )

    def as_json(self, lags: Sequence[Lag], until: int) -> list[dict[str, Any]]:
        """Each partition's lag now, and of those the furthest behind its history, oldest first."""
        series = self._series
        furthest = sorted(lags, key=lambda lag: (-(lag.seconds or 0.0), lag.topic, lag.partition))
        told = {(lag.topic, lag.partition) for lag in furthest[:_SHOWN]}
        return [
            {
                "topic": lag.topic,
                "partition": lag.partition,
                "records": lag.records,
                "seconds": None if lag.seconds is None else round(lag.seconds, 2),
                "history": _history(series[lag.topic, lag.partition], until)
                if (lag.topic, lag.partition) in told and (lag.topic, lag.partition) in series
                else None,
            }
            for lag in sorted(lags)
        ]


def _history(series: Series, until: int) -> dict[str, list[float | None]]:
    values = series.last(STEPS, until)
    return {
        "records": [None if v != v else round(v) for v in values[:, _RECORDS].tolist()],
        "seconds": [None if v != v else round(v, 2) for v in values[:, _SECONDS].tolist()],
    }


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
