"""Reads the dead-letter topic: by the times of its letters, as they come, or one letter.

By their times it is read in slices, from the end or from the beginning, each of them forwards, and the
partitions are merged. So the newest letters of a topic of millions are there at once.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from stream_app.dead_letters.letter import Letter, letter_of
from stream_app.kafka.brokers import Brokers, Topic
from stream_app.kafka.log_reader import LogReader, Step, read_ranges
from stream_app.records.places import PartitionId
from stream_app.wire.replays import Replays

__all__ = ["LetterLog", "Ranges"]

#: Offsets of each partition: from the first up to and without the second.
Ranges = dict[PartitionId, tuple[int, int]]

_FIRST_SLICE: Final = 100
_LARGEST_SLICE: Final = 8_000
_SLICE_BYTES: Final = 16 * 2**20
_APART_SECONDS: Final = 60.0
"""Several workers write one partition: a letter may stand before another that is older by so much."""


class LetterLog:
    """The letters of one application in its dead-letter topic."""

    def __init__(self, brokers: Brokers, topic: Topic, application: str, replays: Replays) -> None:
        self.topic = topic
        self.of_others: set[str] = set()
        """Applications whose letters were come across, and left out."""
        self._brokers = brokers
        self._application = application
        self._replays = replays

    def ranges(self, since: float | None = None, until: float | None = None) -> Ranges:
        """Where the letters of a time are: all of them, and few others."""
        partitions = self.topic.partition_ids
        first, end = self._brokers.starts(partitions), self._brokers.ends(partitions, decided=True)
        if since is not None:
            found = self._brokers.first_at(partitions, since)
            first = {each: end[each] if found[each] is None else found[each] or 0 for each in first}
        if until is not None:
            found = self._brokers.first_at(partitions, until + _APART_SECONDS)
            end = {each: end[each] if found[each] is None else found[each] or 0 for each in end}
        return {each: (first[each], end[each]) for each in partitions if first[each] < end[each]}

    def newest_first(
        self, ranges: Ranges, progress: Callable[[int], None] = lambda _: None
    ) -> Iterator[Letter]:
        """The letters of ranges by their times; `progress` is told of offsets as they are read."""
        return self._merged(ranges, progress, backwards=True)

    def oldest_first(
        self, ranges: Ranges, progress: Callable[[int], None] = lambda _: None
    ) -> Iterator[Letter]:
        """The same, the other way round."""
        return self._merged(ranges, progress, backwards=False)

    def as_they_come(
        self, ranges: Ranges, progress: Callable[[int], None] = lambda _: None
    ) -> Iterator[Letter]:
        """The letters of ranges in the order of each partition; of several, now these and now those.

        The fastest way to read all of them. Read twice, the first hundred may be others.
        """
        reader = self._brokers.log_reader()
        try:
            yield from self._read(reader, ranges, progress)
        finally:
            reader.close()

    def at(self, partition: int, offset: int) -> Letter | None:
        """The letter that lies there, if one does."""
        place = PartitionId(self.topic.name, partition)
        first, end = self.ranges().get(place, (0, 0))
        if not first <= offset < end:
            return None
        found = self.as_they_come({place: (offset, offset + 1)})
        return next((each for each in found if each.id.offset == offset), None)

    def _merged(
        self, ranges: Ranges, progress: Callable[[int], None], *, backwards: bool
    ) -> Iterator[Letter]:
        reader = self._brokers.log_reader()
        try:
            yield from heapq.merge(
                *(
                    self._by_time(reader, each, bounds, progress, backwards=backwards)
                    for each, bounds in ranges.items()
                ),
                key=lambda letter: letter.written_at,
                reverse=backwards,
            )
        finally:
            reader.close()

    def _by_time(
        self,
        reader: LogReader,
        partition: PartitionId,
        bounds: tuple[int, int],
        progress: Callable[[int], None],
        *,
        backwards: bool,
    ) -> Iterator[Letter]:
        (first, end), size = bounds, _FIRST_SLICE
        while first < end:
            if backwards:
                begin, until = max(first, end - size), end
                end = begin
            else:
                begin, until = first, min(end, first + size)
                first = until
            letters = list(self._read(reader, {partition: (begin, until)}, progress))
            held = sum(len(letter.value or b"") for letter in letters) + 1
            size = min(2 * size, _LARGEST_SLICE, 16 + _SLICE_BYTES * (until - begin) // held)
            letters.sort(key=lambda letter: letter.written_at)
            if not backwards:
                letters.reverse()  # those of the same moment, too
            while letters:
                yield letters.pop()

    def _read(
        self, reader: LogReader, ranges: Ranges, progress: Callable[[int], None]
    ) -> Iterator[Letter]:
        def on_step(step: Step) -> None:
            progress(step.end - step.first)

        for messages in read_ranges(reader, ranges, on_step):
            for message in messages:
                with suppress(ValueError):  # a prediction, or what somebody else wrote
                    letter = letter_of(message, self.topic.topic_id, self._replays)
                    if letter.said.group in ("", self._application):
                        yield letter
                    else:
                        self.of_others.add(letter.said.group)
