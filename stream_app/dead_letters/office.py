"""The dead-letter office of one application: its letters, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from stream_app.config.settings import Settings
from stream_app.dead_letters.ensured_topic import ensure_topic
from stream_app.dead_letters.letter import Letter
from stream_app.dead_letters.letter_log import LetterLog, Ranges
from stream_app.dead_letters.resolutions import Resolutions, read_resolutions, resolutions_topic
from stream_app.dead_letters.selection import Selection
from stream_app.dead_letters.transactions import MarkedTransactions
from stream_app.errors import ConfigurationError
from stream_app.features.usecase import UseCase
from stream_app.kafka.brokers import Brokers, open_brokers
from stream_app.kafka.errors import asked_by_command
from stream_app.kafka.topic_records import existing_partitions
from stream_app.text.redaction import Redaction
from stream_app.wire.assembly import redaction_of
from stream_app.wire.replays import Replays

__all__ = ["Office", "Order", "Progress", "open_office"]

#: Told what is being read, how much of it, and of how much.
Progress = Callable[[str, int, int], None]

#: In which order letters are read.
Order = Literal["newest", "oldest", "any"]


@dataclass(frozen=True)
class Office:
    """What every command about dead letters needs."""

    settings: Settings
    usecase: UseCase
    application: str
    brokers: Brokers
    log: LetterLog
    replays: Replays
    progress: Progress

    @property
    def topic(self) -> str:
        """The dead-letter topic."""
        return self.usecase.dead_letters_topic

    @property
    def resolutions_topic(self) -> str:
        """The topic that says what became of letters."""
        return resolutions_topic(self.settings, self.application)

    @property
    def redaction(self) -> Redaction:
        """What is replaced in payloads before they are shown."""
        return redaction_of(self.settings)

    def resolutions(self, *, is_ensured: bool = False) -> Resolutions:
        """What became of letters; nothing where nobody has dealt with one yet.

        `is_ensured`: the topic exists for certain. A broker that does not know it for a moment must not
        pass for one that has no marks: letters would be replayed twice.
        """
        if not is_ensured and not existing_partitions(self.brokers, self.resolutions_topic):
            return Resolutions()
        return read_resolutions(self.brokers, self.resolutions_topic)

    def take_over(self) -> MarkedTransactions:
        """What sends replays and marks, taken over from whoever did so until now.

        Raises `ConfigurationError` for a right on the topic of resolutions that is missing, and where
        all letters are another application's: before anything is created.
        """
        next(self.select(Selection(), self.log.ranges()), None)
        ensure_topic(self.settings, self.brokers, self.resolutions_topic, self.topic)
        return MarkedTransactions(
            self.settings, self.application, self.topic, self.resolutions_topic
        )

    def ranges(self, selection: Selection) -> Ranges:
        """Where the selected letters are."""
        if selection.places is None:
            return self.log.ranges(selection.since, selection.until)
        found = {}
        for partition, bounds in self.log.ranges().items():
            offsets = [at for number, at in selection.places if number == partition.number]
            if offsets:
                first, end = max(bounds[0], min(offsets)), min(bounds[1], max(offsets) + 1)
                found[partition] = (first, max(first, end))
        return found

    def select(
        self,
        selection: Selection,
        ranges: Ranges,
        *,
        order: Order = "any",
        of: Resolutions | None = None,
        what: str = "letters",
        seen: set[tuple[int, int]] | None = None,
    ) -> Iterator[Letter]:
        """The selected letters of ranges; with `of` only those that are open by these.

        `order`: "newest" or "oldest" first by their times; "any": as they come, which is faster, and
        not the same each time. `seen` is given partition and offset of each that is selected, open or
        not. Raises `ConfigurationError` where all that lie there are another application's.
        """
        total, done, found = sum(end - first for first, end in ranges.values()), 0, 0

        def read(offsets: int) -> None:
            nonlocal done
            done += offsets
            self.progress(what, done, total)

        log = self.log
        letters = {
            "newest": log.newest_first, "oldest": log.oldest_first, "any": log.as_they_come
        }[order]  # fmt: skip
        for letter in letters(ranges, read):
            found += 1
            if not selection(letter):
                continue
            if seen is not None:
                seen.add((letter.id.partition, letter.id.offset))
            if of is None or of.of(letter) is None:
                yield letter
        if not found and self.log.of_others:
            raise ConfigurationError(
                f"the letters in {self.topic} are of {', '.join(sorted(self.log.of_others)[:3])}, and "
                f"this is {self.application}: name the use case and the application whose "
                "dead-letter topic it is"
            )


@contextmanager
def open_office(
    settings: Settings, usecase: UseCase, progress: Progress = lambda _what, _done, _total: None
) -> Iterator[Office]:
    """The office of a use case's application, while it is needed.

    Raises `ConfigurationError` for what brokers refuse, `ServiceAwayError` where they do not answer.
    """
    application = settings.application or usecase.name
    brokers = open_brokers(settings, application)
    try:
        with asked_by_command():
            topic = brokers.topics([usecase.dead_letters_topic])[usecase.dead_letters_topic]
            replays = Replays(application, settings.replay_secret)
            log = LetterLog(brokers, topic, application, replays)
            yield Office(settings, usecase, application, brokers, log, replays, progress)
    finally:
        brokers.close()
