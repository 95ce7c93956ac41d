"""What is deployed says what the code says."""

import re
import tomllib
from pathlib import Path

import pytest

from stream_app.telemetry.catalogue import CATALOGUE

ROOT = Path(__file__).parents[2]


def exported() -> set[str]:
    """Return every series name that Prometheus may see."""
    names = set()
    for metric in CATALOGUE:
        names.add(metric.exported_name)
        if metric.kind == "histogram":
            names |= {f"{metric.name}_{suffix}" for suffix in ("bucket", "sum", "count")}
    return names


@pytest.mark.parametrize("name", ["alerts.yml", "alerts.test.yml"])
def test_alerts_use_metrics_that_exist(name: str) -> None:
    """An alert on a metric that was renamed would never ring."""
    text = (ROOT / "deploy" / "prometheus" / name).read_text()
    used = set(re.findall(r"\bstream_app_\w+", text))
    assert used
    assert used <= exported()


@pytest.mark.parametrize("lock", ["requirements.lock", "build.lock", "deploy/requirements.lock"])
def test_locks_pin_and_hash_everything(lock: str) -> None:
    """A requirement has one version and hashes; no line says where to get it from."""
    text = (ROOT / lock).read_text()
    assert "://" not in text
    requirements = re.split(r"\n(?=[a-zA-Z0-9])", re.sub(r"(?m)^\s*#.*\n?", "", text).strip())
    for requirement in requirements:
        assert re.match(r"[\w.\[\]-]+==\S+", requirement)
        assert "--hash=sha256:" in requirement


def test_locks_hold_what_the_project_asks_for() -> None:
    """A dependency that was added without `make lock` would be missing on a fresh machine."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    asked = {
        "deploy/requirements.lock": project["project"]["dependencies"],
        "build.lock": project["dependency-groups"]["build"],
        "requirements.lock": [
            *project["project"]["dependencies"],
            *project["dependency-groups"]["dev"],
            *project["dependency-groups"]["docs"],
            *(
                one
                for extra in project["project"]["optional-dependencies"].values()
                for one in extra
            ),
        ],
    }
    for lock, requirements in asked.items():
        locked = set(re.findall(r"(?m)^([\w.-]+)(?:\[[\w,-]+\])?==", (ROOT / lock).read_text()))
        wanted = {re.split(r"[\[<>=~!; ]", requirement)[0] for requirement in requirements}
        assert wanted <= locked


def test_production_installs_neither_training_nor_local_services() -> None:
    """The image carries what serves, and nothing that trains or pretends."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    text = (ROOT / "deploy" / "requirements.lock").read_text()
    for requirement in (one for extra in extras.values() for one in extra):
        name = re.split(r"[<>=]", requirement)[0]
        if name != "protobuf":  # onnxruntime needs it too
            assert not re.search(rf"(?m)^{re.escape(name)}==", text)
