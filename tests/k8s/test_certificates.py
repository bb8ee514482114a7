"""Certificates between services: from given Secrets or from cert-manager, mounted where the code reads them."""

import os
import subprocess
from pathlib import Path

import pytest

from libs.runtime.certificates import AUTHORITIES, CHAIN, KEY, name_of
from libs.runtime.settings import Settings
from tests.k8s import chart
from tests.k8s.test_values import refusal
from tools.nhip.authority import Authority

GIVEN = {"certificates": {"enabled": True}}
MANAGED = chart.laid(GIVEN, {"certificates": {"certManager": {"enabled": True, "issuer": {"name": "authority"}}}})
BUNDLED = chart.laid(MANAGED, {"certificates": {"authorities": {"configMap": "bundle", "key": "roots.pem"}}})
SERVICES = sorted(chart.PLATFORM["services"])


def sources(values: dict, service: str) -> list[dict]:
    """Where the files of a service's certificate come from."""
    (volume,) = (each for each in chart.pods(values)[service]["volumes"] if each["name"] == "certificates")
    assert volume["projected"]["defaultMode"] == 0o440
    return volume["projected"]["sources"]


def files(source: dict) -> dict[str, str]:
    return {item["path"]: item["key"] for item in source["items"]}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_given_its_own_certificate_and_told_where_it_is(service):
    (source,) = sources(GIVEN, service)
    assert source["secret"]["name"] == f"nhip-tls-{service}"
    assert files(source["secret"]) == {CHAIN: "tls.crt", KEY: "tls.key", AUTHORITIES: "ca.crt"}
    container = chart.pods(GIVEN)[service]["containers"][0]
    (mount,) = (each for each in container["volumeMounts"] if each["name"] == "certificates")
    # Whole, since what is mounted by subPath is never brought up to date.
    assert set(mount) == {"name", "mountPath", "readOnly"}
    variables = {name: str(value) for name, value in chart.environment(container).items()}
    settings = Settings.read(service.replace("-", "_"), variables)
    assert str(settings.certificates) == mount["mountPath"]


def test_without_certificates_nothing_of_them_is_there():
    for name, pod in chart.pods().items():
        assert "certificates" not in {volume["name"] for volume in pod["volumes"]}, name
        for container in pod["containers"]:
            told = {variable["name"] for variable in container.get("env", ())}
            assert not {"NHIP_TLS", "NHIP_HEALTH_LISTEN"} & told
    assert not chart.of_kind("Certificate")


def test_jobs_and_probes_that_call_no_service_hold_no_certificate():
    assert {name for name, pod in chart.pods(GIVEN).items() if "certificates" in str(pod["volumes"])} == {*SERVICES}


@pytest.mark.parametrize("service", SERVICES)
def test_a_kubelet_asks_for_health_at_a_plain_door_of_its_own(service):
    container = chart.pods(GIVEN)[service]["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    probes = [container[probe] for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
    if service == "edge":
        assert "health" not in ports
        assert all("httpGet" in probe for probe in probes)
        return
    assert [probe["grpc"] for probe in probes] == [{"port": ports["health"]}] * 3
    assert chart.environment(container)["NHIP_HEALTH_LISTEN"] == f"0.0.0.0:{ports['health']}"
    assert ports["health"] != ports["grpc"]


def test_no_network_policy_opens_the_plain_door():
    health = chart.PLATFORM["ports"]["health"]
    for one in chart.of_kind("NetworkPolicy", MANAGED).values():
        for rule in one["spec"].get("ingress") or ():
            assert not {"health", health} & {port["port"] for port in rule["ports"]}


@pytest.mark.parametrize("service", SERVICES)
def test_cert_manager_is_asked_for_the_name_that_the_code_looks_for(service):
    made = chart.of_kind("Certificate", MANAGED)[f"tls-{service}"]["spec"]
    assert made["dnsNames"] == [name_of(service.replace("-", "_"))]
    assert made["secretName"] == sources(MANAGED, service)[0]["secret"]["name"]
    assert {"server auth", "client auth"} <= set(made["usages"])
    assert made["privateKey"]["rotationPolicy"] == "Always"


def test_authorities_may_come_from_a_bundle_so_that_another_can_take_over():
    secret, bundle = sources(BUNDLED, "records")
    assert set(files(secret["secret"])) == {CHAIN, KEY}
    assert bundle["configMap"]["name"] == "bundle"
    assert files(bundle["configMap"]) == {AUTHORITIES: "roots.pem"}


def test_given_secrets_may_be_named_otherwise():
    values = chart.laid(GIVEN, {"certificates": {"secretPrefix": "mesh"}})
    assert sources(values, "patient-index")[0]["secret"]["name"] == "mesh-patient-index"


def test_an_issuer_must_be_named_and_certificates_be_used():
    unnamed = chart.laid(GIVEN, {"certificates": {"certManager": {"enabled": True}}})
    assert "certificates.certManager.issuer.name" in refusal(unnamed)
    assert "set `certificates.enabled` too" in refusal({"certificates": {"certManager": {"enabled": True}}})


def test_the_script_makes_the_secrets_that_pods_mount(tmp_path):
    folder = tmp_path / "certificates"
    Authority(folder, [service.replace("-", "_") for service in SERVICES]).make()
    words = kubectl_said(tmp_path, "health", str(folder))
    for service in SERVICES:
        name = sources(GIVEN, service)[0]["secret"]["name"]
        (line,) = (each for each in words if each.startswith(f"--namespace health create secret generic {name} "))
        assert "--type=kubernetes.io/tls" in line
        for file in (CHAIN, KEY, AUTHORITIES):
            assert f"--from-file={file}={folder / service.replace('-', '_') / file}" in line
    assert not [line for line in words if "authority" in line]


def kubectl_said(folder: Path, *words: str) -> list[str]:
    """Runs the script with a kubectl that only writes its words down."""
    kubectl = folder / "kubectl"
    kubectl.write_text('#!/bin/sh\necho "$@" >> "$RECORD"\ncat > /dev/null < /dev/null\n', encoding="utf-8")
    kubectl.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "RECORD": str(folder / "words")}
    subprocess.run([str(chart.ROOT / "k8s/create-certificates.sh"), *words], env=environment, check=True)
    return (folder / "words").read_text(encoding="utf-8").splitlines()
