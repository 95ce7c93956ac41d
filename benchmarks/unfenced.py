"""The demo's use case over a store that neither compares nor marks: what fencing costs.

Loses updates as soon as two workers share an entity. `python -m benchmarks --compare fence` runs
it as any other use case; importing it changes the store of the process, so nothing else may.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from features.flights import usecase
from stream_app.features.stores import Progress, StateWrite
from stream_app.features.stores.redis import RedisStore

__all__ = ["usecase"]

_fenced_read = RedisStore.read


def _read(
    self: RedisStore,
    wanted: Sequence[Collection[str]],
    progress: Sequence[Progress] = (),  # noqa: ARG001
) -> list[list[tuple[str, bytes]]]:
    return _fenced_read(self, wanted)


def _write(
    self: RedisStore,
    writes: Sequence[StateWrite],
    progress: Sequence[Progress],  # noqa: ARG001
) -> list[tuple[StateWrite, bytes | None]]:
    keys, _ = self._open()
    pairs: list[list[str | bytes]] = [[] for _ in keys.states]
    for write in writes:
        bucket = keys.bucket(write.entity)
        pairs[bucket] += (keys.states[bucket][write.view] + write.entity, write.packed)
    self._nodes.round_trip([(b, ("MSET", *group)) for b, group in enumerate(pairs) if group])
    return []


RedisStore.read = _read  # type: ignore[method-assign]
RedisStore.write = _write  # type: ignore[method-assign]
