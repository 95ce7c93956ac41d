"""Where a microsecond goes, as text: CPU an event by thread and stage, and what compute waits for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from benchmarks.profile.stages import RUNNING, Stack, what
from benchmarks.profile.threads import ThreadTime

__all__ = ["Share", "by_stage", "table", "waits"]

_SMALLEST_US: Final = 0.05
"""What is less is not named."""


class Share(NamedTuple):
    """CPU of one thread in one stage."""

    thread: str
    stage: str
    microseconds: float
    """An event."""


def by_stage(stacks: Iterable[Stack], times: Mapping[int, ThreadTime], events: int) -> list[Share]:
    """The CPU time of each thread, divided as its samples are; dearest first.

    A thread that Python does not know, as librdkafka's, is one line.
    """
    stacks = list(stacks)
    names = {stack.thread_id: stack.thread for stack in stacks}
    seen = what(stacks)
    shares: defaultdict[tuple[str, str], float] = defaultdict(float)
    for thread, (name, seconds) in times.items():
        microseconds = seconds / events * 1e6
        running = Counter(
            {
                stage: n
                for (does, stage), n in seen.get(thread, Counter()).items()
                if does == RUNNING
            }
        )
        if not running:
            shares[_plain(names.get(thread) or name), ""] += microseconds
        for stage, count in running.items():
            shares[_plain(names[thread]), stage] += microseconds * count / running.total()
    return [
        Share(thread, stage, round(microseconds, 2))
        for (thread, stage), microseconds in sorted(shares.items(), key=lambda each: -each[1])
        if microseconds >= _SMALLEST_US
    ]


def _plain(name: str) -> str:
    """Without the number that tells threads of one kind apart: `compute_0`, `rdk:broker1`."""
    return name.rstrip("0123456789").rstrip("_-") or name


def waits(stacks: Iterable[Stack], thread: str) -> dict[str, float]:
    """The shares of a thread's time: running, waiting for the GIL, and waiting elsewhere, by stage."""
    seen: Counter[str] = Counter()
    for stack in stacks:
        if _plain(stack.thread) == thread:
            does = stack.does
            seen[does if does != "waiting" else f"waiting: {stack.stage}"] += stack.seen
    return {does: count / seen.total() for does, count in seen.most_common()}


def table(shares: Iterable[Share], shown: Mapping[str, Mapping[str, float]]) -> str:
    """Markdown: what each thread's CPU goes to, and how each of `shown` spends its time."""
    shares = list(shares)
    lines = ["| thread | stage | CPU us an event |", "|---|---|---|"]
    lines += [f"| {thread} | {stage} | {each:.2f} |" for thread, stage, each in shares]
    lines += [f"| all | | {sum(each.microseconds for each in shares):.2f} |", ""]
    lines += ["| thread | its time | share |", "|---|---|---|"]
    lines += [
        f"| {thread} | {does} | {share:.2f} |"
        for thread, found in shown.items()
        for does, share in found.items()
        if share >= 0.01
    ]
    return "\n".join(lines)
