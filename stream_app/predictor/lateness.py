"""When a record is too late to be believed, and what becomes of one that is merely late.

A record can be late in three ways:

- Its event's time lies too far behind the record's timestamp, or too far ahead of it. It becomes a
  dead letter with the reason `time-out-of-range`, by `out_of_range`: for the time of the event
  (`predictor/decode.py`) and for the times of the updates made of it (`predictor/enrich.py`). Both
  compare first by themselves, so that no call is made for a time that is believed. How far is too far is said by the use case's
  `TimeBounds`: by default more than 366 days behind, or more than one day ahead.
- It arrives after later records of other partitions. `alignment/align.py` holds those back for it,
  for `alignment_wait_seconds` where its partition delivers nothing. If it comes later still, it is
  taken as it comes: no record is dropped for that.
- Its event is older than what a state already holds. The kind of state decides what the update
  changes (`features/kinds/`): a decayed sum takes it with the weight of its age, a latest value
  keeps the newer one.

The timestamp that counts is the record's own, unless it lies ahead of the worker's clock
(`alignment/record_clock.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from stream_app.features.usecase import TimeBounds
from stream_app.records.failure import Failure
from stream_app.records.record import Record
from stream_app.text.moments import in_utc

__all__ = ["believed_of_all", "out_of_range"]


def believed_of_all(times: TimeBounds, records: Sequence[Record]) -> tuple[float, float]:
    """The lowest and highest time, in seconds, that is believed of each of these records."""
    known_at = [record.known_at for record in records]
    if not known_at:
        return 0.0, 0.0
    return times.range_at(max(known_at))[0], times.range_at(min(known_at))[1]


def out_of_range(
    stage: str, field: str, value: float, record: Record, times: TimeBounds
) -> Failure | None:
    """The failure of a record whose field has this time, in seconds; None where it is believed."""
    low, high = times.range_at(record.known_at)
    if low <= value <= high:
        return None
    # On which side, and not the time itself: a message quotes no value.
    if value < low:
        what = f"before {in_utc(low)}, the earliest that is believed"
    elif value > high:
        what = f"after {in_utc(high)}, the latest that is believed"
    else:
        what = "no number"
    message = f"field {field}: the time is {what}"
    return Failure(stage, "time-out-of-range", message, field)
