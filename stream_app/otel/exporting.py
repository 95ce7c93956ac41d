"""Sends spans and metrics to a collector over OTLP, on threads of its own.

Spans wait in the SDK's queue; what does not fit, because the collector is away or slow, is dropped:
telemetry never delays the work. Metrics are read from the registry that `/metrics` serves and sent
every so often.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import CollectorRegistry

from stream_app import __version__
from stream_app.observer.observer import Listener
from stream_app.otel.batch_spans import BatchSpans
from stream_app.otel.environment import Wanted
from stream_app.otel.registry_metrics import metrics_data

__all__ = ["Exporting", "make_resource", "make_spans"]

log = logging.getLogger(__name__)

_SCOPE: Final = "stream_app"
_CLOSE_SECONDS: Final = 3.0
"""How long the last spans and metrics may take; a collector that is away holds up no stop."""
_GIVE_UP_SECONDS: Final = 0.5
"""How long it may then take to leave them."""
_LINKS: Final = 128
"""Sampled records of a batch that have a span, where OTEL_SPAN_LINK_COUNT_LIMIT does not say."""


class Exporting:
    """The SDK's parts, from their making to `close`."""

    def __init__(
        self,
        asked: Wanted,
        application: str,
        worker: str,
        registry: CollectorRegistry,
        *,
        commits_in_finish: bool,
    ) -> None:
        """Raises `ValueError` for variables that the SDK refuses."""
        resource = make_resource(application, worker)
        self.listeners: Sequence[Listener] = ()
        self._starts: list[Callable[[], None]] = []
        self._closes: list[Callable[[], None]] = []
        self._give_ups: list[Callable[[], None]] = []
        if asked.traces:
            provider = TracerProvider(resource=resource, shutdown_on_exit=False)
            self.listeners = make_spans(provider, application, commits_in_finish).listeners
            spans = OTLPSpanExporter()
            self._starts.append(lambda: provider.add_span_processor(BatchSpanProcessor(spans)))
            self._closes.append(provider.shutdown)
            self._give_ups.append(spans.shutdown)
        if asked.metrics:
            exporter = OTLPMetricExporter()
            metrics = _Metrics(exporter, registry, resource, asked.metrics_interval_seconds)
            self._starts.append(metrics.start)
            self._closes.append(metrics.close)
            self._give_ups.append(exporter.shutdown)

    def start(self) -> None:
        """Begin to send."""
        for start in self._starts:
            start()

    def close(self) -> None:
        """Send what is left and end; where that takes too long, leave it."""
        threads = [
            threading.Thread(target=close, name="otel-close", daemon=True) for close in self._closes
        ]
        for thread in threads:
            thread.start()
        if not _all_ended(threads, _CLOSE_SECONDS):
            log.warning(
                "the last spans and metrics were not sent: the collector did not take them within %g s",
                _CLOSE_SECONDS,
            )
            exporters = logging.getLogger("opentelemetry")
            level = exporters.level
            exporters.setLevel(logging.CRITICAL)  # all that they could say is said
            for give_up in self._give_ups:
                give_up()
            _all_ended(threads, _GIVE_UP_SECONDS)
            exporters.setLevel(level)


def _all_ended(threads: Sequence[threading.Thread], seconds: float) -> bool:
    ends = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)


def make_resource(application: str, worker: str) -> Resource:
    """Who sends: the standard variables win over what the worker knows of itself."""
    ours = {
        "service.name": application,
        "service.version": __version__,
        "service.instance.id": worker,
    }
    said = OTELResourceDetector().detect().attributes
    return Resource.create({name: value for name, value in ours.items() if name not in said})


def make_spans(provider: TracerProvider, application: str, commits_in_finish: bool) -> BatchSpans:
    """What makes the spans of a worker."""
    most = SpanLimits().max_links
    return BatchSpans(
        provider.get_tracer(_SCOPE, __version__),
        application,
        most_records=_LINKS if most is None else most,
        commits_in_finish=commits_in_finish,
    )


class _Metrics:
    """Sends what the registry says, every so often and at the end."""

    def __init__(
        self,
        exporter: MetricExporter,
        registry: CollectorRegistry,
        resource: Resource,
        interval_seconds: float,
    ) -> None:
        self._exporter = exporter
        self._registry = registry
        self._resource = resource
        self._interval_seconds = interval_seconds
        self._since = time.time_ns()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otel-metrics", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._exporter.shutdown()

    def _run(self) -> None:
        while not self._ended.wait(self._interval_seconds):
            self._send()
        self._send()

    def _send(self) -> None:
        try:
            self._exporter.export(
                metrics_data(self._registry, self._resource, _SCOPE, self._since, time.time_ns())
            )
        except Exception:
            log.exception("the metrics could not be sent")
