"""Offsets as this worker commits them: each with a note of whose log it belongs to.

A committed offset is a bare number that outlives its topic: a topic deleted and created again has
the same name and other records, and a person may set a group's offsets to anything. So each offset
is committed with the topic's id beside it, in the metadata that Kafka keeps with it (the `metadata`
field of OffsetCommit).

The epoch of the leader that the record before was written under is committed with it, see
`leader_epochs`.

Where a log ends in markers of transactions, the offset behind them is committed, and beside it how
many they are: the state cannot hold what is no record. Two more notes have files of their own:
`records/start_count.py` and `records/flood_note.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from confluent_kafka import TopicPartition

from stream_app.kafka.commit_notes import CommitNotes
from stream_app.kafka.leader_epochs import UNKNOWN
from stream_app.records.partition import Partition

__all__ = ["as_committed", "markers_of", "topic_id_of"]

_MARK = "stream-app/1 "
_MARKERS = re.compile(r" markers=(\d{1,18})(?: |$)")


def as_committed(
    offsets: Mapping[Partition, int], notes: Mapping[Partition, CommitNotes]
) -> list[TopicPartition]:
    """The offsets to commit: for each partition the next one to read, with what is known of it."""
    return [_noted(p, offset, notes.get(p)) for p, offset in offsets.items()]


def _noted(partition: Partition, offset: int, notes: CommitNotes | None) -> TopicPartition:
    tags, epoch = "", UNKNOWN
    if notes is not None:
        first, end = notes.control_records
        markers = f" markers={end - first}" if end == offset > first else ""
        flood = notes.flood.tag() if notes.flood is not None else ""
        tags = markers + notes.starts.tag(offset) + flood
        epoch = notes.epochs.before(offset)
    metadata = _MARK + partition.topic_id + tags
    return TopicPartition(partition.topic, partition.number, offset, metadata, epoch)


def topic_id_of(metadata: str | None) -> str | None:
    """The topic id that an offset was committed with; None where somebody else committed it."""
    if metadata is None or not metadata.startswith(_MARK):
        return None
    return metadata.removeprefix(_MARK).partition(" ")[0]


def markers_of(metadata: str | None) -> int:
    """How many offsets right before a committed one of ours hold no records."""
    found = _MARKERS.search(metadata or "")
    return int(found[1]) if found else 0
