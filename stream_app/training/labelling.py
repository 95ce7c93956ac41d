"""What the labels of a matrix are told by, and why a matrix may have none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from stream_app.features.usecase import Outcome

__all__ = ["Labelling"]

_DAY: Final = 86_400.0


@dataclass(frozen=True)
class Labelling:
    """An outcome, a function of the event that asked, or nothing; and the rows of the whole log."""

    by: Outcome | Callable[[Any], Any] | None = None
    rows: int = 0
    seconds: float = 0.0
    """Between the first and the last of them."""

    def why_none(self) -> str:
        """Why none of the rows has a label, and what to do, as a sentence."""
        rows, seconds = self.rows, self.seconds
        head = f"none of the {rows:,} rows has a label"
        if self.by is None:
            return (
                f"{head}: give the use case an outcome=Outcome(...), which tells what really happened, "
                "or make_matrix a label=."
            )
        if not isinstance(self.by, Outcome):
            return f"{head}: the label= of make_matrix gave None or NaN for each event."
        event, within = self.by.event.__name__, self.by.absent_after_seconds
        if within is not None and seconds < within:
            return (
                f"{head}: an outcome is waited for {within / _DAY:,.3g} days (absent_after_seconds), and "
                f"the log's rows are {seconds / _DAY:,.3g} days apart at most. Take a longer log."
            )
        return (
            f"{head}: no {event} of the log has the join key of an event that asked. Look at the "
            "outcome's join_key, and whether its topic is in the log."
        )
