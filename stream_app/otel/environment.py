"""What the standard variables of OpenTelemetry say, as far as they are ours to look at.

The SDK reads the others itself: endpoints, headers, certificates, timeouts, sampler, limits and queue.
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from stream_app.errors import ConfigurationError

__all__ = ["Wanted", "secrets", "wanted"]

_INTERVAL: Final = "OTEL_METRIC_EXPORT_INTERVAL"
_INTERVAL_MILLISECONDS: Final = 60_000.0
_PROTOCOL: Final = "http/protobuf"
_EXPORTERS: Final = ("otlp", "none")
_HEADERS: Final = re.compile(r"OTEL_EXPORTER_OTLP(_\w+)?_HEADERS")
_ENDPOINT: Final = re.compile(r"OTEL_EXPORTER_OTLP(_\w+)?_ENDPOINT")


class Wanted(NamedTuple):
    """What is to be sent."""

    traces: bool
    metrics: bool
    metrics_interval_seconds: float


def wanted(environment: Mapping[str, str]) -> Wanted:
    """What the variables ask for; raises `ConfigurationError` for what the worker cannot do."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Wanted(traces=False, metrics=False, metrics_interval_seconds=0.0)
    return Wanted(
        traces=_is_sent("TRACES", environment),
        metrics=_is_sent("METRICS", environment),
        metrics_interval_seconds=_interval_seconds(environment),
    )


def secrets(environment: Mapping[str, str]) -> list[str]:
    """What of the variables must be shown nowhere: values of headers, and passwords in addresses."""
    return [secret for secret in _secrets(environment) if secret.strip()]


def _is_sent(signal: str, environment: Mapping[str, str]) -> bool:
    variable = f"OTEL_{signal}_EXPORTER"
    exporter = environment.get(variable, "").strip().lower() or "otlp"
    if exporter not in _EXPORTERS:
        raise ConfigurationError(
            f"{variable}: the worker sends by {_EXPORTERS[0]}, or not at all. Example: {variable}=none"
        )
    if exporter == "none":
        return False
    for name in (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        protocol = environment.get(name, "").strip()
        if protocol and protocol != _PROTOCOL:
            raise ConfigurationError(
                f"{name}: the worker speaks {_PROTOCOL}, at port 4318 of a collector unless changed. "
                f"Example: {name}={_PROTOCOL}"
            )
        if protocol:
            break
    return True


def _interval_seconds(environment: Mapping[str, str]) -> float:
    given = environment.get(_INTERVAL, "").strip()
    try:
        milliseconds = float(given) if given else _INTERVAL_MILLISECONDS
    except ValueError:
        milliseconds = 0.0
    if not 1.0 <= milliseconds < float("inf"):
        raise ConfigurationError(f"{_INTERVAL}: expected milliseconds. Example: {_INTERVAL}=60000")
    return milliseconds / 1_000.0


def _secrets(environment: Mapping[str, str]) -> Iterator[str]:
    for name, text in environment.items():
        if _HEADERS.fullmatch(name):
            yield text
            for header in text.split(","):
                # One without a name is no header, and the SDK says so with what it is.
                value = header.partition("=")[2].strip() or header.strip()
                yield value
                yield unquote(value)
        elif _ENDPOINT.fullmatch(name) and "@" in text:
            yield text.partition("://")[2].rpartition("@")[0]
            with_password = _password(text)
            if with_password:
                yield with_password
                yield unquote(with_password)


def _password(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:
        return None
