"""Reads the log that librdkafka writes for a consumer, for two cases it reports in no other way.

The first is another topic of the same name. librdkafka fetches by topic id. When a topic was deleted
and created again, librdkafka takes the new id from the brokers and goes on in the new topic at the
offset it had in the old one, and raises no event (2.16, `rd_kafka_topic_metadata_update2`). It says
so only in its log, under `debug=metadata`. That line lies in the same queue as the records, before
the first record of the new topic. So the line is read here, and the consuming code calls `check`
before it takes the records of a poll. A check once a second (`end_offsets`) would come too late for
records that were produced at once.

The second is an answer that is larger than `receive.message.max.bytes`, because one batch is.
librdkafka closes the connection and asks again, for ever; nothing of the partition is delivered.
"""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from stream_app.errors import FatalError
from stream_app.kafka.queries import as_kafka_shows_it
from stream_app.kafka.topic_ids import check_topic_id
from stream_app.records.partition import Partition

__all__ = ["ConsumerLog"]

_librdkafka = logging.getLogger("librdkafka")

_CHANGED = re.compile(r"Topic (\S+) changed id from \S+ to ([A-Za-z0-9+/]{22})")
_NO_ID = "A" * 22
_TOO_LARGE = re.compile(r"Invalid response size (\d+) \(0\.\.(\d+)\)")
_TIMES: Final = 3
_WITHIN_SECONDS: Final = 60.0
"""An answer that was refused so often in so long is refused for ever; once it may be anything."""


class ConsumerLog:
    """The `logger` of a consumer: passes on what librdkafka says, and reads along.

    librdkafka calls it inside `poll` and `consume`, on the thread that consumes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ids: dict[str, str] = {}
        self._refused: deque[float] = deque(maxlen=_TIMES)
        self._too_large = ""

    @staticmethod
    def properties(properties: Mapping[str, Any]) -> dict[str, Any]:
        """The consumer's properties, with what makes librdkafka tell of topic ids."""
        debug = [str(properties["debug"])] if properties.get("debug") else []
        return {**properties, "debug": ",".join([*debug, "metadata"])}

    def log(self, level: int, form: str, *arguments: object) -> None:
        """Take a line of librdkafka's log."""
        line = str(arguments[-1]) if arguments else ""
        if (changed := _CHANGED.search(line)) and changed[2] != _NO_ID:
            self._ids[changed[1]] = as_kafka_shows_it(changed[2])
        elif refused := _TOO_LARGE.search(line):
            self._note_too_large(int(refused[1]), int(refused[2]))
        _librdkafka.log(level, form, *arguments)

    def check(self, partitions: Iterable[Partition]) -> None:
        """Raise `FatalError` where the consumer must not, or cannot, go on with these."""
        if self._too_large:
            raise FatalError(self._too_large)
        if self._ids:
            ids, self._ids = self._ids, {}
            for partition in partitions:
                if partition.topic in ids:
                    check_topic_id(partition, ids[partition.topic])

    def _note_too_large(self, size: int, limit: int) -> None:
        now = self._clock()
        self._refused.append(now)
        if len(self._refused) == _TIMES and now - self._refused[0] <= _WITHIN_SECONDS:
            self._too_large = (
                f"an answer of the brokers has {size} bytes, because a batch in the topics is as "
                f"large, and is refused ever again: raise the consumer property "
                f"receive.message.max.bytes ({limit})"
            )
