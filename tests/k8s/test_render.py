"""Every profile lints, renders, and is what Kubernetes and the operators take."""

import json

import helm_python
import jsonschema
import kubernetes_validate
import pytest

from tests.k8s import chart
from tests.k8s.foreign import FOREIGN

# The oldest that the chart allows, and the newest that the validator knows.
KUBERNETES = ("1.27", kubernetes_validate.latest_version())
ALL = {**{name: chart.profile(name) for name in chart.PROFILES}, "everything": chart.EVERYTHING}
BACKUPS = {
    "databases": {
        "cloudNativePg": {
            "clusters": {
                "records": {"backup": {"method": "plugin", "schedule": "0 0 2 * * *", "objectStore": "nightly"}},
                "ground": {"backup": {"method": "volumeSnapshot", "schedule": "0 0 3 * * *", "snapshotClass": "fast"}},
            }
        }
    }
}
ALL["backups"] = chart.laid(chart.profile("region"), BACKUPS)


@pytest.mark.parametrize("name", ALL)
def test_helm_finds_nothing_to_complain_of(name):
    report = helm_python.lint(chart.CHART, ALL[name], strict=True, kube_version="v1.31.0")
    assert report["total_charts_linted"] == 1
    assert not report["errors"]
    assert [one["error"] for one in report["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_object_is_what_the_api_server_takes(version):
    # Most objects are the same in several profiles.
    distinct = {json.dumps(one, sort_keys=True) for values in ALL.values() for one in chart.objects(values)}
    for one in map(json.loads, sorted(distinct)):
        if one["kind"] not in FOREIGN:
            kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("name", ALL)
def test_every_foreign_object_is_what_its_operator_takes(name):
    for one in chart.objects(ALL[name]):
        if one["kind"] in FOREIGN:
            jsonschema.Draft7Validator(FOREIGN[one["kind"]]).validate(one)


def test_every_foreign_kind_is_rendered_somewhere():
    assert set(FOREIGN) == {one["kind"] for values in ALL.values() for one in chart.objects(values)} & set(FOREIGN)


def test_no_object_of_an_operator_is_rendered_unless_asked_for():
    assert not {one["kind"] for one in chart.objects()} & set(FOREIGN)


@pytest.mark.parametrize("name", ALL)
def test_names_are_unique_and_carry_the_release(name):
    names = [(one["kind"], one["metadata"]["name"]) for one in chart.objects(ALL[name])]
    assert len(names) == len(set(names))
    assert all(each.startswith("nhip") for _, each in names)


def test_a_release_of_another_name_brings_it_into_every_name():
    with helm_python.Chart.load(chart.CHART) as loaded:
        texts = loaded.render({}, name="north", namespace="health")
    assert "name: north-nhip-records\n" in texts["nhip/templates/deployments.yaml"]
    assert "records=dns:///north-nhip-records:5000" in texts["nhip/templates/deployments.yaml"]


@pytest.mark.parametrize("name", ALL)
def test_no_secret_is_rendered(name):
    values = ALL[name]
    assert not chart.of_kind("Secret", values)
    for pod in chart.pods(values).values():
        for container in pod["containers"]:
            for variable in container.get("env", ()):
                if "PASSWORD" in variable["name"]:
                    assert "secretKeyRef" in variable["valueFrom"]
                if variable["name"] == "NHIP_DATABASE_URL":
                    assert "valueFrom" in variable or ":$(NHIP_DATABASE_PASSWORD)@" in variable["value"]


def test_the_chart_packs_into_an_archive_that_renders_the_same(tmp_path):
    archive = helm_python.package(chart.CHART, destination=tmp_path)
    with helm_python.Chart.load(archive) as packed:
        texts = packed.render({}, name="nhip", namespace="health", is_install=True)
    assert {path.removeprefix("nhip/templates/"): text for path, text in texts.items()} == chart.files()


def test_extra_objects_are_rendered_with_the_release():
    assert "nhip-extra" in {one["metadata"]["name"] for one in chart.objects(chart.EVERYTHING)}


def test_the_image_of_a_digest_is_that_digest():
    images = {pod["containers"][0]["image"] for pod in chart.pods(chart.EVERYTHING).values()}
    assert images == {"nhip:0.1.0@sha256:" + "0" * 64}
    assert {pod["containers"][0]["image"] for pod in chart.pods().values()} == {"nhip:0.1.0"}


def test_the_notes_say_where_the_edge_is_and_warn_of_open_doors():
    plain = chart.files()["NOTES.txt"]
    assert "port-forward service/nhip-edge 8080:80" in plain
    assert "WARNING" not in plain
    assert "https://nhip.example/" in chart.files(chart.EVERYTHING)["NOTES.txt"]
    open_doors = {"developmentLogin": True, "networkPolicy": {"enabled": False}}
    assert chart.files(open_doors)["NOTES.txt"].count("WARNING") == 2
