"""Transactions that a broker gave up: no client could end them, so a round with one has no verdict.

A broker that comes back so soon that its old registration times out meanwhile knows no leader for a moment.
Its transaction coordinator takes partitions without a leader for deleted, and ends a transaction without its
marker in them (seen with Kafka 4.3.0, in its log and in the partition's).
"""

import re
from collections.abc import Iterable

__all__ = ["skipped"]

_GIVEN_UP = re.compile(
    r"Couldn't find leader endpoint for partitions Set\(([^)]*)\) while trying to send transaction "
    r"markers for .*likely deleted already"
)


def skipped(open_partitions: Iterable[str], broker_logs: Iterable[str]) -> bool:
    """Whether a broker left the marker out in each of these partitions, named TOPIC-NUMBER.

    False where none is named.
    """
    asked = set(open_partitions)
    told = {
        partition.strip()
        for log in broker_logs
        for found in _GIVEN_UP.finditer(log)
        for partition in found[1].split(",")
    }
    return bool(asked) and asked <= told
