"""What each listener makes of what it is told, over a real observer."""

import logging
import threading
from typing import Any
from unittest.mock import Mock

import pytest

from stream_app.kafka.connection_causes import ConnectionCauses
from stream_app.observer import events
from stream_app.observer.events import (
    AlignmentGaveUp,
    BatchFinished,
    ChunkWorkedOff,
    ClockCorrected,
    CommitAnswered,
    CommitFailed,
    MembershipChanged,
    PartitionsRebuilding,
    Progress,
    Rebalanced,
    RecordsGone,
    RecordsRebuilt,
    RecordsSkipped,
    StateConflicts,
    StoreAsked,
    UnbelievedReplays,
    UnknownFields,
    WaitingBegan,
    WaitingEnded,
    WorkEvent,
)
from stream_app.observer.observer import Observer
from stream_app.otel.batch_spans import BatchSpans
from stream_app.records.item import Served
from stream_app.telemetry.failure_log import FailureLog
from stream_app.telemetry.health import Health
from stream_app.telemetry.metrics import Metrics
from stream_app.waiting.outages import Outages
from stream_app.worker.listeners import (
    health_listeners,
    log_listeners,
    metrics_listeners,
    outage_listeners,
    watchdog_listeners,
)
from stream_app.worker.watchdog import Watchdog
from tests.unit.builders import batch, failed, item, partition

DEADLINE = 60.0


class Telemetry:
    """All listeners of a worker, with a clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.wedged: list[str] = []
        self.metrics = Metrics()
        self.health = Health(DEADLINE, lambda: self.now)
        self.watchdog = Watchdog(DEADLINE, on_wedged=self.wedged.append, clock=lambda: self.now)
        self.causes = ConnectionCauses("b:9092")
        outages = Outages(
            Observer(outage_listeners(self.metrics, self.health, self.causes)),
            explained=self.causes.told,
        )
        self.observer = Observer(
            [
                *watchdog_listeners(self.watchdog),
                *metrics_listeners(self.metrics),
                *health_listeners(self.health),
                *log_listeners(FailureLog(), outages),
            ]
        )

    def tell(self, *events: WorkEvent) -> None:
        """Tell the observer."""
        for event in events:
            self.observer.tell(event)

    def value(self, name: str, **labels: str) -> float | None:
        """A sample of a metric; None where there is none."""
        return self.metrics.registry.get_sample_value(f"stream_app_{name}", labels)

    def pass_seconds(self, seconds: int) -> None:
        """Let time pass, with a look of the watchdog each second."""
        for _ in range(seconds):
            self.now += 1.0
            self.watchdog.look()


@pytest.fixture
def telemetry() -> Telemetry:
    """A worker's."""
    return Telemetry()


def test_somebody_listens_to_every_kind_of_event() -> None:
    """One that nobody is told of is told in vain."""
    metrics, health = Metrics(), Health()
    listeners = [
        *outage_listeners(metrics, health, ConnectionCauses("b:9092")),
        *watchdog_listeners(Watchdog(DEADLINE)),
        *metrics_listeners(metrics),
        *health_listeners(health),
        *log_listeners(FailureLog(), Outages(Observer())),
        *BatchSpans(Mock(), "flights", most_records=1, commits_in_finish=False).listeners,
    ]
    kinds = {getattr(events, name) for name in events.__all__} - {WorkEvent}
    assert {listener.kind for listener in listeners} == kinds


@pytest.mark.parametrize(
    ("event", "name", "labels", "expected"),
    [
        (ChunkWorkedOff(10, 1_000), "held_records", {}, 10),
        (ChunkWorkedOff(10, 1_000), "held_bytes", {}, 1_000),
        (UnknownFields("orders", 4), "unknown_fields_total", {"topic": "orders"}, 4),
        (ClockCorrected(3), "clock_corrected_total", {}, 3),
        (AlignmentGaveUp(partition()), "alignment_gave_up_total", {}, 1),
        (Rebalanced("assigned", 8), "assigned_partitions", {}, 8),
        (Rebalanced("lost", 2), "rebalanced_partitions_total", {"kind": "lost"}, 2),
        (CommitAnswered(0.01), "commit_seconds_count", {}, 1),
        (CommitFailed("not the leader"), "commit_failures_total", {}, 1),
        (
            RecordsGone(partition(3), 7),
            "records_gone_by_retention_total",
            {"topic": "orders", "partition": "3"},
            7,
        ),
        (
            RecordsSkipped(partition(3), 9),
            "records_skipped_at_start_total",
            {"topic": "orders", "partition": "3"},
            9,
        ),
        (StoreAsked("write", 0.002), "redis_seconds_count", {"operation": "write"}, 1),
        (StateConflicts(5), "state_conflicts_total", {}, 5),
        (PartitionsRebuilding(6), "rebuilding_partitions", {}, 6),
        (RecordsRebuilt(11), "rebuilt_records_total", {}, 11),
    ],
)
def test_each_event_is_counted_under_its_metric(
    telemetry: Telemetry, event: WorkEvent, name: str, labels: dict[str, str], expected: float
) -> None:
    """By the labels that dashboards use."""
    telemetry.tell(event)
    assert telemetry.value(name, **labels) == expected


