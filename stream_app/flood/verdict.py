"""Why a stopped partition may go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from stream_app.records.partition import Partition

__all__ = ["Trials", "Verdict"]


class Verdict(NamedTuple):
    """That a partition which was stopped at an offset may go on."""

    partition: Partition
    offset: int
    """Where it was stopped, lest a verdict on an earlier stop be taken for one on this."""
    how: Literal["head", "newest", "resumed"]
    until: int | None
    """The first offset behind the bad run, which is let through slowly; None: there is none any more."""


class Trials(Protocol):
    """Finds out whether stopped partitions may go on; called on the compute thread, never waits."""

    def begin(self, partition: Partition, offset: int, *, at_once: bool) -> None:
        """A partition is stopped at an offset. `at_once`: its head was not tried by this process."""

    def forget(self, partition: Partition) -> None:
        """It is not stopped any more, or not ours."""

    def verdicts(self) -> Sequence[Verdict]:
        """Those that were found since the last call."""
