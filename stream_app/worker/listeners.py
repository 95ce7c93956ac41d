"""How metrics, watchdog, health and log listen to what happens in a worker.

Which file tells an event is noted at each kind in `observer/events.py`. A listener of another room is
added in `worker/assembly.py`.

Where a metric is counted is in `metrics_listeners`, with four exceptions: what a finished batch counts
at once (records, predictions, dead letters, state ahead, latencies, batch sizes) is in
`telemetry/batch_metrics.py`;
`waiting` is in `outage_listeners`; the lag is worked out at each scrape, in `telemetry/lag.py`; and
`build` is set when the models are loaded, in `worker/assembly.py`.

The watchdog measures time by thread, so its listeners must be called on the thread that works.
"""

from __future__ import annotations

import logging
from typing import Final

from stream_app.kafka.connection_causes import ConnectionCauses
from stream_app.observer.events import (
    AlignmentGaveUp,
    BatchFinished,
    ChunkWorkedOff,
    ClockCorrected,
    CommitAnswered,
    CommitFailed,
    FirstSkipped,
    MembershipChanged,
    OutageBegan,
    OutageEnded,
    PartitionsRebuilding,
    PartitionStopped,
    PartitionWentOn,
    Progress,
    Rebalanced,
    RecordsGone,
    RecordsRebuilt,
    RecordsSkipped,
    StageBegan,
    StageEnded,
    StateConflicts,
    StoppedPartitions,
    StoreAsked,
    UnbelievedReplays,
    UnknownFields,
    WaitingBegan,
    WaitingEnded,
)
from stream_app.observer.observer import Listener, on
from stream_app.records.log_fields import about
from stream_app.telemetry.batch_metrics import account_for
from stream_app.telemetry.failure_log import FailureLog
from stream_app.telemetry.health import Health
from stream_app.telemetry.metrics import Metrics
from stream_app.text.rate_limited import RateLimited
from stream_app.waiting.outages import Outages
from stream_app.worker.watchdog import Watchdog

__all__ = [
    "health_listeners",
    "log_listeners",
    "metrics_listeners",
    "outage_listeners",
    "watchdog_listeners",
]

log = logging.getLogger(__name__)

_UNBELIEVED_REPLAY: Final = (
    "a record has a header replay-of without a replay-token made with this worker's replay_secret: "
    "it is taken as a record of its own"
)
_REPLAYS_SECONDS: Final = 60.0
"""From one such line to the next."""


def metrics_listeners(metrics: Metrics) -> list[Listener]:
    """What is counted."""
    return [
        on(StageEnded, lambda it: metrics.stage(it.stage, it.seconds)),
        on(BatchFinished, lambda it: account_for(it, metrics)),
        on(ChunkWorkedOff, lambda it: metrics.held(it.held_records, it.held_bytes)),
        on(UnknownFields, lambda it: metrics.unknown_fields(it.topic, it.fields)),
        on(
            PartitionStopped,
            lambda it: metrics.flood_stop(it.partition.topic, it.partition.number),
        ),
        on(
            StoppedPartitions,
            lambda it: metrics.flood_stopped(
                (each.partition.topic, each.partition.number) for each in it.stopped
            ),
        ),
        on(ClockCorrected, lambda it: metrics.clock_corrected(it.records)),
        on(AlignmentGaveUp, lambda _: metrics.alignment_gave_up()),
        on(Rebalanced, lambda it: metrics.rebalance(it.kind, it.partitions)),
        on(CommitAnswered, lambda it: metrics.commit(it.seconds)),
        on(CommitFailed, lambda _: metrics.commit_failures()),
        on(
            RecordsGone,
            lambda it: metrics.gone_by_retention(
                it.partition.topic, it.partition.number, it.records
            ),
        ),
        on(
            RecordsSkipped,
            lambda it: metrics.skipped_at_start(
                it.partition.topic, it.partition.number, it.records
            ),
        ),
        on(StoreAsked, lambda it: metrics.redis_seconds(it.operation, it.seconds)),
        on(StateConflicts, lambda it: metrics.state_conflicts(it.states)),
        on(PartitionsRebuilding, lambda it: metrics.rebuilding(it.partitions)),
        on(RecordsRebuilt, lambda it: metrics.rebuilt_records(it.records)),
    ]


