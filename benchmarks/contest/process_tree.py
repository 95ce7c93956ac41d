"""What a process and all below it use, as the kernel counts it in /proc; of Linux alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

__all__ = ["Usage", "usage"]

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Usage(NamedTuple):
    """CPU time since its start, in seconds, with that of children that have ended; resident bytes."""

    cpu_seconds: float
    resident_bytes: int


def usage(root: int) -> Usage:
    """The sums over a process tree; a process that ends meanwhile is counted by its parent."""
    cpu = memory = 0
    for pid in _tree(root):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
            # The command's name, in parentheses, may hold anything.
            fields = stat[stat.rindex(")") + 2 :].split()
            # utime, stime, and both of children that were waited for.
            cpu += sum(map(int, fields[11:15]))
            memory += int(fields[21]) * _PAGE
        except OSError:
            continue
    return Usage(cpu / _TICKS, memory)


def _tree(root: int) -> list[int]:
    found = [root]
    for pid in found:
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return found
