"""The ledger of one partition: what each of its records asked for, what came of it, its fate.

It takes a few bytes an offset, in numpy arrays; nothing is kept as a Python object a record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stream_app.audit.faults import Fault
from stream_app.audit.identities import Identity

__all__ = ["Fate", "Fates", "Kind", "Ledger", "Terms"]

_SLICE: Final = 1 << 18
"""Offsets judged at once."""
_MOST: Final = 65_535
"""Copies of one output beyond which they are no longer counted."""


class Kind(IntFlag):
    """What is known of a record from the event topic alone."""

    RECORD = 1
    """There is one at this offset."""
    ASKS = 2
    """It is valid and asks for a prediction."""
    INVALID = 4
    """It is no event of the contract: it must be dead-lettered."""
    REPLAY = 8
    """It was published again, after another record, its first origin."""


class Fate(IntEnum):
    """What became of a record: each has exactly one."""

    NO_RECORD = 0
    PREDICTED = 1
    DEAD_LETTERED = 2
    STATE_ONLY = 3
    WAITING = 4
    """At or above the committed offset."""
    REPLAYED = 5
    """A replay whose outcome counts under its first origin."""
    PREDICTED_AGAIN = 6
    """Predicted more than once."""
    DEAD_LETTERED_AGAIN = 7
    """Dead-lettered more than once."""
    PREDICTED_AND_DEAD_LETTERED = 8
    WITHOUT_OUTPUT = 9
    """Committed, and neither prediction nor dead letter is there although one must be."""
    WITHOUT_STATE = 10
    """Committed, asks for nothing, and lies above the marks of the state."""
    UNPROVEN = 11
    """As `WITHOUT_OUTPUT`, but retention may have removed the output."""
    WRONG_OUTPUT = 12
    """As `WITHOUT_OUTPUT`, but there are outputs, each with a fault."""


@dataclass(frozen=True)
class Terms:
    """What the fates of one partition are judged by."""

    committed: int | None
    """The offset the group goes on from; None where it has committed none."""
    mark: int | None
    """The state is applied through this offset; None: the use case has no state."""
    outputs_removed_until: float
    """Retention may have removed outputs written before this time (seconds since the epoch)."""


@dataclass(frozen=True)
class Fates:
    """The fates of a slice of a partition."""

    offsets: npt.NDArray[np.int64]
    fates: npt.NDArray[np.uint8]
    waiting_with_output: int
    """Records that wait for their commit and have their output already."""
    above_mark: int
    """Committed records above the marks, whatever their fate."""
    repeated_by_replay: int
    """Records that were predicted more than once because they were replayed."""
    unasked: npt.NDArray[np.int64]
    """Offsets of records that asked for no prediction and have one."""
    no_record: npt.NDArray[np.int64]
    """Offsets at which there is no record, of which there are outputs."""
    faults: Mapping[Fault, npt.NDArray[np.int64]]
    """Offsets whose outputs have such a fault."""


class Ledger:
    """Everything known of the offsets from `first` up to, not including, `end`."""

    def __init__(self, first: int, end: int) -> None:
        self.first = first
        self.end = max(first, end)
        size = self.end - first
        # Zeroed memory is taken from the machine when it is first written to, not now.
        self._kinds = np.zeros(size, np.uint8)
        self._seconds = np.zeros(size, np.uint32)
        self._predictions = np.zeros(size, np.uint16)
        self._letters = np.zeros(size, np.uint16)
        self._replay_predictions = np.zeros(size, np.uint8)
        self._replay_letters = np.zeros(size, np.bool_)
        self._not_applied = np.zeros(size, np.bool_)
        self._faults = np.zeros(size, np.uint8)
        self._keys = np.zeros(size, np.uint32)
        self._values = np.zeros(size, np.uint32)
        self._events = np.zeros(size, np.uint32)
        self._identified = False

    def __contains__(self, offset: int) -> bool:
        """Whether the offset is accounted for here."""
        return self.first <= offset < self.end

    def records(self, offsets: Sequence[int], kinds: Sequence[int], seconds: Sequence[int]) -> None:
        """Note records; `seconds`: their timestamps since the epoch, 0 where there is none."""
        at = self._index(offsets)
        self._kinds[at] = kinds
        self._seconds[at] = seconds

    def identities(self, offsets: Sequence[int], identities: Sequence[Identity]) -> None:
        """Note what the outputs of these records must have in common with them."""
        at = self._index(offsets)
        self._keys[at], self._values[at], self._events[at] = zip(*identities, strict=True)
        self._identified = True

    def identity(self, offset: int) -> Identity | None:
        """What the outputs of a record must have in common with it; None where there is none."""
        at = offset - self.first
        if not (self._identified and self._kinds[at]):
            return None
        return Identity(int(self._keys[at]), int(self._values[at]), int(self._events[at]))

    def fault(self, offset: int, fault: Fault) -> None:
        """Note that an output of this record has a fault, so that it counts for nothing."""
        self._faults[offset - self.first] |= fault

    def predictions(self, offsets: Sequence[int]) -> None:
        """Note a prediction of each of these records, as it was consumed."""
        _count(self._predictions, self._index(offsets), _MOST)

    def dead_letters(self, offsets: Sequence[int]) -> None:
        """Note a dead letter of each of these records, as it was consumed."""
        _count(self._letters, self._index(offsets), _MOST)

    def not_applied(self, offsets: Sequence[int]) -> None:
        """Note that dead letters say these records did not change the state."""
        self._not_applied[self._index(offsets)] = True

    def replay_predictions(self, origins: Sequence[int]) -> None:
        """Note predictions that replays of these records led to."""
        _count(self._replay_predictions, self._index(origins), 255)

    def replay_dead_letters(self, origins: Sequence[int]) -> None:
        """Note dead letters that replays of these records led to."""
        self._replay_letters[self._index(origins)] = True

    def has_record(self, offset: int) -> bool:
        """Whether there is a record at an offset."""
        return bool(self._kinds[offset - self.first])

    def is_replay(self, offset: int) -> bool:
        """Whether the record at an offset is a replay."""
        return bool(self._kinds[offset - self.first] & Kind.REPLAY)

    def changed_no_state(self, offset: int) -> bool:
        """Whether the only thing that came of a record is a dead letter that changed no state."""
        at = offset - self.first
        return bool(self._not_applied[at]) and not self._predictions[at]

    def count(self) -> int:
        """Records."""
        return int(np.count_nonzero(self._kinds))

    def judge(self, terms: Terms) -> Iterator[Fates]:
        """The fates of all offsets, a slice after the other."""
        for start in range(0, self.end - self.first, _SLICE):
            yield self._judge(slice(start, min(start + _SLICE, self.end - self.first)), terms)

    def _judge(self, part: slice, terms: Terms) -> Fates:
        offsets = np.arange(self.first + part.start, self.first + part.stop, dtype=np.int64)
        kinds = self._kinds[part]
        record = kinds != 0
        asks = kinds & Kind.ASKS != 0
        replay = kinds & Kind.REPLAY != 0
        predictions, letters = self._predictions[part], self._letters[part]
        # As consumed: each record, a replay as well, may lead to one output.
        outputs = predictions.astype(np.uint32) + letters
        predicted = predictions + self._replay_predictions[part].astype(np.uint32)
        lettered = (letters > 0) | self._replay_letters[part]
        done = offsets < (0 if terms.committed is None else terms.committed)
        in_state = offsets <= (np.iinfo(np.int64).max if terms.mark is None else terms.mark)
        needs_output = asks | (kinds & Kind.INVALID != 0)
        faults = self._faults[part]
        kept = self._seconds[part] > terms.outputs_removed_until
        again = [
            (predictions > 1) & (letters == 0),
            (letters > 1) & (predictions == 0),
            outputs > 1,
        ]
        # The first that holds is the fate.
        rules: list[tuple[Any, Fate]] = [
            (~record, Fate.NO_RECORD),
            (again[0], Fate.PREDICTED_AGAIN),
            (again[1], Fate.DEAD_LETTERED_AGAIN),
            (again[2], Fate.PREDICTED_AND_DEAD_LETTERED),
            (~done, Fate.WAITING),
            (replay & (outputs == 1), Fate.REPLAYED),
            (predicted > 0, Fate.PREDICTED),
            (lettered, Fate.DEAD_LETTERED),
            (needs_output & (faults != 0), Fate.WRONG_OUTPUT),
            (needs_output & kept, Fate.WITHOUT_OUTPUT),
            (needs_output, Fate.UNPROVEN),
            (replay & in_state, Fate.REPLAYED),
            (in_state, Fate.STATE_ONLY),
        ]
        fates = np.select(
            [condition for condition, _ in rules],
            [np.uint8(fate) for _, fate in rules],
            np.uint8(Fate.WITHOUT_STATE),
        ).astype(np.uint8)
        return Fates(
            offsets,
            fates,
            waiting_with_output=_sum((fates == Fate.WAITING) & (outputs > 0)),
            above_mark=_sum(record & done & ~in_state),
            repeated_by_replay=_sum(record & (predicted > 1) & (predictions <= 1)),
            unasked=offsets[record & ~asks & (predictions > 0)],
            no_record=offsets[~record & (outputs > 0)],
            faults={fault: offsets[faults & fault != 0] for fault in Fault},
        )

    def _index(self, offsets: Sequence[int]) -> npt.NDArray[np.int64]:
        return np.asarray(offsets, np.int64) - self.first


def _count(array: npt.NDArray[Any], index: npt.NDArray[np.int64], most: int) -> None:
    """Add one at each index, as often as it occurs, and stop at `most` instead of wrapping."""
    places, times = np.unique(index, return_counts=True)
    array[places] = np.minimum(array[places].astype(np.int64) + times, most)


def _sum(mask: npt.NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(mask))
