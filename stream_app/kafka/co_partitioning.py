"""Whether the topics of events can be shared out among workers partition by partition."""

from __future__ import annotations

import logging
from collections.abc import Mapping

__all__ = ["tell_whether_co_partitioned"]

log = logging.getLogger(__name__)


def tell_whether_co_partitioned(partitions: Mapping[str, int]) -> None:
    """Say in the log where topics differ in how many partitions they have.

    It is slower then, and not wrong: workers that update one entity compare and set.
    """
    if len(set(partitions.values())) > 1:
        log.warning(
            "the topics of events have different numbers of partitions (%s): partitions of the same "
            "number may go to different workers, which then update the same entities in turns. Give "
            "topics that are keyed alike as many partitions.",
            ", ".join(f"{topic}: {count}" for topic, count in sorted(partitions.items())),
        )
