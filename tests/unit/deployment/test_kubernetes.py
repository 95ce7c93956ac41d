"""The manifests of deploy/kubernetes fit Kubernetes and the code."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from prometheus_client import CollectorRegistry

from features.flights import usecase
from stream_app.config.settings import Settings
from stream_app.errors import ConfigurationError
from stream_app.lag.exporter import METRICS
from stream_app.telemetry.catalogue import CATALOGUE
from stream_app.telemetry.health import Health
from stream_app.telemetry.http_routes import worker_routes

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "kubernetes"
SCHEMA = json.loads(Path(__file__).with_name("kubernetes.schema.json").read_text())
KUSTOMIZATIONS = sorted(FOLDER.rglob("kustomization.yaml"))
OVERLAYS = [FOLDER / "base", *sorted((FOLDER / "overlays").iterdir())]


def kustomization(path: Path) -> dict[str, Any]:
    """Return what a kustomization says."""
    return yaml.safe_load(path.read_text())


def documents() -> Iterator[Any]:
    """Every object of every file that a kustomization names."""
    for path in KUSTOMIZATIONS:
        for name in kustomization(path).get("resources", []):
            file = path.parent / name
            if file.is_file():
                yield from yaml.safe_load_all(file.read_text())


def objects(kind: str) -> dict[str, Any]:
    """Return the objects of a kind by their names."""
    return {each["metadata"]["name"]: each for each in documents() if each["kind"] == kind}


def pod(name: str) -> Any:
    """Return the pod that a Deployment makes."""
    return objects("Deployment")[name]["spec"]["template"]["spec"]


def check(manifest: Any) -> None:
    """Raise where a manifest is none of its kind's: an unknown field, a wrong type."""
    schema = {"$ref": f"#/$defs/{SCHEMA['kinds'][manifest['kind']]}", "$defs": SCHEMA["$defs"]}
    jsonschema.Draft202012Validator(schema).validate(manifest)


@pytest.mark.parametrize(
    "manifest", [*documents()], ids=lambda each: f"{each['kind']} {each['metadata']['name']}"
)
def test_a_manifest_fits_the_schema_of_its_kind(manifest: Any) -> None:
    """As Kubernetes 1.34, the Prometheus operator 0.93 and KEDA publish it."""
    check(manifest)


def test_a_misspelt_field_does_not_fit() -> None:
    """A schema that lets everything through would be worth nothing."""
    manifest = objects("Deployment")["stream-app"]
    manifest["spec"]["template"]["spec"]["terminationGracePeriodSecond"] = 5
    with pytest.raises(jsonschema.ValidationError, match="terminationGracePeriodSecond"):
        check(manifest)


def test_every_file_is_named_by_a_kustomization_and_every_name_is_a_file() -> None:
    """A file that none names would be deployed by nobody."""
    named = set()
    for path in KUSTOMIZATIONS:
        said = kustomization(path)
        names = [*said.get("resources", []), *said.get("components", [])]
        names += [env for one in said.get("configMapGenerator", []) for env in one.get("envs", [])]
        found = {(path.parent / name).resolve() for name in names}
        assert all(each.exists() for each in found), path
        named |= found
    files = {each for each in FOLDER.rglob("*") if each.is_file()} - set(KUSTOMIZATIONS)
    assert files <= named


KUSTOMIZE = [["kustomize", "build"], ["kubectl", "kustomize"]]


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_what_kustomize_makes_fits_too(overlay: Path) -> None:
    """Patches are applied by kustomize itself, where there is one."""
    command = next((each for each in KUSTOMIZE if shutil.which(each[0])), None)
    if command is None:
        pytest.skip("neither kustomize nor kubectl is installed")
    made = subprocess.run([*command, overlay], capture_output=True, text=True, check=True).stdout
    manifests = list(yaml.safe_load_all(made))
    for manifest in manifests:
        check(manifest)
    kinds = {each["kind"] for each in manifests if each["metadata"]["name"] == "stream-app"}
    assert ("StatefulSet" in kinds) == (overlay.name == "static-members")
    for each in manifests:
        if each["kind"] == "ScaledObject":
            target = each["spec"]["scaleTargetRef"]
            scaled = [m for m in manifests if m["metadata"]["name"] == target["name"]]
            workload = next(m for m in scaled if m["kind"] == target["kind"])
            assert "replicas" not in workload["spec"], "`kubectl apply` would undo what KEDA did"


SECRETS = {
    "redis-url": "rediss://:secret@cache:6379/0",
    "sasl-username": "worker",
    "sasl-password": "secret",
    "replay-secret": "sixteen-characters-or-more",
}


