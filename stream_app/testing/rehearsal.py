"""One worker's pipeline over topics in memory: what a use case and the order of steps are tried with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

from stream_app.alignment.align import AlignStage
from stream_app.alignment.assembly import make_align_stage
from stream_app.alignment.record_clock import RecordClock
from stream_app.config.settings import Settings
from stream_app.crash_isolation.isolation import CrashIsolation
from stream_app.delivery.publish import Publishing
from stream_app.errors import ConfigurationError
from stream_app.features.stores import MemoryStore, Source, Store
from stream_app.features.usecase import UseCase
from stream_app.flood.breaker import FloodBreaker
from stream_app.flood.valve import PartitionValve
from stream_app.flood.verdict import Verdict
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.models import Model, load_models
from stream_app.observer.events import BatchFinished
from stream_app.observer.observer import Listener, Observer, on
from stream_app.predictor.assembly import make_predictor
from stream_app.records.batch import Batch
from stream_app.records.chunk import Chunk
from stream_app.records.failure import Failure
from stream_app.records.partition import Partition
from stream_app.records.places import id_of
from stream_app.records.record import Record
from stream_app.records.start_position import StartPosition
from stream_app.recovery.recovery import Recovery
from stream_app.testing.topics import MemoryTopics
from stream_app.waiting.retry import Retry
from stream_app.wire.assembly import make_emitters
from stream_app.wire.outgoing import OutgoingRecords
from stream_app.worker.deliver_thread import DeliverThread
from stream_app.worker.pipeline import Pipeline, Stages

__all__ = ["Rehearsal"]


_POLL_RECORDS = 500


class Rehearsal:
    """A worker's pipeline, its threads included; of Kafka, Redis and processes it has none.

    Everything between is what serves: alignment, predictor, dead letters, the order of publication,
    state and commit. Not here are rebalances, rebuilding from the log and crash isolation.
    """

    def __init__(
        self,
        topics: MemoryTopics,
        models: Sequence[Model],
        *,
        store: Store | None = None,
        settings: Settings | None = None,
        poll_records: int = _POLL_RECORDS,
        listeners: Iterable[Listener] = (),
    ) -> None:
        """`models`: the champion first, then the fallbacks; see `load`. `store`: memory by default.

        `poll_records`: how many records one poll brings at most. `listeners` are told what happens.
        """
        self.topics = topics
        self.usecase = topics.usecase
        self.store = MemoryStore(self.usecase.features) if store is None else store
        self.failure: BaseException | None = None
        """What ended the worker."""
        self.finished: list[Batch] = []
        """The batches that are published and written, in their order."""
        self._settings = settings or Settings()
        self._poll_records = poll_records
        self._tracker = OffsetTracker()
        names = [topic.name for topic in self.usecase.topics]
        self._partitions = {
            each: Partition.among(
                names, each, Source("memory", f"{each.topic}-in-memory", each.number)
            )
            for each in topics.logs
        }
        self._observer = Observer(
            [on(BatchFinished, lambda finished: self.finished.append(finished.batch)), *listeners]
        )
        publishing = _Publishing(topics)
        self._deliver_thread = DeliverThread(
            publishing, self._tracker, self._observer, on_crash=self._crash
        )
        self._stages = self._build(models, publishing)

    @classmethod
    def load(cls, usecase: UseCase, artifacts: Path) -> Rehearsal:
        """A rehearsal of a use case with the model versions it serves by, below `artifacts`.

        Raises `ModelRefusedError`.
        """
        return cls(MemoryTopics(usecase), load_models(usecase, artifacts))

    def run(self) -> None:
        """Take every record that is not committed, until all is finished and committed.

        Raises what ended the worker, and commits nothing more then.
        """
        asyncio.run(self._run())
        if self.failure is not None:
            raise self.failure

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        depth = self._settings.pipeline_depth
        pipeline = Pipeline(
            self._stages, self._deliver_thread, self._observer, depth=depth, on_crash=self._crash
        )
        try:
            for chunk in self._chunks():
                await asyncio.wrap_future(pipeline(chunk))
                if self.failure is not None:
                    return
                self._commit_what_is_due()
            await loop.run_in_executor(None, self._deliver_thread.settle, None, None)
            if self.failure is None:
                self._commit_what_is_due()
        except Exception as error:  # noqa: BLE001 - raised by `run`
            self._crash(error)
        finally:
            pipeline.close()

    def _crash(self, error: BaseException) -> None:
        self.failure = self.failure or error

    def _chunks(self) -> list[Chunk]:
        """What polls bring: the assignment first, then every record, partitions in turns."""
        partitions = list(self._partitions.values())
        starts = [
            StartPosition(partition, self.topics.committed.get(each, 0), "worker")
            for each, partition in self._partitions.items()
        ]
        for start in starts:
            self._tracker.begin(start)
        left = [
            Record(start.partition, sent.offset, sent.timestamp, sent.key, sent.value, sent.headers)
            for start, log in zip(starts, self.topics.logs.values(), strict=True)
            for sent in log[start.offset :]
        ]
        left.sort(key=lambda record: record.known_at)
        chunks = [Chunk(assigned=starts, ended=[] if left else partitions)]
        for first in range(0, len(left), self._poll_records):
            records = left[first : first + self._poll_records]
            is_last = first + self._poll_records >= len(left)
            chunks.append(Chunk(records=records, ended=partitions if is_last else []))
        return chunks

    def _no_breaker(self, align: AlignStage, isolation: CrashIsolation) -> FloodBreaker:
        """One that stops nothing: a rehearsal takes all that there is, and then looks at it."""
        valve = PartitionValve(
            self._tracker, align, isolation, stop=lambda _: None, go_on=lambda _, __: None
        )
        return FloodBreaker(None, valve, _NoTrials(), self._observer, letters_per_second=1.0)

    def _commit_what_is_due(self) -> None:
        for partition, offset in self._tracker.take_due().items():
            self.topics.commit(id_of(partition), offset)
            self._tracker.committed(partition, offset)

    def _build(self, models: Sequence[Model], publishing: Publishing) -> Stages:
        settings, usecase, observer = self._settings, self.usecase, self._observer
        retry = Retry(initial_seconds=0.01, max_seconds=0.1, observer=observer)
        predictor = make_predictor(settings, usecase, models, self.store, retry, observer)
        emitters = make_emitters(settings, usecase, f"{models[0].name}/{models[0].version}")
        align = make_align_stage(
            # Records are all there from the beginning: a grace would hold the last ones for ever.
            settings.model_copy(update={"alignment_grace_seconds": 0.0}),
            observer,
            pause=lambda _: None,
            resume=lambda _: None,
        )
        isolation = CrashIsolation(_NoTrial(), self._tracker, starts=1, region_records=0)
        return Stages(
            clock=RecordClock(settings.clock_ahead_seconds, observer),
            align=align,
            isolation=isolation,
            predictor=predictor,
            flood=self._no_breaker(align, isolation),
            outgoing=OutgoingRecords(emitters.in_order),
            publish=publishing,
            recovery=Recovery(
                predictor.state,
                self._tracker,
                self._deliver_thread.settle,
                _NoRebuild(),  # type: ignore[arg-type]
                mode="wait",
                in_hand_records=0,
                observer=observer,
                on_crash=self._crash,
            ),
            tracker=self._tracker,
        )


class _NoTrials:
    """Nothing is stopped here, so nothing is tried."""

    def begin(self, partition: Partition, offset: int, **_: object) -> None:
        raise AssertionError(f"{partition} is not to be stopped at {offset}")

    def forget(self, partition: Partition) -> None:
        """Nothing was begun."""

    def verdicts(self) -> Sequence[Verdict]:
        """Nothing was begun."""
        return ()


class _Publishing:
    """Publishes into memory, where everything is acknowledged at once."""

    commits_offsets = False
    put_off_seconds = None

    def __init__(self, topics: MemoryTopics) -> None:
        self._topics = topics

    def check(self) -> None:
        """Memory may always be written."""

    def __call__(self, batch: Batch) -> None:
        for outgoing in batch.outgoing:
            self._topics.publish(outgoing)

    def finish(self, batch: Batch) -> list[Batch]:
        """Nothing is put off, so the batch is finished."""
        return [batch]

    def flush(self) -> list[Batch]:
        """Nothing was put off."""
        return []

    def suspend(self) -> None:
        """Nothing is open."""

    def abandon(self) -> list[Batch]:
        """Nothing was put off."""
        return []

    def close(self) -> None:
        """Nothing is under way."""


class _NoTrial:
    """No start got nowhere here, so no record is tried."""

    def __call__(self, record: Record) -> Failure | None:
        raise AssertionError(f"{record.partition} {record.offset} is not to be tried")

    def close(self) -> None:
        """Nothing was begun."""


class _NoRebuild:
    """A store that lacks what was committed cannot be rebuilt here."""

    def begin(
        self, partition: Partition, start: int, target: int, *, applied: int, **_: object
    ) -> None:
        raise ConfigurationError(
            f"the store holds the records of {partition} through offset {applied}, those from {start} "
            f"to {target - 1} were processed: give the rehearsal the store of the one before, or topics "
            "of which nothing is committed"
        )

    def end(self, partitions: Sequence[Partition]) -> None:
        """Nothing was begun."""
