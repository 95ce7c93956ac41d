"""The threads that find out whether stopped partitions may go on, beside the work.

One tries records, the other hears what operators say: a trial waits for services that are away, and for as
long as a leader is, and whoever lets a partition go on must not wait for that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple, Protocol

from stream_app.errors import StoppingError
from stream_app.flood.record_trials import NewestTried
from stream_app.flood.resume_orders import ResumeOrder
from stream_app.flood.verdict import Verdict
from stream_app.records.failure import Failure
from stream_app.records.log_fields import about
from stream_app.records.partition import Partition
from stream_app.text.rate_limited import RateLimited

__all__ = ["Orders", "RecordTrying", "TrialThreads"]

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0
"""How often it is asked whether an operator has spoken, and whether a trial is due."""
_WARNING_SECONDS: Final = 300.0


class RecordTrying(Protocol):
    """See `RecordTrials`."""

    def head(self, partition: Partition, offset: int) -> Failure | None:
        """Why the first record is refused."""

    def newest(self, partition: Partition, offset: int) -> NewestTried:
        """Whether the newest records pass."""

    def close(self) -> None:
        """Let go of the connections."""


class Orders(Protocol):
    """See `ResumeOrders`."""

    def look(self) -> None:
        """Read what is new."""

    def __call__(self, partition: Partition, offset: int) -> ResumeOrder | None:
        """The order for a partition that is stopped at an offset."""


class _Stop(NamedTuple):
    partition: Partition
    offset: int
    due: float
    """When its records are tried next."""


class TrialThreads:
    """`begin`, `forget` and `verdicts` belong to the compute thread; its shape is `Trials`.

    The threads run while a partition is stopped. Whatever goes wrong on them is told in the log and tried
    again: nobody's record is to blame, and the partitions that are taken must not suffer.
    """

    def __init__(
        self,
        make_trying: Callable[[], RecordTrying],
        orders: Orders,
        *,
        interval_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`make_trying` is called on the thread that tries, once."""
        self._make_trying = make_trying
        self._trying: RecordTrying | None = None
        self._orders = orders
        self._interval = interval_seconds
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._stops: dict[Partition, _Stop] = {}
        self._verdicts: list[Verdict] = []
        self._is_ending = False
        self._threads: list[threading.Thread] = []
        self._warn = RateLimited(log.warning, _WARNING_SECONDS)

    def begin(self, partition: Partition, offset: int, *, at_once: bool) -> None:
        """See `Trials`."""
        with self._changed:
            due = self._monotonic() + (0.0 if at_once else self._interval)
            self._stops[partition] = _Stop(partition, offset, due)
            if not self._threads and not self._is_ending:
                for name, run in (
                    ("flood-trials", self._try_records),
                    ("flood-orders", self._hear),
                ):
                    self._threads.append(threading.Thread(target=run, name=name, daemon=True))
                    self._threads[-1].start()
            self._changed.notify_all()

    def forget(self, partition: Partition) -> None:
        """See `Trials`."""
        with self._changed:
            self._stops.pop(partition, None)

    def verdicts(self) -> Sequence[Verdict]:
        """See `Trials`."""
        with self._changed:
            found, self._verdicts = self._verdicts, []
            return found

    def stop(self) -> None:
        """End; `join` waits for it."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()

    def join(self, seconds: float) -> None:
        """Wait until the threads have ended, not longer than so many seconds."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def is_ending(self) -> bool:
        """Whether it was told to end."""
        return self._is_ending

    def _hear(self) -> None:
        with suppress(StoppingError):
            while self._wait(lambda _: _LOOK_SECONDS):
                self.hear()

    def _try_records(self) -> None:
        try:
            while self._wait(lambda due: min(_LOOK_SECONDS, due - self._monotonic())):
                self.try_due()
        except StoppingError:
            return
        finally:
            if self._trying is not None:
                self._trying.close()

    def _wait(self, seconds: Callable[[float], float]) -> bool:
        """Return when it is time to look again; False where the threads are to end.

        `seconds`: how long that is, where the next trial is due at a moment.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_ending or bool(self._stops))
            if not self._is_ending:
                due = min(stop.due for stop in self._stops.values())
                self._changed.wait_for(lambda: self._is_ending, timeout=max(0.0, seconds(due)))
            return not self._is_ending

    def hear(self) -> None:
        """Look for orders for the partitions that are stopped."""
        self._guarded(
            "whether an operator lets stopped partitions go on is not known (workers need Read on the "
            "topic of resolutions)",
            self._orders.look,
        )
        with self._changed:
            stops = list(self._stops.values())
        for stop in stops:
            order = self._orders(stop.partition, stop.offset)
            if order is not None:
                self._found(Verdict(stop.partition, stop.offset, "resumed", order.until))

    def try_due(self) -> None:
        """Try the records of the partitions whose turn it is."""
        with self._changed:
            stops = list(self._stops.values())
        for stop in stops:
            if stop.due <= self._monotonic():
                self._guarded(f"{stop.partition} is not tried", partial(self._try, stop))
                with self._changed:
                    if self._stops.get(stop.partition) == stop:
                        due = self._monotonic() + self._interval
                        self._stops[stop.partition] = stop._replace(due=due)

    def _try(self, stop: _Stop) -> None:
        trying = self._trying
        if trying is None:
            trying = self._trying = self._make_trying()
        partition, offset = stop.partition, stop.offset
        failure = trying.head(partition, offset)
        if failure is None:
            self._found(Verdict(partition, offset, "head", None))
            return
        newest = trying.newest(partition, offset)
        if newest.pass_:
            self._found(Verdict(partition, offset, "newest", newest.end))
            return
        log.info(
            "%s is still stopped: the record at %d is refused (%s, %s), and its newest ones do not "
            "all pass",
            partition, offset, failure.stage, failure.reason,
            extra=about(partition, offset),
        )  # fmt: skip

    def _found(self, verdict: Verdict) -> None:
        with self._changed:
            stop = self._stops.get(verdict.partition)
            # While it was tried it may have gone on, by an operator's word, and been stopped elsewhere.
            if stop is not None and stop.offset == verdict.offset:
                del self._stops[verdict.partition]
                self._verdicts.append(verdict)

    def _guarded(self, what: str, call: Callable[[], None]) -> None:
        try:
            call()
        except StoppingError:
            raise
        except Exception as error:  # noqa: BLE001 - it is tried again
            self._warn(f"{what}: {error}")
