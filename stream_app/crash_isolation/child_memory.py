"""How much memory a child process needed at most, as far as that can be known from outside.

A child that was killed for want of memory is not to blame unless it was what took the memory: where
memory is short the kernel ends whoever it was told to end first.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Final

__all__ = ["ChildMemory"]

_PEAK: Final = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)


class ChildMemory:
    """The peak of one child: `begin` before it is given something, `look` often, `end` once."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self._before = self._peak = 0

    def begin(self) -> None:
        """What it needs from now on is looked at."""
        self.look()
        self._before = self._peak

    def look(self) -> None:
        """Note what it needed so far; nothing is known elsewhere than on Linux."""
        try:
            status = Path(f"/proc/{self._child.pid}/status").read_text()
        except OSError:
            return
        found = _PEAK.search(status)
        if found:
            self._peak = max(self._peak, 1024 * int(found[1]))

    def end(self) -> int:
        """Wait for its end; return its exit code, negative for a signal."""
        if self._child.returncode is None:
            _, status, usage = os.wait4(self._child.pid, 0)
            self._child.returncode = os.waitstatus_to_exitcode(status)
            if sys.platform == "linux":
                # It counts what the worker needed before the child became a program of its own, so
                # it says something only where it is more than that.
                own = resource.getrusage(resource.RUSAGE_SELF)
                if usage.ru_maxrss > own.ru_maxrss:
                    self._peak = max(self._peak, 1024 * usage.ru_maxrss)
        return self._child.returncode

    @property
    def grown_bytes(self) -> int:
        """By how much its peak rose since `begin`."""
        return self._peak - self._before
