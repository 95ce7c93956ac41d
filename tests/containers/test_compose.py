"""`docker compose up` brings up all of it, and what it shows is true."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests.containers.conftest import ROOT, Stack

DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "stream-app.json"


def queries() -> Iterator[tuple[str, str]]:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "30s")


def eventually(condition: Callable[[], object], seconds: float = 60.0) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.5)
    return True


def test_all_of_it_is_healthy(stack: Stack) -> None:
    """Two workers, what they need and what watches them, by one command."""
    print(f"\nhealthy after {stack.seconds:.0f} s: {', '.join(sorted(stack.services))}")
    states = [json.loads(line) for line in stack.compose("ps", "--format=json").splitlines()]
    assert {each["Health"] for each in states} == {"healthy"}
    assert sum(each["Service"] == "worker" for each in states) == 2


@pytest.mark.parametrize(("title", "expression"), [*queries()])
def test_every_panel_of_the_dashboard_has_data(stack: Stack, title: str, expression: str) -> None:
    """Of real workers that predict real flights, malformed ones among them."""
    assert eventually(lambda: stack.query(expression)), f"{title}: {expression}"


def test_the_rules_pass_their_test_and_are_loaded(stack: Stack) -> None:
    stack.compose("exec", "prometheus", "promtool", "test", "rules", "/etc/prometheus/alerts.test.yml")
    groups = stack.get("prometheus", 9090, "/api/v1/rules")["data"]["groups"]
    assert {each["name"] for each in groups} == {"stream-app", "stream-app-group"}
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}  # not evaluated yet


def test_lag_is_told_while_no_worker_is_left(stack: Stack) -> None:
    """The group is stopped, records come in, and what is outside says so."""
    stack.compose("stop", "worker", timeout=120)
    try:
        assert eventually(lambda: stack.query('up{job="stream-app-lag"} == 1'))
        assert eventually(lambda: stack.query("sum(stream_app_group_members) == 0"))
        assert eventually(lambda: stack.query("sum(stream_app_group_lag_records) > 100"))
        assert eventually(lambda: stack.query('stream_app_group_verdict{verdict="stop"} == 1'))
    finally:
        stack.compose("up", "--wait", "--no-recreate", "worker", timeout=120)
    assert eventually(lambda: stack.query("sum(stream_app_group_lag_records) < 100"))


def test_grafana_has_the_dashboard(stack: Stack) -> None:
    if "grafana" not in stack.services:
        pytest.skip("no image of Grafana can be had here")
    found = stack.get("grafana", 3000, "/api/search?query=stream-app")
    assert [each["uid"] for each in found] == ["stream-app"]
