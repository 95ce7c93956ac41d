"""What the worker answers over HTTP: metrics for Prometheus, and health for probes."""

from __future__ import annotations

import json
import logging

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stream_app.telemetry.health import Answer, Health

__all__ = ["metrics_route", "worker_routes"]

_LOG = logging.getLogger(__name__)


def worker_routes(registry: CollectorRegistry, health: Health) -> list[Route]:
    """Return /metrics, /livez and /readyz."""

    async def livez(_: Request) -> Response:
        return _probed(health.liveness())

    async def readyz(_: Request) -> Response:
        return _probed(health.readiness())

    return [
        metrics_route(registry),
        Route("/livez", livez),
        Route("/readyz", readyz),
    ]


def metrics_route(registry: CollectorRegistry) -> Route:
    """Return /metrics of a registry."""

    # Not a coroutine, so that it runs on a thread: a lag that is slow to work out delays no probe.
    def metrics(request: Request) -> Response:
        try:
            encode, content_type = choose_encoder(request.headers.get("Accept", ""))
            return Response(encode(registry), media_type=content_type)
        except Exception:  # noqa: BLE001  the probes must stay; the log says what broke
            _LOG.exception("The metrics cannot be written.")
            return PlainTextResponse("The log says why.\n", 500)

    return Route("/metrics", metrics)


def _probed(answer: Answer) -> Response:
    body = {"ok": answer.ok, "why": answer.why, **answer.details}
    return Response(
        json.dumps(body) + "\n", 200 if answer.ok else 503, media_type="application/json"
    )
