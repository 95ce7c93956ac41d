"""Each alert is tested, and has a page to be read at three in the morning."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream_app.lag.exporter import METRICS
from stream_app.telemetry.catalogue import CATALOGUE

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "prometheus"
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]
NAMES = [rule["alert"] for rule in RULES]
CASES = [
    case
    for test in yaml.safe_load((FOLDER / "alerts.test.yml").read_text())["tests"]
    for case in test.get("alert_rule_test", ())
]


def exported() -> set[str]:
    """Return every series name of ours that Prometheus may see."""
    names = set(METRICS)
    for metric in CATALOGUE:
        names.add(metric.exported_name)
        if metric.kind == "histogram":
            names |= {f"{metric.name}_{suffix}" for suffix in ("bucket", "sum", "count")}
    return names


@pytest.mark.parametrize(
    "name", ["prometheus/alerts.yml", "prometheus/alerts.test.yml", "grafana/dashboards/stream-app.json"]
)  # fmt: skip
def test_series_that_are_asked_for_exist(name: str) -> None:
    """An alert on a metric that was renamed would never ring, and a panel would be empty."""
    used = set(re.findall(r"\bstream_app_\w+", (ROOT / "deploy" / name).read_text()))
    assert used
    assert used <= exported()


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_is_seen_to_ring_and_to_be_silent(name: str) -> None:
    """An alert that rings always, or never, is found by one of the two."""
    cases = [case for case in CASES if case["alertname"] == name]
    assert any(case.get("exp_alerts") for case in cases)
    assert any(not case.get("exp_alerts") for case in cases)


def test_the_rules_pass_their_test() -> None:
    """By Prometheus's own tool, where there is one; `make test-containers` has it always."""
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not installed")
    subprocess.run([tool, "test", "rules", FOLDER / "alerts.test.yml"], check=True)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alert_has_its_section_of_the_runbook(rule: Any) -> None:
    """One that says what it means, what to look at and what to do."""
    name = rule["alert"]
    assert rule["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"
    text = (ROOT / "docs" / "runbook.md").read_text()
    (section,) = re.findall(rf"(?ms)^## {name}\n(.*?)(?=^## |\Z)", text)
    for part in ("**Means.**", "**Look at.**", "**Do.**"):
        assert part in section


def test_the_runbook_has_no_section_of_an_alert_that_is_gone() -> None:
    """Its sections are the alerts, in their order."""
    text = (ROOT / "docs" / "runbook.md").read_text()
    assert re.findall(r"(?m)^## (StreamApp\w+)$", text) == NAMES
