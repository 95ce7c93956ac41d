"""The metrics of several workers as one text for Prometheus."""

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from stream_app.supervisor.merged_metrics import merged
from stream_app.telemetry.metrics import Metrics


def text_of(records: int, topic: str = "orders") -> str:
    """What a worker says that finished so many records."""
    metrics = Metrics()
    metrics.outcome("predicted", topic, records)
    metrics.redis_seconds("read", 0.25)
    metrics.build("1", "late", "champion-1")
    return generate_latest(metrics.registry).decode()


def test_each_sample_names_its_worker_and_nothing_else_changes() -> None:
    """A reader of Prometheus's format finds every family once, with the samples of all workers."""
    texts = {1: text_of(5), 2: text_of(7)}
    families = list(text_string_to_metric_families(merged(texts)))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    found = {
        (s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples
    }
    expected = {
        (s.name, tuple(sorted({**s.labels, "worker": str(number)}.items()))): s.value
        for number, text in texts.items()
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }
    assert found == expected
    kinds = {family.name: family.type for family in families}
    assert kinds["stream_app_records"] == "counter"
    assert kinds["stream_app_redis_seconds"] == "histogram"


def test_values_of_labels_may_hold_braces_and_spaces() -> None:
    """A topic's name cannot; the version of a model can."""
    odd = text_of(1, topic="{a b} c=")
    (family,) = [
        each
        for each in text_string_to_metric_families(merged({3: odd}))
        if "records" in each.name and each.name == "stream_app_records"
    ]
    assert family.samples[0].labels == {
        "worker": "3", "outcome": "predicted", "topic": "{a b} c=",
    }  # fmt: skip


def test_the_label_is_right_for_counters_where_a_sum_is_not() -> None:
    """After a restart the series of that worker alone falls; a sum would look as if it began at 0."""

    def values(text: str) -> dict[str, float]:
        return {
            s.labels["worker"]: s.value
            for family in text_string_to_metric_families(text)
            for s in family.samples
            if s.name == "stream_app_records_total"
        }

    before, after = ({1: text_of(1_000), 2: text_of(1_000)}, {1: text_of(1_010), 2: text_of(3)})
    fell = {w for w, value in values(merged(after)).items() if value < values(merged(before))[w]}
    assert fell == {"2"}


def test_no_worker_gives_no_text() -> None:
    """While all of them start."""
    assert merged({}) == ""
