"""A state as the store holds it beside what the log makes of it, and whether they agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice
from typing import Any, Final

from stream_app.audit.updates import StateUpdate
from stream_app.audit.values import same_values
from stream_app.features.engine.engine import EntityState
from stream_app.features.kinds import State, Update
from stream_app.features.views import View
from stream_app.text.foreign import bounded

__all__ = ["Change", "ComparedState", "apply", "difference", "lack", "may_have_expired", "settle"]

_MASK: Final = 2**64 - 1
_TRIES: Final = 5_000
"""Choices of uncertain updates that are tried for one state."""


@dataclass(slots=True)
class ComparedState:
    """A state as the store holds it, beside what the log makes of it."""

    stored: EntityState | None
    values: list[Any]
    count: int = 0
    digest: int = 0
    newest: float = -math.inf
    lacking: int = 0
    """Committed updates above the fences of the stored state."""
    known_at: float = -math.inf
    uncertain: list[tuple[Change, Update]] = field(default_factory=list)
    """Updates that the state may hold or not."""
    unclear: str = ""
    """Why it cannot be compared, as a sentence; empty if it can."""


@dataclass(slots=True)
class Change:
    """The updates of one record."""

    source: int
    rank: int
    offset: int
    digest: int
    event_time: float
    known_at: float
    committed: bool
    uncertain: bool
    """Whether a state may hold it or not."""
    updates: Sequence[StateUpdate] = field(default_factory=list)


def apply(view: View, held: ComparedState, change: Change, update: Update) -> None:
    """Apply an update to what is expected."""
    try:
        view.state.apply(held.values, update, change.rank, change.offset)
    except Exception as error:  # noqa: BLE001 - a kind of state may be the use case's own
        # The worker does not apply it, and what it leaves behind here is half an update.
        held.unclear = f"its arithmetic raised {type(error).__qualname__} for {change.offset}"
    held.count += 1
    held.digest += change.digest
    held.newest = max(held.newest, change.event_time)
    held.known_at = max(held.known_at, change.known_at)


def settle(view: View, held: ComparedState) -> None:
    """Apply those uncertain updates that a stored state holds, by its count and digest."""
    stored = held.stored
    if not held.uncertain or stored is None:
        return
    wanted = stored.count - held.count
    if wanted == 0:
        return
    missing = (stored.digest - held.digest) & _MASK
    if not 0 < wanted <= len(held.uncertain):
        return
    tries = islice(combinations(held.uncertain, wanted), _TRIES)
    chosen = next(
        (each for each in tries if sum(c.digest for c, _ in each) & _MASK == missing), None
    )
    if chosen is not None:
        for change, update in chosen:
            apply(view, held, change, update)
    elif math.comb(len(held.uncertain), wanted) > _TRIES:
        held.unclear = (
            f"it may hold {wanted} of {len(held.uncertain)} updates of records that were "
            "dead-lettered or had doubtful times: too many to try which"
        )


def may_have_expired(view: View, idle_seconds: float) -> bool:
    """Whether the store may have forgotten a state that nothing has updated for so long."""
    return view.ttl_seconds is not None and idle_seconds > view.ttl_seconds


def lack(held: ComparedState) -> str:
    """What a stored state certainly lacks, as a sentence; empty if nothing is known to lack."""
    if held.stored is None:
        return f"it is not in the store; the log has {held.count} updates of it"
    if held.lacking:
        return (
            f"it lacks {held.lacking} updates of committed records; the log has {held.count} "
            f"updates of it and the store counts {held.stored.count}"
        )
    if held.stored.count < held.count:
        return f"the store counts {held.stored.count} updates and the log has {held.count}"
    return ""


def difference(state: State, held: ComparedState) -> str:
    """What is wrong with a stored state, as a sentence; empty if nothing is."""
    stored = held.stored
    lacking = lack(held)
    if stored is None or lacking:
        return lacking
    if stored.count != held.count:
        return f"the store counts {stored.count} updates and the log has {held.count}"
    if stored.digest != held.digest & _MASK:
        return f"of its {held.count} updates some are of other records than those of the log"
    if stored.newest != held.newest:
        return f"its newest event time is {stored.newest!r} and should be {held.newest!r}"
    if not same_values(state, stored.values, held.values):
        return f"it holds {_short(stored.values)} and should hold {_short(held.values)}"
    return ""


def _short(values: Sequence[Any]) -> str:
    shown = ", ".join(bounded(repr(value), 40) for value in values[:8])
    return f"[{shown}{', ...' if len(values) > 8 else ''}]"
