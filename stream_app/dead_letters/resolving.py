"""Marks letters as dealt with."""

from __future__ import annotations

from typing import Final

from stream_app.dead_letters.office import Office
from stream_app.dead_letters.outgoing_replay import resolution
from stream_app.dead_letters.selection import Selection, first_of
from stream_app.dead_letters.transactions import Marked

__all__ = ["resolve"]

_TRANSACTION: Final = 1_000
"""Marks of one."""


def resolve(
    office: Office, selection: Selection, *, does_it: bool, by: str, note: str, limit: int | None
) -> tuple[int, list[tuple[int, int]]]:
    """Mark the selected open letters, the oldest first; return how many there are, and what is none.

    The latter are partitions and offsets that were asked for by their numbers. Without `does_it` letters
    are only counted. Raises `ConfigurationError` for a right that is missing, `ShutOutError` where another
    takes over.
    """
    transactions = office.take_over() if does_it else None
    open_ = office.resolutions(is_ensured=does_it)
    seen: set[tuple[int, int]] | None = None if selection.places is None else set()
    letters = office.select(
        selection, office.ranges(selection), order="oldest", of=open_, what="resolve", seen=seen
    )
    count = 0
    batch: list[Marked] = []
    for letter in first_of(letters, limit):
        count += 1
        if transactions is None:
            continue
        batch.append((letter, resolution(letter, by=by, note=note), None))
        if len(batch) == _TRANSACTION:
            transactions.send(batch)
            batch = []
    if transactions is not None and batch:
        transactions.send(batch)
    if seen is None or limit is not None:
        return count, []
    return count, sorted((selection.places or frozenset()) - seen)
