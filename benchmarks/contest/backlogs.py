"""Backlogs: topics that are filled with flights before anybody reads them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from confluent_kafka import OFFSET_END, TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks.workload import all_topics, load, publish
from demo.errors import DemoError
from demo.topics import Offsets
from features.flights import usecase
from features.flights.data.year import Record
from features.flights.events import Boarding
from stream_app.local import create_topics
from stream_app.records.places import PartitionId

__all__ = ["ASKING", "OUTPUTS", "Backlog", "empty_topics", "fill", "make_topics", "spoilt"]

#: The topic whose events ask for a prediction.
ASKING: Final = next(topic.name for topic in usecase.topics if topic.contract is Boarding)
#: The topics of predictions and of dead letters.
OUTPUTS: Final = usecase.predictions_topic, usecase.dead_letters_topic

_OUTPUT_PARTITIONS: Final = 8
_LEADER_SECONDS: Final = 30.0
_EMPTY_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True)
class Backlog:
    """Records that lie ready on a broker of their own, under the names that the model was trained with."""

    bootstrap: str
    events: int
    """All records, malformed ones too."""
    predictions: int
    """How many of them ask for a prediction and can have one."""
    malformed: int = 0


def make_topics(bootstrap: str) -> None:
    """Create the topics; the broker's clock stamps what comes out."""
    create_topics(bootstrap, {topic.name: topic.partitions for topic in usecase.topics})
    stamped = {"message.timestamp.type": "LogAppendTime"}
    create_topics(bootstrap, dict.fromkeys(OUTPUTS, _OUTPUT_PARTITIONS), stamped)
    _wait_for_leaders(bootstrap)


def empty_topics(bootstrap: str) -> None:
    """Delete all their records; offsets go on where they were."""
    ends = [
        TopicPartition(name, number, OFFSET_END)
        for name, count in all_topics().items()
        for number in range(count)
    ]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.delete_records(ends, operation_timeout=_EMPTY_SECONDS).values():
        future.result()


def _wait_for_leaders(bootstrap: str) -> None:
    """A topic that has just been made may have no leader yet: then nobody is told where it ends."""
    offsets = Offsets(bootstrap, "contest-observer")
    ids = [PartitionId(topic.name, n) for topic in usecase.topics for n in range(topic.partitions)]
    ids += [PartitionId(name, n) for name in OUTPUTS for n in range(_OUTPUT_PARTITIONS)]
    deadline = time.monotonic() + _LEADER_SECONDS
    while True:
        try:
            offsets.ends(ids)
        except DemoError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_LOOK_SECONDS)
        else:
            return


def fill(bootstrap: str, events: int, *, malformed: int = 0) -> Backlog:
    """Create the topics and fill them with `events` flights, `malformed` of them spoilt."""
    make_topics(bootstrap)
    records = spoilt(load(events), malformed)
    publish(bootstrap, [record for record, _ in records])
    # A flight that comes again, as the month is repeated, is one event.
    good = {
        record.value for record, is_spoilt in records if record.topic == ASKING and not is_spoilt
    }
    return Backlog(bootstrap, events, len(good), malformed)


def spoilt(workload: list[Record], count: int) -> list[tuple[Record, bool]]:
    """The records, and whether each is malformed: `count` of them are cut in half, evenly spread."""
    at = {len(workload) * number // (count + 1) for number in range(1, count + 1)}
    return [
        (record._replace(value=record.value[: len(record.value) // 2]), True)
        if position in at
        else (record, False)
        for position, record in enumerate(workload)
    ]
