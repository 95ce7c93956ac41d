"""How a state is packed into the one string a store holds for it.

Little-endian: version u64, updates applied u64, account u64, newest event time f64 (seconds), the
kind's own numbers at fixed width, then (source u32, last offset i64) for each source that ever
updated it.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from random import Random
from struct import Struct
from typing import Final

from stream_app.features.engine.compiled_plans import compiled_kind
from stream_app.features.engine.engine import FENCE, EntityState
from stream_app.features.fingerprint.description import state_description
from stream_app.features.kinds import StateOverflowError
from stream_app.features.views import View

__all__ = [
    "VERSION_BYTES",
    "StateCodec",
    "StateUnreadableError",
    "layout_of",
    "unique_versions",
]

#: The version leads the packed value; the store's script compares these bytes.
VERSION_BYTES: Final = 8

_MASK: Final = 2**64 - 1


class StateUnreadableError(Exception):
    """A value that a store holds is no state: somebody else wrote it."""

    def __init__(self, position: int) -> None:
        super().__init__(f"value {position} is no state")
        self.position = position
        """Which of the values it is."""


def unique_versions() -> Callable[[], int]:
    """What gives each write a version that no other write ever has, by whomever: a random number.

    A version that is counted comes twice when a store is set back: whoever applies the log again
    reaches the number that another writer still knows, with other updates, and loses them to it.
    """
    # Its own generator: a use case may seed the one that `random` shares, the same in all workers.
    draw = Random().getrandbits
    return lambda: draw(63) + 1


class StateCodec:
    """Packs and unpacks the states of one view."""

    def __init__(self, view: View, *, in_python: bool = False) -> None:
        """`in_python`: the states that it unpacks are not compiled ones."""
        self._format = "<QQQd" + view.state.format
        self._prefix = Struct(self._format)
        self._whole: dict[int, Struct] = {}
        self._compiled = None if in_python else compiled_kind(view.state)

    def unpack(self, packed: Sequence[bytes]) -> list[EntityState]:
        """Unpack states, all in one pass over their fixed part; raises `StateUnreadableError`."""
        width = self._prefix.size
        foreign = {length for length in set(map(len, packed)) if not self._is_a_length(length)}
        if foreign:
            raise StateUnreadableError([len(value) in foreign for value in packed].index(True))
        if self._compiled is not None:
            return self._compiled.unpack(packed)  # type: ignore[no-any-return]
        prefixes = self._prefix.iter_unpack(b"".join([value[:width] for value in packed]))
        return [
            EntityState(head[0], head[1], head[2], head[3], list(head[4:]), value[width:])
            for head, value in zip(prefixes, packed, strict=True)
        ]

    def _is_a_length(self, length: int) -> bool:
        fences = length - self._prefix.size
        return fences >= 0 and fences % FENCE.size == 0

    def pack(self, state: EntityState) -> bytes:
        """Pack a state with the version it carries; raises `StateOverflowError`."""
        try:
            return self._packed(state) if type(state) is EntityState else state.packed()  # type: ignore[attr-defined]
        except (struct.error, OverflowError, TypeError) as error:
            raise StateOverflowError(
                f"the state does not fit the format {self._format!r}: {error}"
            ) from error

    def _packed(self, state: EntityState) -> bytes:
        fences = state._fences or state.fences  # the property costs a call
        whole = self._whole.get(len(fences))
        if whole is None:
            layout = self._format + "Iq" * len(fences)
            whole = self._whole[len(fences)] = Struct(layout)
        return whole.pack(
            state.version,
            state.count,
            state.digest & _MASK,
            state.newest,
            *state.values,
            *chain.from_iterable(fences.items()),
        )


def layout_of(view: View) -> str:
    """Eight hex digits that change whenever a state of the view would hold something else.

    That is its kind and parameters, the entity's key, and the functions that update it. They are part
    of the Redis key: a changed view starts from nothing and is built again from the log, instead of
    going on with states that older functions began, as no training has seen them.
    """
    described = json.dumps(["2", state_description(view)], sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()[:8]


def version_bytes(versions: Iterable[int]) -> list[bytes]:
    """The leading bytes of packed states with these versions; empty for 0, "not there yet"."""
    return [version.to_bytes(VERSION_BYTES, "little") if version else b"" for version in versions]
