"""`docker compose up` brings up all of it, and what it shows is true."""

from __future__ import annotations

import json
import re
from functools import partial

import pytest

from tests.containers.conftest import BUILDING, Stack, docker
from tests.dashboard import queries
from tests.integration.worker import eventually

pytestmark = pytest.mark.timeout(2 * BUILDING)


def flights_are_sent(stack: Stack) -> None:
    """Start the producer again where it has sent all that it had."""
    stack.compose("up", "--detach", "--no-deps", "--no-recreate", "producer")


def test_all_of_it_is_healthy(stack: Stack) -> None:
    """Two workers, what they need and what watches them, by one command."""
    print(f"\nhealthy after {stack.seconds:.0f} s: {', '.join(sorted(stack.services))}")
    states = [json.loads(line) for line in stack.compose("ps", "--format=json").splitlines()]
    assert {each["Health"] for each in states} == {"healthy"}
    assert sum(each["Service"] == "worker" for each in states) == 2


@pytest.mark.parametrize(("title", "expression"), [*queries("30s")])
def test_every_panel_of_the_dashboard_has_data(stack: Stack, title: str, expression: str) -> None:
    """Of real workers that predict real flights, malformed ones among them."""
    eventually(f"{title}: {expression}", lambda: stack.query(expression), 60.0)


def test_the_rules_pass_their_test_and_are_loaded(stack: Stack) -> None:
    """By the Prometheus that runs with them."""
    stack.compose(
        "exec", "prometheus", "promtool", "test", "rules", "/etc/prometheus/alerts.test.yml"
    )
    groups = stack.get("prometheus", 9090, "/api/v1/rules")["data"]["groups"]
    assert {each["name"] for each in groups} == {
        "stream-app-latency",
        "stream-app",
        "stream-app-group",
    }
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}  # not evaluated yet


def test_nothing_is_lost_when_a_worker_is_killed(stack: Stack) -> None:
    """The other one takes over its partitions, and the topics account for every record."""
    flights_are_sent(stack)
    killed, other = stack.compose("ps", "--quiet", "worker").split()
    docker("kill", killed)
    try:
        for expression in (
            "sum(stream_app_group_members) == 1",
            "sum(stream_app_group_lag_records) < 100",
        ):
            eventually(expression, partial(stack.query, expression), 90.0)
        said = docker("exec", other, "stream-app", "audit")
        assert re.search(r"(?m)^missing +0$", said), said
    finally:
        stack.compose("up", "--wait", "--no-recreate", "worker", timeout=120)


def test_lag_is_told_while_no_worker_is_left(stack: Stack) -> None:
    """The group is stopped, records come in, and what is outside says so."""
    stack.compose("stop", "worker", timeout=120)
    flights_are_sent(stack)
    try:
        for expression in (
            "sum(stream_app_group_members) == 0",
            "sum(stream_app_group_lag_records) > 100",
            'stream_app_group_verdict{verdict="stop"} == 1',
            'ALERTS{alertname="StreamAppGroupAbsent"}',
        ):
            eventually(expression, partial(stack.query, expression), 90.0)
    finally:
        stack.compose("up", "--wait", "--no-recreate", "worker", timeout=120)
    caught_up = "sum(stream_app_group_lag_records) < 100"
    eventually(caught_up, lambda: stack.query(caught_up), 60.0)


def test_grafana_has_the_dashboard(stack: Stack) -> None:
    """It is provisioned: nobody has to import it."""
    if "grafana" not in stack.services:
        pytest.skip("no image of Grafana can be had here")
    found = stack.get("grafana", 3000, "/api/search?query=stream-app")
    assert [each["uid"] for each in found] == ["stream-app"]
