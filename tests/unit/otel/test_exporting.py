"""Spans and metrics on their way to a collector, and what happens where it is away."""

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from prometheus_client.exposition import generate_latest

from stream_app.config.settings import Settings
from stream_app.errors import ConfigurationError
from stream_app.observer.events import BatchBegan, BatchFinished
from stream_app.observer.observer import Observer
from stream_app.otel.assembly import open_telemetry
from stream_app.otel.environment import secrets
from stream_app.telemetry.logs import configure_logging
from stream_app.telemetry.metrics import Metrics
from tests.otlp_receiver import Received, receiving
from tests.unit.builders import batch, item, partition

ON = Settings(opentelemetry=True, group_instance_id="flights-0")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of the caller's environment, and the root logger as it was."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Received]:
    """A collector that takes what comes."""
    with receiving() as received:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.address)
        yield received


def work(metrics: Metrics) -> None:
    """One batch, from its beginning to a clean end."""
    telemetry = open_telemetry(ON, "flights", metrics.registry)
    observer = Observer(telemetry.listeners)
    telemetry.start()
    at = partition(3)
    made = batch(1, [item(at, offset) for offset in (7, 8)])
    observer.tell(BatchBegan(made))
    observer.tell(BatchFinished(made))
    telemetry.close()


def test_spans_and_metrics_reach_a_collector_before_the_end(collector: Received) -> None:
    """Over OTLP, with who sends them; a worker that ends leaves nothing in its queue."""
    work(Metrics())
    assert [span.name for span in collector.spans] == ["process batch"]
    (span,) = collector.spans
    told = {each.key: each.value for each in span.attributes}
    ranges = told["stream_app.batch.records"].array_value.values
    assert [each.string_value for each in ranges] == ["orders[3] 7-8"]
    assert "stream_app_batch_records" in collector.newest_metrics
    assert {
        "service.name": "flights",
        "service.instance.id": "flights-0",
        "telemetry.sdk.language": "python",
    }.items() <= collector.resource().items()


def test_the_standard_variables_say_who_sends(
    collector: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They win over what the worker knows of itself."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "predictions")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=7")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    work(Metrics())
    resource = collector.resource()
    assert resource["service.name"] == "predictions"
    assert resource["deployment.environment.name"] == "test"
    assert {headers["x-tenant"] for headers in collector.headers} == {"7"}


def test_metrics_over_otlp_say_what_the_page_for_prometheus_says(collector: Received) -> None:
    """Counters, gauges, histograms with their buckets, and what is in labels alone."""
    metrics = Metrics()
    metrics.build("1", "late", "champion-1")
    metrics.outcome("predicted", "orders", 5)
    metrics.outcome("skipped", "orders", 2)
    metrics.held(3, 1_000)
    for seconds in (0.001, 0.2, 100.0):
        metrics.redis_seconds("read", seconds)
    work(metrics)
    told = collector.newest_metrics
    names = {family.name for family in metrics.registry.collect() if family.samples}
    assert set(told) == names
    records = told["stream_app_records"].sum
    assert records.is_monotonic
    assert records.aggregation_temporality == 2  # cumulative
    assert {
        next(a.value.string_value for a in p.attributes if a.key == "outcome"): p.as_double
        for p in records.data_points
    } == {"predicted": 5.0, "skipped": 2.0}
    (held,) = told["stream_app_held_records"].gauge.data_points
    assert held.as_double == 3.0
    (reads,) = told["stream_app_redis_seconds"].histogram.data_points
    assert (reads.count, reads.sum) == (3, pytest.approx(100.201))
    assert sum(reads.bucket_counts) == 3
    assert len(reads.bucket_counts) == len(reads.explicit_bounds) + 1
    assert reads.bucket_counts[-1] == 1
    assert not reads.HasField("min")
    assert told["stream_app_redis_seconds"].unit == "s"
    (build,) = told["stream_app_build"].gauge.data_points
    labels = {each.key: each.value.string_value for each in build.attributes}
    assert labels["model_version"] == "champion-1"
    assert b'stream_app_records_total{outcome="predicted",topic="orders"} 5.0' in generate_latest(
        metrics.registry
    )


def test_what_is_not_asked_for_is_not_sent(
    collector: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the two, or nothing, by the standard variables."""
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    work(Metrics())
    assert (len(collector.spans), collector.metrics) == (1, [])
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert open_telemetry(ON, "flights", Metrics().registry).listeners == ()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "jaeger"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1m"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "many"),
    ],
)
def test_what_the_worker_cannot_do_is_a_wrong_setting(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that names the variable, before the group is joined."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=variable):
        open_telemetry(ON, "flights", Metrics().registry)


@pytest.mark.parametrize("status", [None, 500, 503])
def test_a_collector_that_is_away_holds_up_no_stop(
    status: int | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was not sent is dropped, and the log says so without the headers that let us in."""
    configure_logging("INFO", "text")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter22")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        monkeypatch.setenv(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            f"http://user:hunter33@127.0.0.1:{nobody.getsockname()[1]}",
        )
        began = time.monotonic()
        if status is None:
            work(Metrics())
        else:
            with receiving(status) as received:
                monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.address)
                work(Metrics())
        assert time.monotonic() - began < 8.0
    said = capsys.readouterr().err
    assert "export" in said
    assert "hunter" not in said


def test_what_lets_us_in_is_a_secret() -> None:
    """Headers as they are written and as they are sent, and passwords in addresses."""
    told = secrets(
        {
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20hunter22, x=hunter33",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "api-key=hunter44",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://user:hunter%235@host:4318",
            "OTEL_SERVICE_NAME": "flights",
        }
    )
    assert {"Bearer%20hunter22", "Bearer hunter22", "hunter33", "hunter44"} <= set(told)
    assert {"hunter%235", "hunter#5"} <= set(told)
    assert "flights" not in told


def test_off_imports_nothing_and_listens_to_nothing() -> None:
    """A worker without it pays nothing, and needs none of its packages."""
    code = (
        "import sys\n"
        "import stream_app.worker.assembly\n"
        "from stream_app.config.settings import Settings\n"
        "from stream_app.otel.assembly import open_telemetry\n"
        "from stream_app.telemetry.metrics import Metrics\n"
        "made = open_telemetry(Settings(), 'flights', Metrics().registry)\n"
        "made.start(); made.close()\n"
        "assert made.listeners == ()\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_the_packages_a_sentence_says_what_to_install() -> None:
    """Status 2 and one line, not a traceback."""
    code = (
        "import sys\n"
        "sys.modules['opentelemetry.sdk'] = None\n"
        "from stream_app.config.settings import Settings\n"
        "from stream_app.otel.assembly import open_telemetry\n"
        "from stream_app.telemetry.metrics import Metrics\n"
        "open_telemetry(Settings(opentelemetry=True), 'flights', Metrics().registry)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ConfigurationError: opentelemetry: it is on" in done.stderr
    assert "pip install 'stream-app[otel]'" in done.stderr