def variables() -> Iterator[tuple[str, str]]:
    """Every variable that a manifest sets, with its value where it stands there."""
    for path in KUSTOMIZATIONS:
        for one in kustomization(path).get("configMapGenerator", []):
            lines = list(one.get("literals", []))
            for env in one.get("envs", []):
                lines += (path.parent / env).read_text().splitlines()
            yield from (line.split("=", 1) for line in lines if line and line[0] != "#")
        for patch in kustomization(path).get("patches", []):
            for operation in yaml.safe_load(patch["patch"]):
                if operation["path"].endswith("/env/-"):
                    yield operation["value"]["name"], operation["value"].get("value", "pod-0")
    for deployment in objects("Deployment").values():
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            for each in container["env"]:
                yield each["name"], SECRETS[each["valueFrom"]["secretKeyRef"]["key"]]


def test_variables_are_settings_that_the_worker_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses an unknown name, and would end with status 2 in every pod."""
    known = {f"STREAM_APP_{name.upper()}" for name in Settings.model_fields}
    found = dict(variables())
    assert "STREAM_APP_BOOTSTRAP_SERVERS" in found
    assert {name.split("__")[0] for name in found} <= known
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    Settings.load().check_kafka_properties()


def test_variables_that_kubernetes_makes_of_services_are_kept_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That of a Service named stream-app-http would be taken for a setting."""
    monkeypatch.setenv("STREAM_APP_HTTP_PORT", "tcp://10.0.0.1:9464")
    with pytest.raises(ConfigurationError, match="STREAM_APP_HTTP_PORT"):
        Settings.load()
    for name in objects("Deployment"):
        assert pod(name)["enableServiceLinks"] is False


def test_the_grace_period_is_longer_than_the_drain() -> None:
    """Else Kubernetes kills a worker that is finishing what is in flight."""
    drain = float(dict(variables())["STREAM_APP_DRAIN_SECONDS"])
    assert pod("stream-app")["terminationGracePeriodSeconds"] >= drain + 15


def test_probes_ask_for_paths_that_are_answered() -> None:
    """Of ports that their container names."""
    health = worker_routes(CollectorRegistry(), Health())
    answered = {"stream-app": {each.path for each in health}, "stream-app-lag": {"/metrics"}}
    for name, paths in answered.items():
        (container,) = pod(name)["containers"]
        ports = {each["name"] for each in container["ports"]}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container[probe]["httpGet"]
            assert asked["path"] in paths
            assert asked["port"] in ports


def test_ports_are_those_that_are_served() -> None:
    """By the setting of the worker, and by the argument of `lag`."""
    (worker,), (lag,) = pod("stream-app")["containers"], pod("stream-app-lag")["containers"]
    assert str(worker["ports"][0]["containerPort"]) == dict(variables())["STREAM_APP_HTTP_PORT"]
    assert f"--serve=0.0.0.0:{lag['ports'][0]['containerPort']}" in lag["args"]


def test_lag_watches_the_use_case() -> None:
    """All of its topics, of the group that the worker joins; in compose as well."""
    expected = ["lag", usecase.name, *(f"--topic={each.name}" for each in usecase.topics)]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["lag"]
    for args in (pod("stream-app-lag")["containers"][0]["args"], compose["command"]):
        assert args[: len(expected)] == expected


def test_scaling_asks_for_series_that_are_exported() -> None:
    """A query without an answer would keep the fallback number of workers for ever."""
    exported = METRICS.keys() | {each.exported_name for each in CATALOGUE}
    triggers = objects("ScaledObject")["stream-app"]["spec"]["triggers"]
    for trigger in triggers:
        query = trigger["metadata"]["query"]
        assert any(name in query for name in exported), query


def test_alerts_tell_worker_and_lag_apart_by_the_jobs_that_pods_get() -> None:
    """The monitor makes a pod's label its job."""
    monitor = objects("PodMonitor")["stream-app"]["spec"]
    template = {n: d["spec"]["template"]["metadata"] for n, d in objects("Deployment").items()}
    jobs = {each["labels"][monitor["jobLabel"]] for each in template.values()}
    scraped = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    assert jobs == {each["job_name"] for each in scraped["scrape_configs"]}


@pytest.mark.parametrize(
    "told",
    [ROOT / "docs" / "deployment.md", FOLDER / "overlays" / "example" / "kustomization.yaml"],
    ids=lambda path: path.name,
)
def test_the_secret_is_made_in_the_namespace_of_the_overlay(told: Path) -> None:
    """A pod reads the secrets of its own namespace only, and `kubectl apply` makes no namespace."""
    namespace = kustomization(FOLDER / "overlays" / "example" / "kustomization.yaml")["namespace"]
    text = told.read_text()
    assert f"kubectl create namespace {namespace}\n" in text
    assert f"kubectl create secret generic stream-app --namespace {namespace} " in text
