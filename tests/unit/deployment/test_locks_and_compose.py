"""What is deployed says what the code says."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]


LOCKS = [
    "requirements.lock",
    "build.lock",
    "deploy/requirements.lock",
    "demo/requirements.lock",
    "benchmarks/profile/requirements.lock",
]


def locked(lock: str) -> dict[str, set[str]]:
    """Return the versions of each package in a lock file; several where Pythons differ."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(
        r"(?m)^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)", (ROOT / lock).read_text()
    ):
        found.setdefault(name, set()).add(version)
    return found


def asked(requirements: list[str]) -> set[str]:
    """Return the names of the packages that requirements of `pyproject.toml` ask for."""
    return {re.split(r"[\[<>=~!; ]", requirement)[0] for requirement in requirements}


@pytest.mark.parametrize("lock", LOCKS)
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
    extras = project["project"]["optional-dependencies"]
    runtime = project["project"]["dependencies"]
    wanted = {
        "deploy/requirements.lock": runtime,
        "build.lock": project["dependency-groups"]["build"],
        "benchmarks/profile/requirements.lock": project["dependency-groups"]["profile"],
        "demo/requirements.lock": [*runtime, *extras["local"], *extras["demo"]],
        "requirements.lock": [
            *runtime,
            *project["dependency-groups"]["dev"],
            *project["dependency-groups"]["docs"],
            # PyTorch is 3 GB with what it needs of a GPU: its test is skipped where it is missing.
            *(one for name, extra in extras.items() if name != "pytorch" for one in extra),
        ],
    }
    assert wanted.keys() == set(LOCKS)
    for lock, requirements in wanted.items():
        assert asked(requirements) <= locked(lock).keys(), lock


def test_the_demo_installs_a_part_of_what_the_tests_install() -> None:
    """In the same versions, so that `make test` after `make demo` replaces nothing."""
    every, demo = locked("requirements.lock"), locked("demo/requirements.lock")
    assert demo.keys() < every.keys()
    assert {name: every[name] for name in demo} == demo
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    needless = asked(project["project"]["optional-dependencies"]["training"]) - {"protobuf"}
    needless |= asked(project["dependency-groups"]["dev"])
    assert not needless & demo.keys()


def test_compose_up_waits_for_what_can_be_waited_for() -> None:
    """`docker compose up --wait` fails for a service without a health check, or one that has ended.

    It excepts a service whose end another one waits for.
    """
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    ends = {
        name
        for service in services.values()
        for name, wanted in service.get("depends_on", {}).items()
        if wanted["condition"] == "service_completed_successfully"
    }
    assert ends == {"topics"}
    for name in services.keys() - ends:
        assert not services[name].get("healthcheck", {}).get("disable"), name
        own = "healthcheck" in services[name]
        assert own or services[name]["image"] == "stream-app", f"{name}: whose check is it?"


def test_production_installs_neither_training_nor_local_services() -> None:
    """The image carries what serves, and nothing that trains or pretends."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    text = (ROOT / "deploy" / "requirements.lock").read_text()
    for requirement in (one for extra in extras.values() for one in extra):
        name = re.split(r"[<>=]", requirement)[0]
        if name != "protobuf":  # onnxruntime needs it too
            assert not re.search(rf"(?m)^{re.escape(name)}==", text)
