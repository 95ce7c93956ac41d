"""From a log to the training matrix: the replay that serving's features come from, and the labels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from stream_app.features.engine.replay import Replay, Row
from stream_app.features.events import LogRecord
from stream_app.features.usecase import Outcome, UseCase
from stream_app.text.causes import FeatureError
from stream_app.training.candidates import Candidates
from stream_app.training.errors import MatrixError
from stream_app.training.events import Decoded, Known, OutOfOrderError
from stream_app.training.labelling import Labelling
from stream_app.training.labels import Labels, called
from stream_app.training.matrix import Matrix, column_array
from stream_app.training.reach import Watch, branches

__all__ = ["make_matrix"]

_BLOCK: Final = 2_048
"""Events replayed at a time."""
_CHUNK: Final = 16_384
"""Rows that are made into arrays at a time: lists of numbers are several times as large."""


def make_matrix(
    usecase: UseCase,
    log: Iterable[LogRecord],
    *,
    outcome: Outcome | None = None,
    label: Callable[[Any], Any] | None = None,
    known_outcomes: Literal["refuse", "unlabelled"] = "refuse",
) -> Matrix:
    """Replay a log from empty states; a row for each event that asks for a prediction.

    `log`: records, as `read_log` and `read_topics` give them. They take effect in the order in which
    serving takes them; a log that is not in that order is held in memory and sorted. Records that
    are no events are left out and counted, as serving would dead-letter them.

    Labels: by `outcome`, by default the use case's; or by `label`, a function of the event that asked,
    where the log tells it there. An outcome that was known before its event asked is a leak:
    refused, or with `known_outcomes` left without a label.

    Raises `LogError`, and `MatrixError` where a function of the declaration raised, a column does not
    hold what it declares, or the label leaks.
    """
    began = time.monotonic()
    decoded = Decoded(usecase, log)
    labels_of = label or outcome or usecase.outcome
    try:
        replayed = _Replayed(usecase, decoded.in_order(), labels_of)
        ordered = True
    except OutOfOrderError:
        if iter(log) is log:
            raise
        replayed = _Replayed(usecase, decoded.sorted(), labels_of)
        ordered = False
    if not replayed.times:
        raise MatrixError(_why_no_row(usecase, decoded))
    columns = replayed.columns()
    labels = replayed.labels(known_outcomes)
    _refuse_label_columns(columns, labels)
    return Matrix(
        columns=columns,
        dtypes=dict(usecase.features.dtypes),
        labels=labels,
        times=np.array(replayed.times, dtype=np.float64),
        ids=_objects(replayed.ids),
        golden=replayed.candidates.golden(replayed.watch.reached),
        report=_report(decoded, time.monotonic() - began, ordered),
        labels_by=Labelling(
            labels_of, len(replayed.times), max(replayed.times) - min(replayed.times)
        ),
    )


class _Replayed:
    """What one pass over a log leaves behind."""

    def __init__(
        self,
        usecase: UseCase,
        log: Iterable[Known],
        labels: Outcome | Callable[[Any], Any] | None,
    ) -> None:
        self._features = usecase.features
        self._chunks: list[list[npt.NDArray[Any]]] = []
        self._pending: list[list[Any]] = []
        self._label = None if isinstance(labels, Outcome) else labels
        self._joined = Labels(labels, usecase.features) if isinstance(labels, Outcome) else None
        self._read: list[Any] = []
        self._log_end = -np.inf
        self.times: list[float] = []
        self.ids: list[str] = []
        self.candidates = Candidates(usecase.features)
        self.watch = Watch(branches(usecase.features))
        replay = Replay(usecase.features)
        for block in _blocks(log):
            self.watch.first_by = []
            with self.watch:
                rows = self._replay_block(replay, block)
            self.candidates.take(block, self.watch.first_by, rows)
            self._take(block, rows)
        self._flush()

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """The columns by name."""
        names = self._features.columns
        return {
            name: np.concatenate([chunk[at] for chunk in self._chunks])
            for at, name in enumerate(names)
        }

    def labels(self, known_outcomes: str) -> npt.NDArray[Any]:
        """The labels: float64, or objects where one is a text."""
        if self._joined is not None:
            return self._joined.joined(self._log_end, known_outcomes=known_outcomes)
        if any(isinstance(each, str) for each in self._read):
            return _objects(self._read)
        return np.array([np.nan if v is None else v for v in self._read], dtype=np.float64)

    def _replay_block(self, replay: Replay, block: list[Known]) -> list[Row]:
        try:
            return list(replay((known.logged() for known in block), block=len(block)))
        except FeatureError as error:
            # The log is its reader's own, so the exception's text may be told.
            raise MatrixError(
                f"a function of the declaration fails in {error.told()}, for one of the events "
                f"{block[0].event.event_id} to {block[-1].event.event_id}: mend it, for serving "
                "would dead-letter that event."
            ) from error

    def _take(self, block: list[Known], rows: list[Row]) -> None:
        for known in block:
            event = known.event
            self._log_end = max(self._log_end, event.event_time)
            if self._joined is not None:
                asks = type(event) in self._features.triggers
                self._joined.saw(event, asks)
        for row in rows:
            self.times.append(row.event.event_time)
            self.ids.append(row.event.event_id)
            self._pending.append(row.values)
            if self._joined is None:
                self._read.append(called("label", self._label, row.event) if self._label else None)
        if len(self._pending) >= _CHUNK:
            self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        by_column = zip(*self._pending, strict=True)
        features = self._features
        self._chunks.append(
            [
                column_array(name, features.dtypes[name], values)
                for name, values in zip(features.columns, by_column, strict=True)
            ]
        )
        self._pending = []


def _blocks(log: Iterable[Known]) -> Iterator[list[Known]]:
    events = iter(log)
    while block := list(islice(events, _BLOCK)):
        yield block


def _refuse_label_columns(columns: dict[str, npt.NDArray[Any]], labels: npt.NDArray[Any]) -> None:
    """Raise where a column is the label: then it is known when the prediction is asked for."""
    known = (
        ~np.isnan(labels) if labels.dtype.kind == "f" else np.array([x is not None for x in labels])
    )
    told = labels[known]
    if not len(told) or (told == told[0]).all():
        return
    for name, column in columns.items():
        if (column.dtype == object) is (told.dtype == object) and (column[known] == told).all():
            raise MatrixError(
                f"the column {name} is the label in each of the {len(told)} rows that have one: what "
                "a model shall predict is no feature."
            )


def _objects(values: list[Any]) -> npt.NDArray[Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _why_no_row(usecase: UseCase, decoded: Decoded) -> str:
    asks = ", ".join(kind.__name__ for kind in usecase.features.triggers)
    refused = "".join(f"; {line}" for line in _refused(decoded))
    return f"the log has no event that asks for a prediction ({asks}){refused}."


def _refused(decoded: Decoded) -> list[str]:
    return [
        f"{count:,} records are no events: {reason}, the first {decoded.examples[reason]}"
        for reason, count in decoded.refused.most_common()
    ]


def _report(decoded: Decoded, seconds: float, ordered: bool) -> str:
    events = decoded.events.total()
    lines = [
        f"{events:,} events in {seconds:.1f} s, {events / max(seconds, 1e-9):,.0f} a second: "
        + ", ".join(f"{name} {count:,}" for name, count in sorted(decoded.events.items()))
    ]
    if not ordered:
        lines.append("the log was not in order: it was held in memory and sorted")
    if decoded.skipped:
        lines.append(f"{decoded.skipped:,} records were left out by their decoder")
    return "\n".join([*lines, *_refused(decoded)])
