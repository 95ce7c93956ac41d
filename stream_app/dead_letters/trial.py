"""Whether records would pass now: by the very predictor, over the state as it is, which it only reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from stream_app.config.settings import Settings
from stream_app.dead_letters.outgoing_replay import OutgoingReplay
from stream_app.errors import FatalError, ServiceAwayError, StoppingError
from stream_app.features.stores import (
    Source,
    Store,
    StoreMismatchError,
    StoreRefusedError,
)
from stream_app.features.usecase import UseCase
from stream_app.models import ModelRefusedError, load_models
from stream_app.observer.events import WaitingBegan
from stream_app.observer.observer import Observer, on
from stream_app.predictor.assembly import decode_stage, make_predictor
from stream_app.records.failure import Failure
from stream_app.records.headers import too_many
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId
from stream_app.records.record import Record
from stream_app.state.only_read import OnlyRead
from stream_app.state.open_store import open_store
from stream_app.waiting.retry import Retry
from stream_app.wire.assembly import make_emitters
from stream_app.wire.outgoing import OutgoingRecords

__all__ = ["Attempt", "Trial"]

#: From a record to why it ends a process, or None; raises `ServiceAwayError`.
Attempt = Callable[[Record], Failure | None]

_DEADLY: Final = frozenset({"process-crash", "process-hang"})
"""Reasons of letters whose records ended a worker."""

_BEHIND_ALL: Final = 2**62
"""No record lies so far behind, so no state holds it already."""


class Trial:
    """Tries records as the worker would take them; nothing is written."""

    def __init__(
        self,
        settings: Settings,
        usecase: UseCase,
        application: str,
        attempt: Attempt | None = None,
    ) -> None:
        """Raises nothing where the models or the store are not to be had: see `only_decoded`.

        `attempt` tries what ended a worker in another process; without it such a letter fails again.
        """
        self._attempt = attempt
        self.only_decoded = ""
        """Why records were decoded only, and neither enriched nor scored; empty where they were."""
        self._names = [topic.name for topic in usecase.topics]
        self._partitions: dict[PartitionId, Partition] = {}
        self._store: Store = open_store(settings, usecase, application)
        observer = Observer([on(WaitingBegan, self._note)])
        retry = Retry(initial_seconds=0.0, max_seconds=0.0, observer=observer)
        retry.stop()  # nothing is waited for: what is away cannot be tried
        self._decode = decode_stage(settings, usecase, observer)
        self._predictor = None
        emitters = make_emitters(settings, usecase, "")
        self._outgoing = OutgoingRecords([emitters.predictions])
        try:
            models = load_models(usecase, settings.artifacts)
        except ModelRefusedError as error:
            self.only_decoded = str(error)
        else:
            store: Any = OnlyRead(self._store)
            self._predictor = make_predictor(settings, usecase, models, store, retry, observer)

    def close(self) -> None:
        """Let go of the connections."""
        self._store.close()

    def __call__(self, replays: Sequence[OutgoingReplay]) -> list[Failure | None]:
        """For each record why it would fail, or None: it would pass.

        Each is tried on the present state, and at the present time. Raises `ServiceAwayError` where
        a decoder's own service is away.
        """
        records = self._records(replays)
        deadly = {
            number: failure
            for number, (record, replay) in enumerate(zip(records, replays, strict=True))
            if replay.letter.said.reason in _DEADLY
            and (failure := self._isolated(record, replay.letter.said.reason)) is not None
        }
        tried = iter(self._tried([each for n, each in enumerate(records) if n not in deadly]))
        return [deadly[n] if n in deadly else next(tried) for n in range(len(records))]

    def _isolated(self, record: Record, reason: str) -> Failure | None:
        """Why a record that ended a worker would do so again; it must not end this process."""
        if self._attempt is None:
            return Failure("decode", reason, "it ended a process, and is tried in none here")
        try:
            return self._attempt(record)
        except ServiceAwayError as away:
            told = f"it ended a process, and cannot be tried in another one: {away}"
            return Failure("decode", reason, told)

    def _records(self, replays: Sequence[OutgoingReplay]) -> list[Record]:
        now = time.time()
        return [
            Record(
                self._partition(replay.target),
                _BEHIND_ALL + number,
                now,
                replay.key,
                replay.value,
                replay.headers,
                too_many(replay.headers),
            )
            for number, replay in enumerate(replays)
        ]

    def _tried(self, records: Sequence[Record]) -> list[Failure | None]:
        if not self.only_decoded and self._predictor is not None:
            try:
                batch = self._predictor(records)
                self._predictor.state.forget_all()
                self._outgoing(batch)  # an answer that is not JSON is found here
                return [item.failure for item in batch.items]
            except (StoppingError, FatalError, StoreMismatchError, StoreRefusedError) as error:
                self.only_decoded = self.only_decoded or str(error)
        return [item.failure for item in self._decode(records)]

    def _note(self, waiting: WaitingBegan) -> None:
        self.only_decoded = f"{waiting.service} is away: {waiting.why}"

    def _partition(self, target: PartitionId) -> Partition:
        found = self._partitions.get(target)
        if found is None:
            found = Partition.among(self._names, target, Source("", "", target.number))
            self._partitions[target] = found
            if self._predictor is not None:
                with suppress(StoppingError, FatalError, StoreMismatchError, StoreRefusedError):
                    self._predictor.state.register({found: 0})
        return found
