"""Looks at a group again and again, and keeps what is known of each partition."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Final, NamedTuple

from stream_app.errors import FatalError, ServiceAwayError
from stream_app.lag.group import Group, Standing
from stream_app.lag.verdict import LOOKS, Look, Verdict, Window
from stream_app.lag.waiting_records import Waiting, WaitingRecords
from stream_app.records.places import PartitionId

__all__ = ["Known", "PartitionLag", "Sight", "Watch", "Watching"]

log = logging.getLogger(__name__)

_DIGITS: Final = 3


class PartitionLag(NamedTuple):
    """How far a group is behind on a partition."""

    partition: PartitionId
    standing: Standing
    waiting: Waiting
    rate: float | None
    """Offsets that the group gets on by in a second."""
    drain_seconds: float | None
    """When nothing would wait, at the present rates; None where that is not in sight."""
    verdict: Verdict

    def seconds(self, now: float) -> float | None:
        """The age of the oldest record that is not done, `now` in seconds since the epoch.

        0 where none waits; None where the record has no timestamp.
        """
        if not self.waiting.records:
            return 0.0
        return None if self.waiting.oldest is None else max(0.0, now - self.waiting.oldest)

    def as_json(self, now: float) -> dict[str, Any]:
        """What the command prints, of values that JSON has."""
        member = self.standing.member
        seconds = self.seconds(now)
        flood = self.standing.flood
        return {
            "topic": self.partition.topic,
            "partition": self.partition.number,
            "committed": self.standing.committed,
            "end": self.standing.end,
            "records": self.waiting.records,
            "records_exact": self.waiting.is_exact,
            "seconds": None if seconds is None else round(seconds, _DIGITS),
            "offsets_per_second": None if self.rate is None else round(self.rate, _DIGITS),
            "drain_seconds": self.drain_seconds and round(self.drain_seconds, _DIGITS),
            "verdict": self.verdict.value,
            "flood": None if flood is None else flood._asdict(),
            "member": None if member is None else member._asdict(),
        }


class Known(NamedTuple):
    """What is known of a group."""

    lags: list[PartitionLag]
    """By topic and partition."""
    at: float
    """When it was looked at, in seconds since the epoch; where it never was, when that was first wanted."""
    is_seen: bool = True
    """Whether it was ever looked at."""
    why: str = ""
    """Why it could not be looked at since."""


class Sight:
    """What is known of one group. Whoever looks renews it; any thread may read it."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.known = Known([], time.time(), is_seen=False)

    def not_seen(self, why: object) -> None:
        """Keep why it could not be looked at: the figures stand, and their age is told."""
        self.known = self.known._replace(why=str(why))


class Watch:
    """Looks at one group; every look makes newer what is known of it."""

    def __init__(
        self,
        group: Group,
        waiting: WaitingRecords,
        looks: int = LOOKS,
        sight: Sight | None = None,
    ) -> None:
        """`looks`: how many a window has. `sight`: what is renewed, where others read it already."""
        self.sight = sight or Sight(group.name)
        self.group = group.name
        self._group = group
        self._waiting = waiting
        self._window_looks = looks
        self._windows: dict[PartitionId, Window] = {}

    @property
    def known(self) -> Known:
        """What is known of the group."""
        return self.sight.known

    def look(self) -> Known:
        """Ask the brokers once more. Raises what they refuse, and `ServiceAwayError`."""
        standings = self._group.look()
        waiting = self._waiting.look({p: (s.next_offset, s.end) for p, s in standings.items()})
        at = time.monotonic()
        self._windows = {
            each: self._windows.get(each) or Window(self._window_looks) for each in standings
        }
        lags = []
        for partition, standing in sorted(standings.items()):
            found, window = waiting[partition], self._windows[partition]
            held = standing.member is not None
            look = Look(
                at, standing.next_offset, standing.end, found.records, held, standing.is_stopped
            )
            window.add(look)
            lags.append(
                PartitionLag(
                    partition, standing, found, window.rate, window.drain_seconds, window.verdict
                )
            )
        self.sight.known = Known(lags, time.time())
        return self.known


class Watching:
    """Looks at groups every few seconds, on a thread, from `start` to `stop`."""

    def __init__(self, watches: list[Watch], interval_seconds: float) -> None:
        self._watches = watches
        self._interval = interval_seconds
        self._stop = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="lag", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def wait(self) -> None:
        """Return when `stop` was called; raises what ended the looking."""
        # Woken now and then, or a signal would not be heeded.
        while self._thread.is_alive():
            self._thread.join(0.5)
        if self._failed is not None:
            raise self._failed

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                for watch in self._watches:
                    self._look(watch)
                self._stop.wait(self._interval)
        except BaseException as failed:  # noqa: BLE001 - it is raised where somebody waits
            self._failed = failed

    def _look(self, watch: Watch) -> None:
        try:
            watch.look()
        except (ServiceAwayError, FatalError) as away:
            # What is wrong with a log of one group, as of a topic that is made anew while it is read, is
            # nothing of the others.
            watch.sight.not_seen(away)
            log.warning("group %s could not be looked at: %s", watch.group, away)
