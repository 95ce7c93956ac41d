"""Takes what a letter left out from the record itself, while the event topic still holds it."""

from __future__ import annotations

from stream_app.dead_letters.letter import Letter
from stream_app.features.usecase import UseCase
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.log_reader import LogReader, read_ranges
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId
from stream_app.records.record import Record
from stream_app.wire.dead_letter import headers_that_came, packed_headers
from stream_app.wire.replays import Replays

__all__ = ["OriginGoneError", "Origins"]


class OriginGoneError(Exception):
    """A cut letter's record is not to be had any more; the message says why."""


class Origins:
    """Completes letters that were cut or redacted."""

    def __init__(self, brokers: Brokers, usecase: UseCase, replays: Replays) -> None:
        names = [topic.name for topic in usecase.topics]
        self._topics = brokers.topics(names)
        self._partitions = {
            place: Partition.among(names, place)
            for topic in self._topics.values()
            for place in topic.partition_ids
        }
        self._starts = brokers.starts(self._partitions)
        self._ends = brokers.ends(self._partitions, decided=True)
        self._brokers = brokers
        self._replays = replays
        self._reader: LogReader | None = None

    def close(self) -> None:
        """Let go of the connections."""
        if self._reader is not None:
            self._reader.close()

    def completed(self, letter: Letter) -> Letter:
        """The letter with everything its record came with; raises `OriginGoneError`.

        Length and SHA-256 of what it left out are those that it says; of a redacted value, whose digest
        it does not tell, its length and what is left of it.
        """
        if not letter.cut:
            return letter
        record = self._record(letter)
        came = headers_that_came(record.headers)
        contents = {"headers": packed_headers(came), "key": record.key, "value": record.value}
        for part in sorted(letter.cut):
            if not letter.left_out(part, contents[part]):
                raise OriginGoneError(
                    f"the {part} of {letter.said.topic}[{letter.said.partition}] at "
                    f"{letter.said.offset} is not the one that was left out"
                )
        return letter.completed(record.key, record.value, came, self._replays)

    def _record(self, letter: Letter) -> Record:
        topic, topic_id, number, offset = letter.said[:4]
        place = PartitionId(topic, number)
        what = " and ".join(sorted(letter.cut))
        lacks = f"its {what} was {'redacted' if letter.said.redacted else 'left out'}"
        if place not in self._partitions or self._topics[topic].topic_id != topic_id:
            raise OriginGoneError(f"{lacks}, and its event topic is not there")
        if not self._starts[place] <= offset < self._ends[place]:
            raise OriginGoneError(
                f"{lacks}, and retention removed its record: {place} begins at "
                f"{self._starts[place]}"
            )
        if self._reader is None:
            self._reader = self._brokers.log_reader()
        for messages in read_ranges(self._reader, {place: (offset, offset + 1)}):
            for message in messages:
                return Record.of(self._partitions[place], message)
        raise OriginGoneError(f"{lacks}, and {place} has no record at {offset}")
