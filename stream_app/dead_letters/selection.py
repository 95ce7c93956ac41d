"""Which dead letters a command is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Final

from stream_app.dead_letters.letter import Letter

__all__ = ["ABSENT", "Selection", "first_of"]

#: What is wrong with a letter that was asked for by its number, and is none.
ABSENT: Final = "not in the dead-letter topic, or of another application"


@dataclass(frozen=True)
class Selection:
    """Letters that all of this holds for; what is None, or an empty set of words, says nothing."""

    reasons: frozenset[str] = frozenset()
    stages: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    """Topics of the events."""
    dispositions: frozenset[str] = frozenset()
    places: frozenset[tuple[int, int]] | None = None
    """Partitions and offsets of the dead-letter topic. None: any; an empty set selects no letter."""
    key: bytes | None = None
    contains: bytes | None = None
    """Bytes that the value or the message of the failure holds."""
    since: float | None = None
    """Written at this time or later, in seconds since the epoch."""
    until: float | None = None
    """Written before this time."""

    @property
    def is_everything(self) -> bool:
        """Whether every letter is selected."""
        return all(getattr(self, each.name) == each.default for each in fields(self))

    def __call__(self, letter: Letter) -> bool:
        """Whether a letter is selected."""
        said = letter.said
        return (
            (not self.reasons or said.reason in self.reasons)
            and (not self.stages or said.stage in self.stages)
            and (not self.topics or said.topic in self.topics)
            and (not self.dispositions or said.disposition in self.dispositions)
            and (self.places is None or letter.id[1:] in self.places)
            and (self.key is None or letter.key == self.key)
            and (self.since is None or letter.written_at >= self.since)
            and (self.until is None or letter.written_at < self.until)
            and (self.contains is None or self._is_contained(letter, self.contains))
        )

    @staticmethod
    def _is_contained(letter: Letter, part: bytes) -> bool:
        return part in (letter.value or b"") or part in letter.said.message.encode()


def first_of(letters: Iterable[Letter], limit: int | None) -> Iterator[Letter]:
    """The first letters, `limit` at most; none is read behind them."""
    for number, letter in enumerate(letters, 1):
        yield letter
        if number == limit:
            return
