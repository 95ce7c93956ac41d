"""Metrics: what is exported, that it is documented, and that counting in bulk is counting."""

import threading
import time
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from stream_app.kafka.end_offsets import PartitionLag
from stream_app.telemetry.catalogue import CATALOGUE
from stream_app.telemetry.histogram import BulkHistogram
from stream_app.telemetry.lag import LagCollector
from stream_app.telemetry.metrics import Metrics

BOUNDS = (0.001, 0.01, 0.5, 1.0, 10.0)


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Everything that is exported."""
    text = generate_latest(metrics.registry).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """One sample; KeyError where it is not exported."""
    return samples(metrics)[(name, frozenset(labels.items()))]


def by_prometheus(values: Iterable[float]) -> dict[tuple[str, str], float]:
    """What prometheus_client's own histogram makes of the values, one by one."""
    registry = CollectorRegistry()
    histogram = Histogram("h", "doc", buckets=BOUNDS, registry=registry)
    for each in values:
        histogram.observe(each)
    return exported(registry)


def exported(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    """Buckets, sum and count by (name, le)."""
    return {
        (sample.name, sample.labels.get("le", "")): sample.value
        for family in registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@pytest.mark.parametrize("seed", range(5))
def test_a_bulk_histogram_equals_prometheus_own(seed: int) -> None:
    """Whole arrays and single values land in the buckets that `Histogram.observe` would choose."""
    random = np.random.default_rng(seed)
    values = np.concatenate(
        [random.exponential(2.0, size=1_000), BOUNDS, np.nextafter(BOUNDS, 100.0), [0.0, np.inf]]
    )
    random.shuffle(values)
    registry = CollectorRegistry()
    histogram = BulkHistogram("h", "doc", (), BOUNDS)
    registry.register(histogram)
    for part in np.array_split(values, 7):
        histogram.labels().observe_many(part[:-1])
        histogram.labels().observe(float(part[-1]))
    expected = by_prometheus(values.tolist())
    ours = exported(registry)
    assert ours.keys() == expected.keys()
    assert ours == pytest.approx(expected)


def test_nan_does_not_spoil_the_sum_for_ever() -> None:
    """A value that is no number is left out; an empty array counts nothing."""
    histogram = BulkHistogram("h", "doc", (), BOUNDS)
    histogram.labels().observe_many(np.array([0.2, np.nan, 0.3]))
    histogram.labels().observe_many(np.array([]))
    histogram.labels().observe_many(np.array([np.nan]))
    buckets, total = histogram.labels().read()
    assert buckets[-1] == ("+Inf", 2.0)
    assert total == pytest.approx(0.5)


def test_threads_that_count_at_once_lose_nothing() -> None:
    """The loop, the client thread and the delivery thread share the metrics."""
    histogram = BulkHistogram("h", "doc", ("stage",), BOUNDS)

    def count() -> None:
        for _ in range(2_000):
            histogram.labels("decode").observe(0.5)
            histogram.labels("decode").observe_many(np.array([0.5, 20.0]))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert histogram.labels("decode").read()[0][-1] == ("+Inf", 4 * 2_000 * 3)


def test_every_metric_is_in_the_catalogue_and_every_entry_is_exported() -> None:
    """The catalogue is the whole truth: nothing undocumented, nothing documented in vain."""
    metrics = Metrics()
    use_everything(metrics)
    names = {
        family.name
        for family in metrics.registry.collect()
        if not family.name.startswith(("process_", "python_"))
    }
    assert names == {spec.name for spec in CATALOGUE}
    filled = {
        family.name: set(family.samples[0].labels) - {"le"}
        for family in metrics.registry.collect()
        if family.name in names
    }
    assert filled == {spec.name: set(spec.labels) for spec in CATALOGUE}


def watch_lag(metrics: Metrics, source: Callable[[], Iterable[PartitionLag]]) -> None:
    """Ask `source` for the lag at each scrape."""
    metrics.registry.register(LagCollector(source))


def use_everything(metrics: Metrics) -> None:
    """Call each method once."""
    metrics.build("0.1.0", "champion", "3")
    metrics.stage("decode", 0.001)
    metrics.batch(3)
    metrics.predictions("champion", "3", "champion", None, 2)
    metrics.outcome("predicted", "events", 2)
    metrics.dead_letters("flights", "decode", "invalid-json", "poison", 1)
    metrics.latencies(np.array([0.1, -5.0]))
    metrics.unknown_fields("events", 4)
    metrics.flood_stop("events", 3)
    metrics.flood_stopped([("events", 3)])
    metrics.redis_seconds("read", 0.001)
    metrics.commit(0.01)
    metrics.commit_failures()
    metrics.rebalance("assigned", 8)
    metrics.rebalance("revoked", 3)
    metrics.state_conflicts(1)
    metrics.state_ahead(1)
    metrics.alignment_gave_up()
    metrics.clock_corrected(1)
    metrics.held(10, 1_000)
    metrics.waiting("redis", True)
    metrics.gone_by_retention("events", 0, 7)
    metrics.skipped_at_start("orders", 0, 3)
    watch_lag(metrics, lambda: [PartitionLag("events", 0, 5, 1.5)])


def test_what_is_counted_is_exported() -> None:
    """Each method ends up under the name and labels that dashboards use."""
    metrics = Metrics()
    use_everything(metrics)
    assert value(metrics, "stream_app_records_total", outcome="predicted", topic="events") == 2
    assert value(
        metrics,
        "stream_app_dead_letters_total",
        topic="flights",
        stage="decode",
        reason="invalid-json",
        disposition="poison",
    )
    labels = {"model": "champion", "version": "3", "served_by": "champion", "degraded": ""}
    assert value(metrics, "stream_app_predictions_total", **labels) == 2
    assert value(metrics, "stream_app_assigned_partitions") == 5
    assert value(metrics, "stream_app_waiting", service="redis") == 1
    assert value(metrics, "stream_app_latency_seconds_count") == 2
    assert value(metrics, "stream_app_latency_seconds_sum") == pytest.approx(0.1)
    assert value(metrics, "stream_app_commit_failures_total") == 1
    metrics.waiting("redis", False)
    assert value(metrics, "stream_app_waiting", service="redis") == 0
    place = {"topic": "events", "partition": "3"}
    assert value(metrics, "stream_app_flood_stops_total", **place) == 1
    assert value(metrics, "stream_app_flood_stopped", **place) == 1
    metrics.flood_stopped([("events", 4)])
    assert value(metrics, "stream_app_flood_stopped", **place) == 0


def test_two_workers_in_a_process_share_nothing() -> None:
    """No metric is global."""
    first, second = Metrics(), Metrics()
    first.state_ahead(1)
    assert value(first, "stream_app_state_ahead_total") == 1
    assert value(second, "stream_app_state_ahead_total") == 0


def test_no_series_of_creation_times() -> None:
    """They would double what Prometheus has to keep."""
    metrics = Metrics()
    use_everything(metrics)
    assert not [name for name, _ in samples(metrics) if name.endswith("_created")]


def test_lag_is_worked_out_at_each_scrape() -> None:
    """A stuck work loop cannot keep an old number alive."""
    metrics = Metrics()
    started = time.monotonic()
    watch_lag(metrics, lambda: [PartitionLag("events", 3, 7, time.monotonic() - started)])
    labels = {"topic": "events", "partition": "3"}
    first = value(metrics, "stream_app_consumer_lag_seconds", **labels)
    second = value(metrics, "stream_app_consumer_lag_seconds", **labels)
    assert second > first
    assert value(metrics, "stream_app_consumer_lag_records", **labels) == 7


def test_an_unknown_lag_is_absent_rather_than_0() -> None:
    """0 would say that nothing is left to do."""
    metrics = Metrics()
    watch_lag(metrics, lambda: [PartitionLag("events", 0, None, 2.0)])
    labels = {"topic": "events", "partition": "0"}
    assert value(metrics, "stream_app_consumer_lag_seconds", **labels) == 2.0
    with pytest.raises(KeyError):
        value(metrics, "stream_app_consumer_lag_records", **labels)


def test_a_lag_that_cannot_be_worked_out_costs_no_other_metric(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The scrape goes on and the log says why a number is missing."""

    def broken() -> Iterable[PartitionLag]:
        yield PartitionLag("events", 0, 1, 1.0)
        raise RuntimeError("no")

    metrics = Metrics()
    watch_lag(metrics, broken)
    assert value(metrics, "stream_app_held_records") == 0
    assert "lag" in caplog.text


def test_work_that_is_no_stage_of_a_batch_makes_no_series() -> None:
    """The watchdog alone is told of it."""
    metrics = Metrics()
    metrics.stage("rebuild", 1.0)
    assert not [key for key in samples(metrics) if ("stage", "rebuild") in key[1]]


def test_a_reason_that_a_decoder_made_up_is_no_label() -> None:
    """A producer could make as many series as it likes."""
    metrics = Metrics()
    for number in range(100):
        metrics.dead_letters("flights", "decode", f"made up {number}", "poison", 1)
    letters = [key for key in samples(metrics) if key[0] == "stream_app_dead_letters_total"]
    assert len(letters) == 1
    assert ("reason", "other") in letters[0][1]
