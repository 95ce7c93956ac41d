"""What watches every worker: metrics, health, watchdog and log, and how each of them listens."""

from __future__ import annotations

from stream_app.config.settings import Settings
from stream_app.kafka.connection_causes import ConnectionCauses
from stream_app.observer.observer import Observer
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

__all__ = ["Monitoring"]


class Monitoring:
    """What needs nothing of a worker but its settings; which event goes where is in `listeners`.

    What listens and needs more, such as the models, is a line of `worker/assembly.py`.
    """

    def __init__(self, settings: Settings, causes: ConnectionCauses) -> None:
        self.metrics = Metrics()
        self.watchdog = Watchdog(settings.work_deadline_seconds)
        self.health = Health(
            settings.work_deadline_seconds, before_answering=lambda: outages.forget_the_dead()
        )
        self.failure_log = FailureLog()
        outages = Outages(
            Observer(outage_listeners(self.metrics, self.health, causes)), explained=causes.told
        )
        self.listeners = (
            *watchdog_listeners(self.watchdog),
            *metrics_listeners(self.metrics),
            *health_listeners(self.health),
            *log_listeners(self.failure_log, outages),
        )
