"""Notices that a consumer goes on with another topic of the same name.

librdkafka fetches by topic id. Where a topic was deleted and made anew it takes the new id from the
brokers and goes on in the new topic at the offset it had in the old one, and raises no event (2.16,
`rd_kafka_topic_metadata_update2`). It says so in its log alone, under `debug=metadata`. That line
lies in the same queue as the records, before the first one of the new topic; so it is read here,
and who consumes looks at it before it takes what was polled. A check once a second
(`end_offsets`) would come too late for records that were produced at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from stream_app.broker_queries import as_kafka_shows_it
from stream_app.errors import FatalError
from stream_app.logs import get_logger
from stream_app.records import Partition

__all__ = ["TopicChanges", "check_topic_id"]

_librdkafka = get_logger("librdkafka")

_CHANGED = re.compile(r"Topic (\S+) changed id from \S+ to ([A-Za-z0-9+/]{22})")
_NO_ID = "A" * 22


class TopicChanges:
    """The `logger` of a consumer: passes on what librdkafka says, and reads along.

    librdkafka calls it inside `poll` and `consume`, on the thread that consumes.
    """

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    @staticmethod
    def properties(properties: Mapping[str, Any]) -> dict[str, Any]:
        """The consumer's properties, with what makes librdkafka tell of topic ids."""
        debug = [str(properties["debug"])] if properties.get("debug") else []
        return {**properties, "debug": ",".join([*debug, "metadata"])}

    def log(self, level: int, form: str, *arguments: object) -> None:
        """Take a line of librdkafka's log."""
        found = _CHANGED.search(str(arguments[-1])) if arguments else None
        if found is not None and found[2] != _NO_ID:
            self._ids[found[1]] = as_kafka_shows_it(found[2])
        _librdkafka.log(level, form, *arguments)

    def check(self, partitions: Iterable[Partition]) -> None:
        """Raise `FatalError` if one of these is of another topic than its consumer reads now."""
        if self._ids:
            ids, self._ids = self._ids, {}
            for partition in partitions:
                if partition.topic in ids:
                    check_topic_id(partition, ids[partition.topic])


def check_topic_id(partition: Partition, found: str) -> None:
    """Raise `FatalError` if the topic of this name has another id than when it was assigned."""
    if partition.topic_id not in {found, ""}:
        raise FatalError(
            f"the topic {partition.topic} was deleted and made anew while it was in use (its id is "
            f"{found}, it was {partition.topic_id}). Start the worker again: it reads the new topic "
            "from its beginning"
        )
