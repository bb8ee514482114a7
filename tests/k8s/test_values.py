"""Values are checked: what is misspelt, of the wrong kind or no longer taken fails, and says so."""

import json
from collections.abc import Iterator

import helm_python
import pytest
import yaml

from tests.k8s import chart

SCHEMA = json.loads((chart.CHART / "values.schema.json").read_text(encoding="utf-8"))
VALUES = yaml.safe_load((chart.CHART / "values.yaml").read_text(encoding="utf-8"))
# Pieces of Kubernetes objects, and maps whose keys the deployment chooses.
OPEN = {"kubernetes", "strings"}


def resolved(schema: dict) -> dict:
    reference = schema.get("$ref", "")
    return SCHEMA["$defs"][reference.removeprefix("#/$defs/")] if reference else schema


def schemas(schema: dict, path: str = "") -> Iterator[tuple[str, dict]]:
    """Every schema within one, with its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from schemas(inner, f"{path}.{name}")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from schemas(schema["additionalProperties"], f"{path}.*")
    if "items" in schema:
        yield from schemas(schema["items"], f"{path}[]")


def refusal(values: dict) -> str:
    with pytest.raises(helm_python.HelmError) as caught:
        chart.objects(values)
    return str(caught.value)


def test_every_object_is_closed_but_for_pieces_of_kubernetes():
    for name, definition in {"": SCHEMA, **SCHEMA["$defs"]}.items():
        for path, schema in schemas(definition, name):
            if schema.get("type") == "object" and name not in OPEN and path != ".global":
                assert (
                    schema.get("additionalProperties") is False
                    or "type" in schema["additionalProperties"]
                    or ("properties" in schema["additionalProperties"])
                ), path


def test_the_schema_knows_every_key_of_the_values_and_no_other():
    def compare(values: dict, schema: dict, path: str) -> None:
        schema = resolved(schema)
        if "properties" not in schema:
            return
        removed = {
            name for name, inner in schema["properties"].items() if "Taken in so" in inner.get("description", "")
        }
        # A service's values are laid over the defaults, so that they need not say everything.
        if not path.startswith((".services.", ".peers", ".global")) and "resources" not in path:
            assert set(values) == set(schema["properties"]) - removed - {"global"}, path
        for name, value in values.items():
            if isinstance(value, dict):
                compare(value, schema["properties"][name], f"{path}.{name}")

    compare(VALUES, SCHEMA, "")


def keys(values: dict, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in values.items():
        yield (*path, name)
        if isinstance(value, dict):
            yield from keys(value, (*path, name))


def test_any_misspelt_key_fails_and_is_named():
    free = {"annotations", "labels", "matchLabels", "podSecurityContext", "containerSecurityContext", "monitoringFrom"}
    with helm_python.Chart.load(chart.CHART) as loaded:
        tried = 0
        for path in keys(VALUES):
            if free & set(path[:-1]):
                continue
            values: dict = {f"{path[-1]}x": 1}
            for name in reversed(path[:-1]):
                values = {name: values}
            with pytest.raises(helm_python.HelmValuesError, match=f"{path[-1]}x"):
                loaded.validate_schema(values)
            tried += 1
    assert tried > 100


@pytest.mark.parametrize(
    "values",
    [
        {"image": {"digest": "sha256:short"}},
        {"logLevel": "LOUD"},
        {"services": {"records": {"replicas": "three"}}},
        {"services": {"billing": {}}},
        {"defaults": {"env": [{"name": "lower", "value": "x"}]}},
        {"databases": {"sslMode": "disable"}},
        {"databases": {"cloudNativePg": {"clusters": {"main": {"services": ["edge"], "storage": {"size": "1Gi"}}}}}},
        {"peers": {"identity": "https://identity"}},
        {"telemetry": {"sampleRatio": 2}},
    ],
)
def test_values_of_the_wrong_kind_fail(values):
    assert "values don't meet the specifications" in refusal(values)


def removed() -> dict[str, str]:
    """Each key that is no longer taken, with the advice."""
    text = (chart.CHART / "templates/_removed.tpl").read_text(encoding="utf-8")
    table: dict[str, str] = yaml.safe_load(text.partition('"nhip.removed" -}}')[2].partition("{{- end -}}")[0])
    return table


@pytest.mark.parametrize("path", removed())
def test_a_key_that_is_no_longer_taken_fails_with_advice(path):
    for value in (True, "", {"some": "thing"}):
        values: dict = {path.rpartition(".")[2]: value}
        if "." in path:
            values = {path.partition(".")[0]: values}
        assert f"the value `{path}` is not taken: {removed()[path]}" in refusal(values)


def test_what_a_service_says_wins_over_the_defaults_also_when_it_is_false():
    values = {
        "defaults": {"autoscaling": {"enabled": True}},
        "services": {
            "audit": {"autoscaling": {"enabled": False}, "replicas": 0, "podDisruptionBudget": {"enabled": False}}
        },
    }
    deployments = chart.of_kind("Deployment", values)
    assert deployments["audit"]["spec"]["replicas"] == 0
    assert "replicas" not in deployments["records"]["spec"]
    assert "audit" not in chart.of_kind("HorizontalPodAutoscaler", values)
    assert "audit" not in chart.of_kind("PodDisruptionBudget", values)


def test_a_service_that_is_switched_off_leaves_no_object():
    values = {"services": {"surveillance": {"enabled": False}}}
    assert not [one for one in chart.objects(values) if one["metadata"]["name"] == "nhip-surveillance"]
    assert "surveillance=dns:///nhip-surveillance:5000" in chart.environment(
        chart.pods(values)["edge"]["containers"][0]
    )["NHIP_PEERS"].split(",")


def test_the_documented_values_are_those_of_the_chart():
    page = (chart.ROOT / "docs/operations/deploy.md").read_text(encoding="utf-8")
    documented = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    known = {".".join(path) for path in keys(VALUES)}
    wild = {name for name in documented if name.startswith("services.<name>")}
    assert documented - wild <= known, documented - wild - known
    tops = {name.partition(".")[0] for name in documented}
    assert tops == set(VALUES) - {"nameOverride"} | {"services"}
