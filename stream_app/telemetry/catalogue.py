"""Every metric of the worker, in one place: what is exported and what `docs/metrics.md` says.

Where each is counted is in `worker/listeners.py`.

Base units: seconds, bytes, records. Counters are exported with the suffix `_total`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["CATALOGUE", "Kind", "MetricSpec"]

Kind = Literal["counter", "gauge", "histogram", "info"]


class MetricSpec(NamedTuple):
    """One metric. `buckets` are upper bounds, in the metric's unit."""

    name: str
    kind: Kind
    doc: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def exported_name(self) -> str:
        """The name by which Prometheus knows it."""
        return self.name + {"counter": "_total", "info": "_info"}.get(self.kind, "")


# One scale for every duration, so that stages and services can be compared: 100 us to 10 s, and
# beyond it what a service that was away costs.
_DURATIONS = (
    *(0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
# A backlog of hours is normal after an outage and must not all end up beyond the last bucket.
_LATENCIES = (
    *(0.001, 0.002, 0.003, 0.005, 0.007_5, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2),
    *(0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0),
)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096)

CATALOGUE: tuple[MetricSpec, ...] = (
    MetricSpec(
        "stream_app_records",
        "counter",
        "Records finished, by what became of them: predicted, state_only, dead_lettered, or skipped "
        "where the topic's decoder says that a record is none of the use case's.",
        ("outcome", "topic"),
    ),
    MetricSpec(
        "stream_app_predictions",
        "counter",
        "Predictions acknowledged by the brokers. degraded says why a fallback served them and is "
        "empty where nothing was wrong.",
        ("model", "version", "served_by", "degraded"),
    ),
    MetricSpec(
        "stream_app_dead_letters",
        "counter",
        "Dead letters acknowledged by the brokers, by the topic of the event and the stage that it "
        "left at. disposition is poison where the record is to blame and bug where code is, the "
        "worker's or the use case's. reason is other for one that a use case's decoder made up.",
        ("topic", "stage", "reason", "disposition"),
    ),
    MetricSpec(
        "stream_app_flood_stopped",
        "gauge",
        "1 while a partition is stopped because too many of its records were refused; 0 once it is taken "
        "again. Absent for one that this worker never stopped.",
        ("topic", "partition"),
    ),
    MetricSpec(
        "stream_app_flood_stops",
        "counter",
        "Times a partition was stopped because too many of its records were refused.",
        ("topic", "partition"),
    ),
    MetricSpec(
        "stream_app_unknown_fields",
        "counter",
        "Fields of valid events that the contract does not know; they are tolerated.",
        ("topic",),
    ),
    MetricSpec(
        "stream_app_latency_seconds",
        "histogram",
        "From a record's timestamp to the acknowledgement of all that came of it. A timestamp "
        "ahead of the worker's clock counts as 0.",
        (),
        _LATENCIES,
    ),
    MetricSpec(
        "stream_app_stage_seconds",
        "histogram",
        "Time a batch took in a stage.",
        ("stage",),
        _DURATIONS,
    ),
    MetricSpec("stream_app_batch_records", "histogram", "Records in a batch.", (), _BATCHES),
    MetricSpec(
        "stream_app_redis_seconds",
        "histogram",
        "Time of one round trip to Redis.",
        ("operation",),
        _DURATIONS,
    ),
    MetricSpec(
        "stream_app_commit_seconds",
        "histogram",
        "Time of one commit of offsets.",
        (),
        _DURATIONS,
    ),
    MetricSpec(
        "stream_app_commit_failures",
        "counter",
        "Commits that the brokers refused or did not answer; they are tried again.",
    ),
    MetricSpec(
        "stream_app_consumer_lag_records",
        "gauge",
        "Records of a partition that are not finished yet: end of the partition minus what is "
        "committed or about to be. Absent while the end is unknown.",
        ("topic", "partition"),
    ),
    MetricSpec(
        "stream_app_consumer_lag_seconds",
        "gauge",
        "Age of the oldest record of a partition that is not finished yet; 0 where there is none. "
        "It goes on rising while processing is stuck.",
        ("topic", "partition"),
    ),
    MetricSpec(
        "stream_app_records_gone_by_retention",
        "counter",
        "Records that the brokers deleted before they were read.",
        ("topic", "partition"),
    ),
    MetricSpec(
        "stream_app_records_skipped_at_start",
        "counter",
        "Records that lay in the topics when a new group started at their end (`starts_at`).",
        ("topic", "partition"),
    ),
    MetricSpec(
        "stream_app_rebalances",
        "counter",
        "Changes of the assignment: assigned, revoked or lost.",
        ("kind",),
    ),
    MetricSpec(
        "stream_app_rebalanced_partitions",
        "counter",
        "Partitions in those changes.",
        ("kind",),
    ),
    MetricSpec("stream_app_assigned_partitions", "gauge", "Partitions that the worker holds now."),
    MetricSpec(
        "stream_app_waiting",
        "gauge",
        "1 while the worker waits for a service that is away.",
        ("service",),
    ),
    MetricSpec(
        "stream_app_held_records",
        "gauge",
        "Records read that wait for another partition (time alignment).",
    ),
    MetricSpec("stream_app_held_bytes", "gauge", "Bytes of those records."),
    MetricSpec(
        "stream_app_alignment_gave_up",
        "counter",
        "Times the worker went on without a partition that delivered nothing for "
        "`alignment_wait_seconds`.",
    ),
    MetricSpec(
        "stream_app_clock_corrected",
        "counter",
        "Records whose timestamp was absent or too far ahead of the clock; they counted as now.",
    ),
    MetricSpec(
        "stream_app_state_conflicts",
        "counter",
        "State values that another worker changed between read and write; they were applied again.",
    ),
    MetricSpec(
        "stream_app_state_ahead",
        "counter",
        "Redelivered records whose state already held their own or a later update.",
    ),
    MetricSpec(
        "stream_app_rebuilding_partitions",
        "gauge",
        "Partitions whose state is being rebuilt from the log; 0 when all is well.",
    ),
    MetricSpec(
        "stream_app_rebuilt_records",
        "counter",
        "Records read again to rebuild the state; nothing was published for them.",
    ),
    MetricSpec(
        "stream_app_build",
        "info",
        "Version of the application and of the model that it serves by.",
        ("version", "model", "model_version"),
    ),
)
