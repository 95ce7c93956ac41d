"""The audit: an account of every record of the event topics, from the topics alone.

`audit` reads what any consumer can read, and never takes a worker's word for anything.
"""

from stream_app.audit.auditing import audit
from stream_app.audit.ledger import Fate
from stream_app.audit.ranges import OffsetRange
from stream_app.audit.report import PartitionReport, RecomputeReport, Report, StateDifference
from stream_app.audit.scope import Scope
from stream_app.records.places import PartitionId

__all__ = [
    "Fate",
    "OffsetRange",
    "PartitionId",
    "PartitionReport",
    "RecomputeReport",
    "Report",
    "Scope",
    "StateDifference",
    "audit",
]
