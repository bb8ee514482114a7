"""Renders the chart as `helm install` would, by Helm itself, and hands out the objects."""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "k8s" / "charts" / "nhip"
PLATFORM = yaml.safe_load((CHART / "platform.yaml").read_text(encoding="utf-8"))
# What may be laid over the defaults, as docs/operations/deploy.md says.
PROFILES = {
    "defaults": (),
    "minimal": ("minimal",),
    "production": ("production",),
    "region": ("production", "region"),
    "centre": ("production", "centre"),
}
# Everything that is optional, switched on.
EVERYTHING = {
    "image": {"digest": "sha256:" + "0" * 64},
    "imagePullSecrets": [{"name": "registry"}],
    "fhirPolicy": ["updates-create", "enforces-profiles"],
    "importSources": ["https://files.example.org"],
    "subscriptionEndpoints": ["https://apps.example.org"],
    "telemetry": {"otlpEndpoint": "http://collector.monitoring:4317"},
    "status": {"prometheusUrl": "http://prometheus.monitoring:9090"},
    "databases": {"sslMode": "verify-full", "caSecret": {"name": "database-ca"}},
    "defaults": {
        "autoscaling": {"enabled": True},
        "priorityClassName": "care",
        "tolerations": [{"key": "care", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "env": [{"name": "GRPC_VERBOSITY", "value": "ERROR"}],
    },
    "edge": {
        "ingress": {
            "enabled": True,
            "hosts": ["nhip.example"],
            "tls": [{"secretName": "tls", "hosts": ["nhip.example"]}],
        },
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["nhip.example"]},
    },
    "serviceMonitor": {"enabled": True},
    "prometheusRule": {
        "enabled": True,
        "labels": {"release": "prometheus"},
        "runbookUrl": "https://git.example/nhip/docs/runbooks",
    },
    "dashboards": {"enabled": True, "annotations": {"grafana_folder": "NHIP"}},
    "certificates": {
        "enabled": True,
        "certManager": {"enabled": True, "issuer": {"name": "authority"}},
        "authorities": {"configMap": "authorities"},
    },
    "externalSecrets": {"enabled": True, "store": {"name": "vault"}, "platformKey": "nhip", "databasesKey": "nhip-db"},
    "extraObjects": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-extra"}, "data": {}}
    ],
}
Object = dict[str, Any]


def laid(under: Object, over: Object) -> Object:
    """One set of values over another, as Helm lays them."""
    result = copy.deepcopy(under)
    for key, value in over.items():
        mine = result.get(key)
        result[key] = laid(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else copy.deepcopy(value)
    return result


def profile(name: str) -> Object:
    """The values of a profile, with those that it is laid over."""
    values: Object = {}
    for file in PROFILES[name]:
        values = laid(values, yaml.safe_load((CHART / "profiles" / f"{file}.yaml").read_text(encoding="utf-8")))
    return values


@cache
def _chart() -> helm_python.Chart:
    return helm_python.Chart.load(CHART)


@cache
def _rendered(values: str, *, is_upgrade: bool) -> str:
    files = _chart().render(
        json.loads(values), name="nhip", namespace="health", is_install=not is_upgrade, is_upgrade=is_upgrade
    )
    return json.dumps(files)


def files(values: Object | None = None, *, is_upgrade: bool = False) -> dict[str, str]:
    """Each template's text, by its path within `templates`."""
    rendered = json.loads(_rendered(json.dumps(values or {}, sort_keys=True), is_upgrade=is_upgrade))
    return {path.removeprefix("nhip/templates/"): text for path, text in rendered.items()}


def objects(values: Object | None = None, *, is_upgrade: bool = False) -> list[Object]:
    """All objects of a release."""
    found = []
    for path, text in files(values, is_upgrade=is_upgrade).items():
        if path.endswith(".yaml"):
            found.extend(one for one in yaml.load_all(text, yaml.CSafeLoader) if one)
    return found


def of_kind(kind: str, values: Object | None = None, *, is_upgrade: bool = False) -> dict[str, Object]:
    """The objects of one kind by name, without the release's own name before it."""
    return {
        one["metadata"]["name"].removeprefix("nhip-"): one
        for one in objects(values, is_upgrade=is_upgrade)
        if one["kind"] == kind
    }


def pods(values: Object | None = None) -> dict[str, Object]:
    """The specification of every pod that the chart makes, by the name of its owner."""
    found = {}
    for one in objects(values):
        name = one["metadata"]["name"].removeprefix("nhip-")
        if one["kind"] == "Pod":
            found[name] = one["spec"]
        elif one["kind"] in {"Deployment", "Job"}:
            found[name] = one["spec"]["template"]["spec"]
    return found


def environment(container: Object) -> dict[str, Any]:
    """A container's variables: the value, or where it comes from."""
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}
