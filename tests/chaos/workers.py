"""The workers of a round: some at work, one who joins and leaves."""

import logging
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

from tests.chaos.exits import Exit
from tests.integration.worker import Worker

__all__ = ["Member", "Workers"]

log = logging.getLogger(__name__)

_STOP_SECONDS = 40.0


class Member:
    """One worker, started and ended as faults demand. Whoever changes it holds its `lock`."""

    def __init__(self, number: int, worker: Worker) -> None:
        self.number = number
        self.worker = worker
        self.lock = threading.RLock()
        self.starts = 0
        self.exits: list[Exit] = []
        """How it ended where nobody had ended it, or other than it was told to."""
        self.peak_bytes = 0
        """The most memory that it held at once, over all its starts."""
        self._at_work = False
        self._wrote = 0

    def start(self) -> None:
        """Start it if it does not run."""
        if not self.worker.is_running:
            self._wrote = len(self.worker.log) if self.starts else 0
            self.worker.start()
            self.starts += 1
        self._at_work = True

    @property
    def said(self) -> str:
        """What it wrote since it was started."""
        return self.worker.log[self._wrote :]

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self.look_after()
        self._at_work = False
        if self.worker.is_running:
            self.worker.kill()

    def stop(self) -> None:
        """Tell it to stop and wait until it has."""
        self.look_after()
        self._at_work = False
        if not self.worker.is_running:
            return
        code = self.worker.stop(seconds=_STOP_SECONDS)
        if code is None:
            self._note(f"still ran {_STOP_SECONDS:g} s after SIGTERM", None)
            self.worker.kill()
        elif code != 0 and not (code == -signal.SIGTERM and self._is_new):
            self._note("ended after SIGTERM", code)

    def freeze(self) -> None:
        """Stop it in its tracks."""
        self.worker.pause()

    def resume(self) -> None:
        """Let it go on."""
        self.worker.resume()

    def look_after(self) -> None:
        """If it ended by itself, note that and start it again, as a supervisor would."""
        self.peak_bytes = max(self.peak_bytes, self.worker.peak_memory_bytes())
        if self.notice_end():
            self.start()

    def notice_end(self) -> bool:
        """If it ended by itself, note that; whether it did."""
        if not self._at_work or self.worker.is_running:
            return False
        self._at_work = False
        self._note("ended by itself", self.worker.wait(0.0))
        return True

    @property
    def _is_new(self) -> bool:
        """Whether it has not come to taking records, and so perhaps not to minding signals."""
        return " assigned " not in self.said

    def _note(self, what: str, code: int | None) -> None:
        noted = Exit(self.number, what, code, self.said)
        self.exits.append(noted)
        log.warning("worker %d %s (%s): %s", self.number, what, code, noted.sentence[:300])


class Workers:
    """All workers of a round. A context manager: leaving it kills whoever is left."""

    def __init__(self, make: Callable[[], Worker], *, at_work: int) -> None:
        """`at_work` start together; one more is there to join and leave."""
        self._stack = ExitStack()
        self.members = [Member(number, make()) for number in range(at_work)]
        self.extra = Member(at_work, make())

    @property
    def everybody(self) -> list[Member]:
        """Those at work and the extra one."""
        return [*self.members, self.extra]

    @property
    def starts(self) -> int:
        """How often a worker was started."""
        return sum(member.starts for member in self.everybody)

    @property
    def exits(self) -> list[Exit]:
        """How workers ended that nobody had ended."""
        return [noted for member in self.everybody for noted in member.exits]

    @property
    def peak_bytes(self) -> int:
        """The most memory that any of them held at once."""
        return max(member.peak_bytes for member in self.everybody)

    def start(self) -> None:
        """All go to work, but the extra one."""
        for member in self.members:
            with member.lock:
                member.start()

    def look_after(self) -> None:
        """Start again whoever ended by itself and is in no fault's hands."""
        for member in self.everybody:
            if member.lock.acquire(blocking=False):
                try:
                    member.look_after()
                finally:
                    member.lock.release()

    def stop(self) -> None:
        """Tell all to stop, and wait."""
        threads = [threading.Thread(target=member.stop) for member in self.everybody]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def __enter__(self) -> Self:
        for member in self.everybody:
            self._stack.callback(member.worker.__exit__)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
