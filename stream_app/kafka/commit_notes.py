"""What is committed beside the offsets of an assignment, as it changes while records are consumed."""

from __future__ import annotations

from stream_app.kafka.leader_epochs import LeaderEpochs
from stream_app.records.flood_note import FloodNote
from stream_app.records.start_count import StartCount
from stream_app.records.start_position import StartPosition

__all__ = ["CommitNotes"]


class CommitNotes:
    """Of one assignment."""

    __slots__ = ("control_records", "epochs", "flood", "starts")

    def __init__(self, start: StartPosition) -> None:
        self.control_records = (start.records_end, start.offset)
        """Half-open range of offsets that hold only control records of transactions, up to the last
        committed offset that skipped them."""
        self.epochs = LeaderEpochs(start.offset, start.leader_epoch)
        """Under which leaders its records were written."""
        self.starts = StartCount(start.offset, start.failed_starts)
        """How often it was begun without getting anywhere."""
        self.flood: FloodNote | None = start.flood
        """Whether the flood breaker has stopped it, or lets it through slowly."""
