"""Services, the edge's public paths, the monitor, and the pod of `helm test`."""

import pytest

from services.edge.app import Edge
from services.edge.observing import AccessLog
from services.edge.upstream import SERVICES, Upstream
from tests.k8s import chart
from tests.k8s.test_values import refusal
from tools.probe.__main__ import main as probe_main

INSIDE = {"/metrics", "/healthz", "/readyz"}


def ports(one: dict) -> dict[str, int]:
    return {port["name"]: port["port"] for port in one["spec"]["ports"]}


def test_grpc_services_are_headless_so_that_callers_see_every_replica():
    services = chart.of_kind("Service")
    for name in (one.replace("_", "-") for one in SERVICES):
        assert services[name]["spec"]["clusterIP"] == "None"
        assert ports(services[name]) == {"grpc": 5000, "metrics": 9464}


def test_a_service_selects_the_pods_of_its_deployment():
    deployments = chart.of_kind("Deployment")
    for name, service in chart.of_kind("Service").items():
        owner = deployments[name.removesuffix("-metrics")]
        assert service["spec"]["selector"] == owner["spec"]["selector"]["matchLabels"]
        named = {port["name"] for port in owner["spec"]["template"]["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named


def test_the_edge_s_own_service_carries_no_metrics():
    services = chart.of_kind("Service", {"edge": {"service": {"type": "LoadBalancer", "port": 443}}})
    assert services["edge"]["spec"]["type"] == "LoadBalancer"
    assert ports(services["edge"]) == {"http": 443}
    assert ports(services["edge-metrics"]) == {"metrics": 9464}


@pytest.fixture(scope="module")
def edge_paths() -> set[str]:
    class Nowhere:
        """A channel that leads nowhere; routes are made without calling."""

        def unary_unary(self, *_, **__):
            return None

        stream_unary = unary_stream = unary_unary

    edge = Edge(Upstream({name: Nowhere() for name in SERVICES}), AccessLog())
    return {
        *edge._fixed,
        "/",
        "/docs",
        "/docs/docs.js",
        "/v1/registrations",
        "/fhir/R4/Patient",
        "/fhir/R4",
        "/cds-services",
    }


def is_public(path: str, kind: str, wanted: str) -> bool:
    return wanted == path or (kind in {"Prefix", "PathPrefix"} and wanted.startswith(f"{path}/"))


def test_ingress_and_route_let_through_what_is_public_and_nothing_of_the_inside(edge_paths):
    (ingress,) = chart.of_kind("Ingress", chart.EVERYTHING).values()
    (route,) = chart.of_kind("HTTPRoute", chart.EVERYTHING).values()
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == "nhip.example"
    through_ingress = [(one["path"], one["pathType"]) for one in rule["http"]["paths"]]
    through_route = [(one["path"]["value"], one["path"]["type"]) for one in route["spec"]["rules"][0]["matches"]]
    for opened in (through_ingress, through_route):
        public = {wanted for wanted in edge_paths if any(is_public(path, kind, wanted) for path, kind in opened)}
        assert public == edge_paths - INSIDE
        assert edge_paths >= INSIDE


def test_ingress_and_route_lead_to_the_edge():
    (ingress,) = chart.of_kind("Ingress", chart.EVERYTHING).values()
    for path in ingress["spec"]["rules"][0]["http"]["paths"]:
        assert path["backend"]["service"] == {"name": "nhip-edge", "port": {"name": "http"}}
    (route,) = chart.of_kind("HTTPRoute", chart.EVERYTHING).values()
    assert route["spec"]["rules"][0]["backendRefs"] == [{"name": "nhip-edge", "port": 80}]
    # As long as an upload may take.
    assert route["spec"]["rules"][0]["timeouts"] == {"request": "600s"}
    assert not {"Ingress", "HTTPRoute"} & {one["kind"] for one in chart.objects()}


def test_a_door_without_a_place_fails_with_advice():
    assert "edge.ingress.hosts" in refusal({"edge": {"ingress": {"enabled": True}}})
    assert "edge.httpRoute.parentRefs" in refusal({"edge": {"httpRoute": {"enabled": True}}})


def test_the_service_monitor_selects_every_service_with_metrics():
    values = {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}
    (monitor,) = chart.of_kind("ServiceMonitor", values).values()
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    scraped = {
        one["metadata"]["labels"]["app.kubernetes.io/component"]
        for one in chart.of_kind("Service", values).values()
        if wanted <= one["metadata"]["labels"].items() and "metrics" in ports(one)
    }
    assert scraped == set(chart.PLATFORM["services"])
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_helm_test_runs_the_probe_against_the_edge(capsys):
    (pod,) = chart.of_kind("Pod").values()
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert pod["spec"]["restartPolicy"] == "Never"
    (container,) = pod["spec"]["containers"]
    module, *arguments = container["args"]
    assert module == "tools.probe"
    assert arguments[arguments.index("--edge") + 1] == "http://nhip-edge:80"
    # The probe takes these words: it stops at the file, which is not there.
    assert probe_main(arguments) == 1
    assert "bootstrap_client does not hold" in capsys.readouterr().err
    (secrets,) = [one["secret"] for one in pod["spec"]["volumes"] if "secret" in one]
    assert [item["key"] for item in secrets["items"]] == ["bootstrap_client"]


def test_the_probe_may_be_left_out():
    assert not chart.of_kind("Pod", {"probe": {"enabled": False}})
    assert "probe" not in chart.of_kind("NetworkPolicy", {"probe": {"enabled": False}})


def test_the_probe_goes_on_all_the_time_where_that_is_asked_for():
    assert "probe" not in chart.of_kind("Deployment")
    values = {"probe": {"everySeconds": 60}}
    (container,) = chart.of_kind("Deployment", values)["probe"]["spec"]["template"]["spec"]["containers"]
    module, *arguments = container["args"]
    assert module == "tools.probe"
    assert arguments[arguments.index("--every") + 1] == "60"
    (port,) = container["ports"]
    assert arguments[arguments.index("--metrics") + 1] == f"0.0.0.0:{port['containerPort']}"
    (service,) = [one for name, one in chart.of_kind("Service", values).items() if name == "probe-metrics"]
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    policy = chart.of_kind("NetworkPolicy", values)["probe"]["spec"]
    assert [rule["ports"][0]["port"] for rule in policy["ingress"]] == ["metrics"]
