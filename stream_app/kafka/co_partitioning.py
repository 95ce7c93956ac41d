"""Whether the topics of events can be shared out among workers partition by partition."""

from __future__ import annotations

import logging
from collections.abc import Mapping

__all__ = ["apart", "tell_whether_co_partitioned"]

log = logging.getLogger(__name__)


def tell_whether_co_partitioned(partitions: Mapping[str, int]) -> None:
    """Say in the log where topics differ in how many partitions they have.

    It is slower then, and not wrong: workers that update one entity compare and set.
    """
    if (told := apart(partitions)) is not None:
        log.warning(told)


def apart(partitions: Mapping[str, int]) -> str | None:
    """What it means that topics differ in how many partitions they have; None where they do not."""
    if len(set(partitions.values())) <= 1:
        return None
    counts = ", ".join(f"{topic}: {count}" for topic, count in sorted(partitions.items()))
    return (
        f"the topics of events have different numbers of partitions ({counts}): partitions of the "
        "same number may go to different workers, which then update the same entities in turns. "
        "Give topics that are keyed alike as many partitions."
    )
