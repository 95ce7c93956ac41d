"""What an audit found: as numbers, as ranges of offsets, as sentences, as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_app.audit.faults import Fault, Faults, fault_name
from stream_app.audit.ledger import Fate, Fates
from stream_app.audit.letters import LetterAccount
from stream_app.audit.outputs import OutputCounts
from stream_app.audit.ranges import OffsetRange, Ranges
from stream_app.audit.state_report import RecomputeReport, StateDifference
from stream_app.records.places import PartitionId
from stream_app.records.record_id import RecordId

__all__ = ["PartitionReport", "RecomputeReport", "Report", "StateDifference"]

_DOUBLE = (
    Fate.PREDICTED_AGAIN, Fate.DEAD_LETTERED_AGAIN, Fate.PREDICTED_AND_DEAD_LETTERED,
)  # fmt: skip
_MISSING = (Fate.WITHOUT_OUTPUT, Fate.WITHOUT_STATE)
_FAULTS = {
    Fault.WITHOUT_VALUE: "outputs without value",
    Fault.BROKEN_CONTRACT: "predictions that break their contract",
    Fault.CONTRADICTORY: "outputs that contradict themselves",
    Fault.OF_ANOTHER_RECORD: "outputs of another record than the one they name",
}


@dataclass
class PartitionReport:
    """One partition of an event topic."""

    partition_id: PartitionId
    first: int
    """First offset of the range."""
    end: int
    """End of the range: the first offset that is not in it any more."""
    log_start: int
    committed: int | None
    mark: int | None
    """The state is applied through this offset; None: there is no state."""
    fates: dict[Fate, int] = field(default_factory=lambda: dict.fromkeys(Fate, 0))
    gone: int = 0
    """Offsets of the range that the log no longer holds."""
    gone_unread: int = 0
    """Those of them that the group had not committed."""
    cut_off: int = 0
    """Committed offsets that lie behind the end of the log."""

    def as_json(self) -> dict[str, Any]:
        """The partition as JSON has it."""
        return {
            "topic": self.partition_id.topic,
            "partition": self.partition_id.number,
            "first": self.first,
            "end": self.end,
            "log_start": self.log_start,
            "committed": self.committed,
            "mark": self.mark,
            **_counts(self.fates),
            "gone": self.gone,
            "gone_unread": self.gone_unread,
            "cut_off": self.cut_off,
        }


class Report:
    """The account of every record of the range."""

    def __init__(
        self, application: str, *, doubles_fail: bool, may_compact: frozenset[str] = frozenset()
    ) -> None:
        """`doubles_fail`: whether more than one outcome of a record is a failure.

        `may_compact`: event topics from which records may vanish that had outputs.
        """
        self.application = application
        self.doubles_fail = doubles_fail
        self.partitions: list[PartitionReport] = []
        self._may_compact = may_compact
        self.outputs = OutputCounts()
        self.faults = Faults()
        """Outputs that are wrong in themselves."""
        self.waiting_with_output = 0
        self.above_marks = 0
        """Committed records that the state does not hold, whatever their fate."""
        self.repeated_by_replay = 0
        """Records predicted more than once only because they were replayed."""
        self.unasked = 0
        """Records that asked for no prediction, by the decoders of today, and have one."""
        self.no_record = 0
        """Offsets of which there are outputs, and no record."""
        self.compacted = 0
        """The same in topics that compaction removes records from."""
        self.unbelieved_replays = 0
        """Records that call themselves replays, and that nobody with the replay secret made."""
        self.open_letters: int | None = None
        """Dead letters that nobody has replayed or resolved; None where nobody has ever done either."""
        self.open_letter_examples: list[str] = []
        self.unmarked_replays: dict[str, int] = {}
        """Events, and how many replays of each no mark says that a letter was replayed."""
        self.ranges: dict[str, Ranges] = {
            name: Ranges()
            for name in ("missing", "double", "gone", "gone_unread", "unproven", "unasked",
                         "wrong_output", "no_record", "compacted", "cut_off",
                         *map(fault_name, Fault))
        }  # fmt: skip
        self.notes: list[str] = []
        """What a reader must know to read the figures rightly, a sentence each."""
        self.recomputed: RecomputeReport | None = None

    def add(self, partition: PartitionReport, judged: Iterator[Fates]) -> None:
        """Take in the fates of a partition."""
        partition_id = partition.partition_id
        for part in judged:
            for fate in Fate:
                partition.fates[fate] += int((part.fates == fate).sum())
            for name, fates in (
                ("missing", _MISSING), ("double", _DOUBLE), ("unproven", (Fate.UNPROVEN,)),
                ("wrong_output", (Fate.WRONG_OUTPUT,)),
            ):  # fmt: skip
                chosen = sum((part.fates == fate) for fate in fates)
                self.ranges[name].add(partition_id, part.offsets[chosen.astype(bool)])
            self.ranges["unasked"].add(partition_id, part.unasked)
            self.unasked += len(part.unasked)
            self._add_no_record(partition_id, part.no_record)
            for fault, offsets in part.faults.items():
                self.ranges[fault_name(fault)].add(partition_id, offsets)
            self.waiting_with_output += part.waiting_with_output
            self.above_marks += part.above_mark
            self.repeated_by_replay += part.repeated_by_replay
        self.partitions.append(partition)

    def _add_no_record(self, partition_id: PartitionId, offsets: npt.NDArray[np.int64]) -> None:
        if partition_id.topic in self._may_compact:
            self.ranges["compacted"].add(partition_id, offsets)
            self.compacted += len(offsets)
        else:
            self.ranges["no_record"].add(partition_id, offsets)
            self.no_record += len(offsets)

    def add_beyond(self, partition_id: PartitionId, offsets: npt.NDArray[np.int64]) -> None:
        """Note offsets, in rising order, at or above the end of a log of which there are outputs."""
        self.ranges["no_record"].add(partition_id, offsets)
        self.no_record += len(offsets)

    def add_cut_off(self, partition: PartitionReport, end: int) -> None:
        """Note where a log ends, which may be below the committed offset: its rest was cut off."""
        committed = partition.committed or 0
        if committed > end:
            partition.cut_off = committed - end
            self.ranges["cut_off"].add_range(
                OffsetRange(*partition.partition_id, end, committed - 1)
            )

    def add_gone(self, partition: PartitionReport, first: int, end: int) -> None:
        """Note that the log no longer holds the offsets from `first` up to `end`."""
        if first >= end:
            return
        partition_id, committed = partition.partition_id, partition.committed or 0
        partition.gone += end - first
        self.ranges["gone"].add_range(OffsetRange(*partition_id, first, end - 1))
        if end > committed:
            unread = max(first, committed)
            partition.gone_unread += end - unread
            self.ranges["gone_unread"].add_range(OffsetRange(*partition_id, unread, end - 1))

    def add_letters(self, letters: LetterAccount, replayed: Mapping[RecordId, int]) -> None:
        """Take in which letters are open, and which of the replays nobody has marked."""
        self.open_letters = letters.open
        self.open_letter_examples = letters.open_examples
        self.unmarked_replays = {str(n): count for n, count in letters.unmarked(replayed).items()}

    def count(self, *fates: Fate) -> int:
        """Records with one of these fates."""
        return sum(partition.fates[fate] for partition in self.partitions for fate in fates)

    @property
    def records(self) -> int:
        """Records of the range; each has one fate."""
        return self.count(*(fate for fate in Fate if fate != Fate.NO_RECORD))

    @property
    def missing(self) -> int:
        """Records that nothing became of although something must have."""
        return self.count(*_MISSING)

    @property
    def double(self) -> int:
        """Records with more than one outcome."""
        return self.count(*_DOUBLE)

    @property
    def waiting(self) -> int:
        """Records at or above the committed offsets."""
        return self.count(Fate.WAITING)

    @property
    def unproven(self) -> int:
        """Records whose output retention may have removed."""
        return self.count(Fate.UNPROVEN)

    @property
    def gone(self) -> int:
        """Offsets of the range that the logs no longer hold."""
        return sum(partition.gone for partition in self.partitions)

    @property
    def gone_unread(self) -> int:
        """Those of them that were never committed."""
        return sum(partition.gone_unread for partition in self.partitions)

    @property
    def states_differ(self) -> int:
        """States that are not what the log says; 0 where they were not recomputed."""
        return self.recomputed.different if self.recomputed else 0

    @property
    def wrong(self) -> int:
        """Outputs that are wrong in themselves."""
        return self.faults.counts.total()

    @property
    def cut_off(self) -> int:
        """Committed offsets that lie behind the ends of their logs."""
        return sum(partition.cut_off for partition in self.partitions)

    @property
    def failures(self) -> list[tuple[int, str]]:
        """What makes the audit fail: how many, of what."""
        found = [
            (self.missing, "missing"),
            (self.double if self.doubles_fail else 0, "more than once"),
            *((self.faults.counts[fault], _FAULTS[fault]) for fault in Fault),
            (self.no_record, "offsets with outputs and without a record"),
            (self.cut_off, "committed offsets behind the end of the log"),
            (sum(self.unmarked_replays.values()), "replays that no mark of a letter knows"),
            (self.states_differ, "states that differ from the log"),
        ]
        return [(number, what) for number, what in found if number]

    @property
    def doubts(self) -> list[tuple[int, str]]:
        """What cannot be proven: how many, of what."""
        found = [(self.unproven, "records whose outputs retention may have removed")]
        if self.recomputed is not None and self.recomputed.proves_nothing:
            found.append((self.recomputed.states, "states, none of which could be compared"))
        elif self.recomputed is not None:
            found.append((self.recomputed.not_comparable, "states that could not be compared"))
        return [(number, what) for number, what in found if number]

    @property
    def failed(self) -> bool:
        """Whether something is not as it must be."""
        return bool(self.failures)

    @property
    def exit_status(self) -> int:
        """0: all is accounted for; 1: it failed; 2: not failed, and not proven either."""
        return 1 if self.failures else 2 if self.doubts else 0

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain data."""
        fates = {fate: self.count(fate) for fate in Fate}
        return {
            "application": self.application,
            "ok": self.exit_status == 0,
            "records": self.records,
            **_counts(fates),
            "gone": self.gone,
            "gone_unread": self.gone_unread,
            "waiting_with_output": self.waiting_with_output,
            "above_marks": self.above_marks,
            "repeated_by_replay": self.repeated_by_replay,
            "unasked": self.unasked,
            "no_record": self.no_record,
            "compacted": self.compacted,
            "cut_off": self.cut_off,
            **self.faults.as_json(),
            "unbelieved_replays": self.unbelieved_replays,
            "open_letters": self.open_letters,
            "open_letter_examples": self.open_letter_examples,
            "unmarked_replays": self.unmarked_replays,
            "doubles_fail": self.doubles_fail,
            "ranges": {
                name: {"kept": [r.as_json() for r in each.kept], "left_out": each.left_out}
                for name, each in self.ranges.items()
            },
            "outputs": vars(self.outputs),
            "wrong_outputs": self.faults.examples,
            "partitions": [partition.as_json() for partition in self.partitions],
            "recomputed": self.recomputed.as_json() if self.recomputed else None,
            "notes": self.notes,
        }


def _counts(fates: dict[Fate, int]) -> dict[str, int]:
    return {
        "predicted_once": fates[Fate.PREDICTED],
        "dead_lettered_once": fates[Fate.DEAD_LETTERED],
        "state_only": fates[Fate.STATE_ONLY],
        "waiting": fates[Fate.WAITING],
        "replays": fates[Fate.REPLAYED],
        "predicted_more_than_once": fates[Fate.PREDICTED_AGAIN],
        "dead_lettered_more_than_once": fates[Fate.DEAD_LETTERED_AGAIN],
        "predicted_and_dead_lettered": fates[Fate.PREDICTED_AND_DEAD_LETTERED],
        "double": sum(fates[fate] for fate in _DOUBLE),
        "missing": sum(fates[fate] for fate in _MISSING),
        "missing_output": fates[Fate.WITHOUT_OUTPUT],
        "missing_state": fates[Fate.WITHOUT_STATE],
        "wrong_output": fates[Fate.WRONG_OUTPUT],
        "unproven": fates[Fate.UNPROVEN],
    }
