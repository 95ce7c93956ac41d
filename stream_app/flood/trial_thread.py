"""The thread that finds out whether stopped partitions may go on, beside the work."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
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

__all__ = ["Orders", "RecordTrying", "TrialThread"]

log = logging.getLogger(__name__)

_ORDERS_SECONDS: Final = 1.0
"""How often it is asked whether an operator has spoken."""
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


class TrialThread:
    """`begin`, `forget` and `verdicts` belong to the compute thread; its shape is `Trials`.

    The thread runs while a partition is stopped. Whatever goes wrong on it is told in the log and tried
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
        """`make_trying` is called on the thread, once."""
        self._make_trying = make_trying
        self._trying: RecordTrying | None = None
        self._orders = orders
        self._interval = interval_seconds
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._stops: dict[Partition, _Stop] = {}
        self._verdicts: list[Verdict] = []
        self._is_ending = False
        self._thread: threading.Thread | None = None
        self._warn = RateLimited(log.warning, _WARNING_SECONDS)

    def begin(self, partition: Partition, offset: int, *, at_once: bool) -> None:
        """See `Trials`."""
        with self._changed:
            due = self._monotonic() + (0.0 if at_once else self._interval)
            self._stops[partition] = _Stop(partition, offset, due)
            if self._thread is None and not self._is_ending:
                self._thread = threading.Thread(target=self._run, name="flood-trials", daemon=True)
                self._thread.start()
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
        """Wait until the thread has ended, not longer than so many seconds."""
        if self._thread is not None:
            self._thread.join(seconds)

    def is_ending(self) -> bool:
        """Whether it was told to end."""
        return self._is_ending

    def _run(self) -> None:
        try:
            while self._wait():
                self.step()
        except StoppingError:
            return
        finally:
            if self._trying is not None:
                self._trying.close()

    def _wait(self) -> bool:
        """Return when it is time to look again; False where the thread is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_ending or bool(self._stops))
            if not self._is_ending:
                now = self._monotonic()
                due = min((stop.due for stop in self._stops.values()), default=now)
                wait = min(_ORDERS_SECONDS, due - now)
                self._changed.wait_for(lambda: self._is_ending, timeout=max(0.0, wait))
            return not self._is_ending

    def step(self) -> None:
        """Look for orders, and try the records of the partitions whose turn it is."""
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
            elif stop.due <= self._monotonic():
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
            if self._stops.pop(verdict.partition, None) is not None:
                self._verdicts.append(verdict)

    def _guarded(self, what: str, call: Callable[[], None]) -> None:
        try:
            call()
        except StoppingError:
            raise
        except Exception as error:  # noqa: BLE001 - it is tried again
            self._warn(f"{what}: {error}")
