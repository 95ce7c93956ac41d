"""CPU time of each thread of a process, Python's or not, as Linux counts it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["ThreadTime", "cpu_of_threads", "spent"]

_TICKS: Final = os.sysconf("SC_CLK_TCK")


class ThreadTime(NamedTuple):
    """One thread."""

    name: str
    """As the operating system has it: librdkafka names its threads, Python does not."""
    seconds: float


def cpu_of_threads(pid: int) -> dict[int, ThreadTime]:
    """CPU seconds of each thread, by its id; raises `OSError` where there is no /proc or no process."""
    found = {}
    for folder in Path(f"/proc/{pid}/task").iterdir():
        try:
            # The name is in brackets and may hold spaces and brackets itself.
            fields = (folder / "stat").read_text()
        except OSError:
            continue  # it has ended
        name = fields[fields.index("(") + 1 : fields.rindex(")")]
        user, system = fields[fields.rindex(")") + 2 :].split()[11:13]
        found[int(folder.name)] = ThreadTime(name, (int(user) + int(system)) / _TICKS)
    return found


def spent(before: dict[int, ThreadTime], after: dict[int, ThreadTime]) -> dict[int, ThreadTime]:
    """What each thread took between two looks."""
    return {
        thread: ThreadTime(
            now.name, now.seconds - (before[thread].seconds if thread in before else 0.0)
        )
        for thread, now in after.items()
    }