def watchdog_listeners(watchdog: Watchdog) -> list[Listener]:
    """What a thread has in hand, and whether it waits or gets on."""
    return [
        on(StageBegan, lambda it: watchdog.began(it.stage, it.records)),
        on(StageEnded, lambda _: watchdog.ended()),
        on(WaitingBegan, lambda it: watchdog.waits_for(it.service)),
        on(WaitingEnded, lambda _: watchdog.waits_for(None)),
        on(Progress, lambda _: watchdog.progress()),
    ]


def health_listeners(health: Health) -> list[Listener]:
    """What probes are told, services apart: whether the work loop goes round, and membership."""

    def progress(it: Progress) -> None:
        if it.of == "batches":  # a rebuilding says nothing of the loop
            health.beat()

    def stopped(it: StoppedPartitions) -> None:
        health.stopped(
            sorted(f"{each.partition} at {each.offset}" for each in it.stopped),
            takes_nothing=len(it.stopped) >= it.held > 0,
        )

    return [
        on(ChunkWorkedOff, lambda _: health.beat()),
        on(Progress, progress),
        on(MembershipChanged, lambda it: health.ready(it.is_ready, it.why)),
        on(StoppedPartitions, stopped),
    ]


def log_listeners(failures: FailureLog, outages: Outages) -> list[Listener]:
    """What is told in the log."""
    warn_of_replays = RateLimited(log.warning, _REPLAYS_SECONDS)
    return [
        on(BatchFinished, failures),
        on(ChunkWorkedOff, lambda _: failures.look()),
        on(WaitingBegan, outages.began),
        on(WaitingEnded, outages.ended),
        on(AlignmentGaveUp, _log_partition_given_up),
        on(PartitionStopped, _log_stopped),
        on(PartitionWentOn, _log_went_on),
        on(FirstSkipped, _log_first_skipped),
        on(UnbelievedReplays, lambda _: warn_of_replays(_UNBELIEVED_REPLAY)),
    ]


def _log_partition_given_up(it: AlignmentGaveUp) -> None:
    log.warning(
        "%s delivers nothing; going on without it until it does",
        it.partition,
        extra=about(it.partition),
    )


def _log_stopped(it: PartitionStopped) -> None:
    log.error(
        "%s is stopped at offset %d: %s. Nothing of it is taken, and nothing is lost; other partitions go "
        "on. It goes on by itself once the record at %d passes (mend what reads it, and deploy), or once its "
        "newest records do (mend what sends them). Or let the bad run be dead-lettered: stream-app resume "
        "--partition %s:%d --yes",
        it.partition, it.offset, it.why, it.offset, it.partition.topic, it.partition.number,
        extra=about(it.partition, it.offset),
    )  # fmt: skip


_WENT_ON: Final = {
    "head": "its first record passes now",
    "newest": "its newest records pass",
    "resumed": "an operator said so (stream-app resume)",
}


def _log_went_on(it: PartitionWentOn) -> None:
    slowly = f"; what is refused up to offset {it.until} is dead-lettered at a limited rate"
    log.warning(
        "%s goes on at offset %d: %s%s",
        it.partition, it.offset, _WENT_ON[it.how], slowly if it.until is not None else "",
        extra=about(it.partition, it.offset),
    )  # fmt: skip


def _log_first_skipped(it: FirstSkipped) -> None:
    log.info(
        "%s %d is skipped: its decoder says that it is none of the use case's. Further ones are counted "
        'by stream_app_records{outcome="skipped"}',
        it.partition,
        it.offset,
        extra=about(it.partition, it.offset),
    )


def outage_listeners(metrics: Metrics, health: Health, causes: ConnectionCauses) -> list[Listener]:
    """Listeners to `Outages`, which reports when a service is away and when it is back."""

    def ended(it: OutageEnded) -> None:
        if it.service == "kafka":
            causes.forget()

    return [
        on(OutageBegan, lambda it: metrics.waiting(it.service, True)),
        on(OutageEnded, lambda it: metrics.waiting(it.service, False)),
        on(OutageBegan, lambda it: health.waiting_for(it.service, it.why)),
        on(OutageEnded, lambda it: health.arrived(it.service)),
        on(OutageEnded, ended),
    ]
