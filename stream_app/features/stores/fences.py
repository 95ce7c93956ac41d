"""Which fences a state still needs."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["prune_fences"]


def prune_fences(fences: dict[int, int], log_starts: Mapping[int, int]) -> dict[int, int]:
    """The fences whose records can still be read again; the same object if that is all of them.

    `fences` has the last offset applied, by source; `log_starts` the first offset that the log still
    holds, of the sources for which it is known. A fence below it guards nothing any more: the
    records up to it are gone.

    A worker that still holds such a record, read before it went, would apply it a second time. So
    the log starts given should be older than any batch may be: those of when a partition was
    assigned, not those of now.
    """
    for source, offset in fences.items():
        if offset < log_starts.get(source, 0):
            break
    else:
        return fences
    return {s: offset for s, offset in fences.items() if offset >= log_starts.get(s, 0)}
