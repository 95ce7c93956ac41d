"""Dead letters that do not hold their whole record, until the record itself is read once more.

Of each record an audit keeps digests alone, and by these nobody can tell whether a value in which fields
were replaced is its record's, or whether a replay of which parts were left out is one. So such letters wait
here, and their records are read again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final, NamedTuple

from stream_app.audit.identities import bytes_digest
from stream_app.records.places import PartitionId
from stream_app.records.record_id import RecordId
from stream_app.text.redaction import Redaction

__all__ = ["FoundLetter", "ValueClaim", "WaitingLetters"]

_MOST: Final = 100_000
"""Letters that wait at once."""


class ValueClaim(NamedTuple):
    """What a letter says of a value that it holds in part."""

    paths: str
    """Those that were met in it, separated by commas."""
    length: int
    """In bytes, as it came."""
    digest: int | None
    """Of what is left of it; None where all of it is left out."""

    def differs(self, value: bytes | None) -> str:
        """Why this is not the value that the letter is of; empty where it may be."""
        if len(value or b"") != self.length:
            return "its record's value is not as long as it says"
        if self.digest is not None:
            redacted = Redaction(self.paths)(value)
            if redacted is None or bytes_digest(redacted.value) != self.digest:
                return "its value is not that of its record without the fields that it names"
        return ""


class FoundLetter(NamedTuple):
    """A dead letter of an audited record."""

    partition: PartitionId
    """Of the dead-letter topic."""
    offset: int
    consumed: PartitionId
    """Where its record lies."""
    origin: RecordId
    is_applied: bool
    claim: ValueClaim | None = None
    """None where the value was compared already."""


class WaitingLetters:
    """Letters by the place of their records."""

    def __init__(self) -> None:
        self._waiting: dict[PartitionId, dict[int, list[FoundLetter]]] = defaultdict(dict)
        self._count = 0

    @property
    def is_full(self) -> bool:
        """Whether their records should be read before more are added."""
        return self._count >= _MOST

    def add(self, letter: FoundLetter) -> None:
        """Let a letter wait."""
        self._waiting[letter.consumed].setdefault(letter.origin.offset, []).append(letter)
        self._count += 1

    def ranges(self) -> Mapping[PartitionId, tuple[int, int]]:
        """First and end of the offsets at which the records lie."""
        return {
            each: (min(letters), max(letters) + 1)
            for each, letters in self._waiting.items()
            if letters
        }

    def take(self, partition: PartitionId, offset: int) -> list[FoundLetter]:
        """The letters of a record, which wait no longer."""
        letters = self._waiting.get(partition, {}).pop(offset, [])
        self._count -= len(letters)
        return letters

    def take_all(self) -> list[FoundLetter]:
        """All that still wait, and wait no longer."""
        letters = [
            each
            for by_offset in self._waiting.values()
            for found in by_offset.values()
            for each in found
        ]
        self._waiting.clear()
        self._count = 0
        return letters