def test_a_finished_batch_is_counted_by_what_became_of_its_records(
    telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    """And its failures are told in the log."""
    served, state_only, dead = item(partition(), 1), item(partition(), 2), failed(partition(), 3)
    answer: dict[str, Any] = {}
    served.served = Served(answer, "champion", "3", "champion", None)
    telemetry.tell(BatchFinished(batch(1, [served, state_only, dead])))
    for outcome in ("predicted", "state_only", "dead_lettered"):
        assert telemetry.value("records_total", outcome=outcome, topic="orders") == 1
    assert telemetry.value("batch_records_count") == 1
    assert telemetry.value("latency_seconds_count") == 3
    assert "dead letter: orders[0] 3" in caplog.text


def test_a_stage_is_timed_and_watched_over(telemetry: Telemetry) -> None:
    """Past the deadline it is named with its records; once it has ended it is not any more."""
    with telemetry.observer.stage("score", [item(partition(), 7).record]):
        telemetry.pass_seconds(round(DEADLINE) + 1)
    (sentence,) = telemetry.wedged
    assert "stage score has been at work on orders[0] 7-7" in sentence
    telemetry.pass_seconds(3 * round(DEADLINE))
    assert len(telemetry.wedged) == 1
    assert telemetry.value("stage_seconds_count", stage="score") == 1


def test_a_thread_that_waits_for_a_service_is_not_wedged(telemetry: Telemetry) -> None:
    """Probes name the service, a metric says so, and the log has a line for beginning and end."""
    telemetry.tell(MembershipChanged(True, ""))
    with telemetry.observer.stage("state", ()):
        telemetry.tell(WaitingBegan("redis", "connection refused"))
        telemetry.pass_seconds(10 * round(DEADLINE))
        assert telemetry.health.liveness().ok
        assert "redis" in telemetry.health.readiness().why
        assert "connection refused" in telemetry.health.readiness().why
        assert telemetry.value("waiting", service="redis") == 1
        telemetry.tell(WaitingEnded("redis"))
    assert telemetry.wedged == []
    assert telemetry.health.readiness().ok
    assert telemetry.value("waiting", service="redis") == 0


def test_one_thread_that_waits_excuses_no_other(telemetry: Telemetry) -> None:
    """The watchdog knows waits by the thread that tells of them."""
    other = threading.Thread(target=telemetry.tell, args=(WaitingBegan("kafka", "gone"),))
    with telemetry.observer.stage("score", ()):
        other.start()
        other.join()
        telemetry.pass_seconds(round(DEADLINE) + 1)
    assert len(telemetry.wedged) == 1


def test_progress_of_the_batches_is_a_sign_of_the_work_loop(telemetry: Telemetry) -> None:
    """A trial in a child process takes longer than the deadline and is not stuck."""
    with telemetry.observer.stage("decode", ()):
        for _ in range(3):
            telemetry.pass_seconds(round(DEADLINE) - 1)
            telemetry.tell(Progress("batches"))
    assert telemetry.wedged == []
    assert telemetry.health.liveness().ok


def test_progress_of_a_rebuilding_says_nothing_of_the_work_loop(telemetry: Telemetry) -> None:
    """It has a thread of its own, which may get on while the loop is stuck."""
    with telemetry.observer.stage("rebuild", ()):
        for _ in range(3):
            telemetry.pass_seconds(round(DEADLINE) - 1)
            telemetry.tell(Progress("rebuilding"))
    assert telemetry.wedged == []
    assert not telemetry.health.liveness().ok


def test_a_chunk_that_is_worked_off_is_a_sign_of_the_work_loop(telemetry: Telemetry) -> None:
    """An idle worker gives it too."""
    telemetry.pass_seconds(round(DEADLINE) + 1)
    assert not telemetry.health.liveness().ok
    telemetry.tell(ChunkWorkedOff(0, 0))
    assert telemetry.health.liveness().ok


def test_a_worker_that_leaves_is_not_made_ready_by_what_the_group_says(
    telemetry: Telemetry,
) -> None:
    """Assignments may still come while it stops."""
    telemetry.health.leaving("The worker is stopping.")
    telemetry.tell(MembershipChanged(True, ""))
    assert telemetry.health.readiness().why == "The worker is stopping."


def test_a_partition_that_is_given_up_is_named_in_the_log(
    telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    """It holds all others up for a while each time."""
    with caplog.at_level(logging.WARNING):
        telemetry.tell(AlignmentGaveUp(partition(3)))
    assert "orders[3] delivers nothing" in caplog.text


def test_replays_that_are_not_believed_are_told_of_once_in_a_while(
    telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    """A producer that writes the headers of replays fills no log."""
    telemetry.tell(UnbelievedReplays(3), UnbelievedReplays(1))
    assert caplog.text.count("replay-of without a replay-token") == 1


def test_metrics_that_fail_stop_neither_watchdog_nor_log(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A listener that raises is logged, and the others are told all the same."""

    def broken(*_: object) -> None:
        raise RuntimeError("no metrics")

    monkeypatch.setattr(telemetry.metrics, "stage", broken)
    monkeypatch.setattr(telemetry.metrics, "alignment_gave_up", broken)
    with telemetry.observer.stage("score", ()):
        pass
    telemetry.tell(AlignmentGaveUp(partition(3)))
    assert telemetry.watchdog.unfinished(0.0) is None
    assert "orders[3] delivers nothing" in caplog.text
    assert "a listener failed on StageEnded" in caplog.text
