"""What can be wrong with an output itself, beyond that it is missing or double."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any, Final

from stream_app.records.places import PartitionId

__all__ = ["Fault", "Faults"]

_LISTED: Final = 100
"""Outputs that are listed; all are counted."""


class Fault(IntFlag):
    """Why an output is no outcome of its record. Bits, so that a record can have several."""

    WITHOUT_VALUE = 1
    """A prediction without value, or a dead letter that left the value out and does not say so."""
    BROKEN_CONTRACT = 2
    """A prediction that is no JSON, breaks the use case's model, or does not say what it is of."""
    CONTRADICTORY = 4
    """Headers and value, or two headers, say different things."""
    OF_ANOTHER_RECORD = 8
    """Key, value, event id or event time are not those of the record that it names."""


@dataclass
class Faults:
    """The faults of all outputs that were read."""

    counts: Counter[Fault] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)
    """The first of them."""

    def add(self, fault: Fault, output: tuple[PartitionId, int], what: str) -> None:
        """Count a fault of the output at an offset; `what` is a sentence."""
        self.counts[fault] += 1
        if len(self.examples) < _LISTED:
            partition_id, offset = output
            self.examples.append(
                {
                    "fault": fault_name(fault),
                    "topic": partition_id.topic,
                    "partition": partition_id.number,
                    "offset": offset,
                    "what": what,
                }
            )

    def as_json(self) -> dict[str, int]:
        """Outputs by what is wrong with them."""
        return {fault_name(fault): self.counts[fault] for fault in Fault}


def fault_name(fault: Fault) -> str:
    """The fault's name in JSON."""
    return (fault.name or "").lower()
