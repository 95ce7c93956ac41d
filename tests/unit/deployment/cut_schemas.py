"""Cuts `kubernetes.schema.json` from what Kubernetes and its two guests publish.

Run by hand for another version:

    python -m tests.unit.deployment.cut_schemas _definitions.json podmonitors.yaml scaledobjects.yaml

The first is of the package kubernetes-validate (kubernetes-json-schema/vX.Y.0-local-strict), the others
are the CRDs of prometheus-operator and KEDA. As a development dependency the package alone would be
110 MB unpacked; what the manifests use of it is 60 kB.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

KINDS = {
    "Deployment": "io.k8s.api.apps.v1.Deployment",
    "StatefulSet": "io.k8s.api.apps.v1.StatefulSet",
    "PodDisruptionBudget": "io.k8s.api.policy.v1.PodDisruptionBudget",
    "NetworkPolicy": "io.k8s.api.networking.v1.NetworkPolicy",
    "ServiceAccount": "io.k8s.api.core.v1.ServiceAccount",
    "Service": "io.k8s.api.core.v1.Service",
    "ConfigMap": "io.k8s.api.core.v1.ConfigMap",
}
# What a server writes, or what no pod of ours has: a manifest that uses it is refused by the test, and
# then it is to be taken out here.
LEFT_OUT = {"status", "managedFields", "ephemeralContainers", "initContainers"}
NEEDLESS = {"description", "default", "format"}
VOLUMES = {"name", "emptyDir", "configMap", "secret", "projected"}


def bare(schema: Any) -> Any:
    """Return a schema without what is for people and what a server alone understands."""
    if isinstance(schema, list):
        return [bare(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        name: {key: bare(value) for key, value in part.items() if key not in LEFT_OUT}
        if name == "properties"
        else bare(part)
        for name, part in schema.items()
        if name not in NEEDLESS and not name.startswith("x-")
    }
    if "properties" in kept:
        kept.setdefault("additionalProperties", False)
    return kept


def reached(definitions: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Return the definitions that `names` lead to."""
    found: dict[str, Any] = {}
    while names:
        name = names.pop()
        found[name] = definitions[name]
        text = json.dumps(found[name])
        names |= {each for each in definitions if f'/{each}"' in text} - found.keys()
    return found


def of_resource(path: Path) -> Any:
    """Return the schema of a custom resource from its definition."""
    lines = path.read_text().splitlines()  # KEDA's is a template of Helm
    crd = yaml.safe_load("\n".join(line for line in lines if "{{" not in line))
    schema = bare(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {
        "$ref": "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    }
    return schema


def main(kubernetes: str, pod_monitor: str, scaled_object: str) -> None:
    """Write the file beside this one."""
    definitions = bare(json.loads(Path(kubernetes).read_text())["$defs"])
    volume = definitions["io.k8s.api.core.v1.Volume"]["properties"]
    for name in volume.keys() - VOLUMES:
        del volume[name]
    definitions = reached(definitions, set(KINDS.values()))
    definitions["PodMonitor"] = of_resource(Path(pod_monitor))
    definitions["ScaledObject"] = of_resource(Path(scaled_object))
    kinds = KINDS | {"PodMonitor": "PodMonitor", "ScaledObject": "ScaledObject"}
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(part, separators=(',', ':'))}"
        for name, part in sorted(definitions.items())
    )
    target = Path(__file__).with_name("kubernetes.schema.json")
    target.write_text('{"kinds": ' + json.dumps(kinds) + ',\n"$defs": {\n' + lines + "\n}}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
