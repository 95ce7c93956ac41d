"""What the Grafana dashboard asks Prometheus."""

import json
from collections.abc import Iterator
from pathlib import Path

__all__ = ["DASHBOARD", "queries"]

DASHBOARD = Path(__file__).parents[1] / "deploy" / "grafana" / "dashboards" / "stream-app.json"


def queries(interval: str) -> Iterator[tuple[str, str]]:
    """Each panel's title with what it asks, rates over `interval` in Prometheus's form."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", interval)
