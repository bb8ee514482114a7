"""Pods: what they run, what they are allowed, what they are told, when they are ready and how they end."""

import ast
import re

import pytest
import yaml

from libs.runtime.policy import methods_of
from libs.runtime.settings import Settings
from services.edge.upstream import DEADLINES, SERVICES, served_by
from services.exchange.model import MEBIBYTE
from services.exchange.rules import MAX_UPLOAD_BYTES
from services.exchange.worker import JOBS_AT_ONCE
from tests.k8s import chart
from tools.nhip.services import SERVICES as SUPERVISED
from tools.nhip.services import Door
from tools.observability.contract.metrics import METRICS

SECRETS = {"platform_key", "citizen_key", "bootstrap_client", "exchange_client", "audit_key"}
# Every variable that the code reads.
READ = {
    name
    for path in ("libs/runtime/settings.py", "libs/runtime/telemetry.py", "services/edge/__main__.py")
    for name in re.findall(r'"((?:NHIP|OTEL)_[A-Z_]+)"', (chart.ROOT / path).read_text(encoding="utf-8"))
}
# For people and for the driver of PostgreSQL.
TOLD = {"NHIP_SERVICE", "NHIP_DATABASE_PASSWORD", "PGSSLMODE", "PGSSLROOTCERT"}
EVERY_PROFILE = [*chart.PROFILES]


def dashed(name: str) -> str:
    return name.replace("_", "-")


def read_secrets(service: str) -> set[str]:
    """The secret files that a service's source names where it reads one, by itself or through a function of its own."""
    found = set()
    for path in (chart.ROOT / "services" / service).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if function in {"secret", "secret_text", "_wanted"}:
                found |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    return found & SECRETS


def serving(values: dict | None = None) -> dict[str, dict]:
    """The one container of each Deployment, by its name."""
    return {
        name: deployment["spec"]["template"]["spec"]["containers"][0]
        for name, deployment in chart.of_kind("Deployment", values).items()
    }


def test_the_chart_knows_the_services_that_the_platform_has():
    known = {
        name: (Door[facts["door"].upper()], facts["database"]) for name, facts in chart.PLATFORM["services"].items()
    }
    assert known == {dashed(one.name): (one.door, one.has_database) for one in SUPERVISED}


@pytest.mark.parametrize("service", [one.name for one in SUPERVISED])
def test_a_service_is_given_the_secrets_that_its_code_reads_and_no_others(service):
    # Every service with a gRPC door verifies tokens of other services.
    reads = read_secrets(service) | ({"platform_key"} if service != "edge" else set())
    assert set(chart.PLATFORM["services"][dashed(service)]["secrets"]) == reads
    pod = chart.pods()[dashed(service)]
    mounted = [item["key"] for volume in pod["volumes"] if "secret" in volume for item in volume["secret"]["items"]]
    assert set(mounted) == reads


def test_each_pod_runs_its_own_service():
    for name, container in serving().items():
        assert container["args"] == [f"services.{name.replace('-', '_')}", "serve"]
        assert container["name"] == name


@pytest.mark.parametrize("profile", EVERY_PROFILE)
def test_every_pod_is_restricted(profile):
    for name, pod in chart.pods(chart.profile(profile)).items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "memory" in container["resources"]["limits"]
            assert {"cpu", "memory"} == set(container["resources"]["requests"])
            writable = [mount for mount in container["volumeMounts"] if not mount.get("readOnly")]
            assert [mount["mountPath"] for mount in writable] == ["/tmp"]  # noqa: S108 the pod's own
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert not [volume for volume in pod["volumes"] if "hostPath" in volume]


def mebibytes(quantity: str) -> int:
    return int(quantity[:-2]) * {"Mi": 1, "Gi": 1024}[quantity[-2:]]


def test_what_imports_lay_out_fits_into_the_pod_s_temporary_storage():
    rooms = {
        name: volume["emptyDir"]["sizeLimit"]
        for name, pod in chart.pods().items()
        for volume in pod["volumes"]
        if volume["name"] == "tmp"
    }
    # Kubernetes evicts a pod that puts more there.
    assert mebibytes(rooms.pop("exchange")) * MEBIBYTE > MAX_UPLOAD_BYTES * JOBS_AT_ONCE
    assert set(rooms.values()) == {"256Mi"}


def test_secrets_are_readable_by_the_pod_s_group_alone():
    for pod in chart.pods().values():
        for volume in pod["volumes"]:
            if volume["name"] == "secrets":
                assert volume["secret"]["defaultMode"] == 0o440
                assert volume["secret"]["secretName"] == "nhip-secrets"


@pytest.mark.parametrize("profile", EVERY_PROFILE)
def test_every_variable_is_one_that_the_code_reads(profile):
    for name, container in serving(chart.profile(profile)).items():
        variables = chart.environment(container)
        assert set(variables) <= READ | TOLD, name
        assert len(variables) == len(container["env"])


def test_every_setting_is_made():
    made = {name for container in serving(chart.EVERYTHING).values() for name in chart.environment(container)}
    made |= set(chart.environment(serving({"developmentLogin": True})["identity"]))
    made |= set(chart.environment(serving(chart.profile("centre"))["audit"]))
    # Faults on purpose are set by `env`, where somebody wants to see them.
    assert made >= READ - {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "NHIP_FAULTS"}


@pytest.mark.parametrize("name", [*chart.PLATFORM["services"]])
def test_the_settings_of_a_pod_are_read_without_complaint(name):
    variables = {
        key: value if isinstance(value, str) else "postgresql://from-a-secret"
        for key, value in chart.environment(serving()[name]).items()
    }
    settings = Settings.read(name.replace("-", "_"), variables)
    assert settings.listen in {"0.0.0.0:5000", "127.0.0.1:0"}
    assert settings.metrics_listen == "0.0.0.0:9464"
    assert settings.peer("patient_index") == "dns:///nhip-patient-index:5000"
    assert set(settings.peers) == set(SERVICES)
    assert settings.instance
    assert not settings.allow_development_login
    assert bool(settings.database_url) is chart.PLATFORM["services"][name]["database"]


def test_a_replica_is_named_after_its_pod():
    for container in serving().values():
        assert chart.environment(container)["NHIP_INSTANCE"] == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_development_login_reaches_identity_alone_and_only_when_asked_for():
    told = {
        name
        for name, container in serving({"developmentLogin": True}).items()
        if "NHIP_DEVELOPMENT_LOGIN" in chart.environment(container)
    }
    assert told == {"identity"}
    for profile in EVERY_PROFILE:
        assert not chart.profile(profile).get("developmentLogin")


def test_readiness_and_life_are_asked_at_the_service_s_own_door():
    for name, container in serving().items():
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if name == "edge":
                path = "/healthz" if probe == "livenessProbe" else "/readyz"
                assert container[probe]["httpGet"] == {"path": path, "port": "http"}
            else:
                assert container[probe]["grpc"] == {"port": ports["grpc"]}
        start = container["startupProbe"]
        assert start["failureThreshold"] * start["periodSeconds"] == 300
    # /healthz waits a second for a service that does not answer.
    assert serving()["edge"]["livenessProbe"]["timeoutSeconds"] > 2


def longest_deadline(service: str) -> float:
    return max(DEADLINES[method.slo_class] for one in served_by(service) for method in methods_of(one))


@pytest.mark.parametrize("profile", EVERY_PROFILE)
def test_a_pod_is_given_time_to_finish_what_is_in_flight(profile):
    values = chart.profile(profile)
    pods = chart.pods(values)
    for name, container in serving(values).items():
        variables = chart.environment(container)
        drain, shutdown = int(variables["NHIP_DRAIN_SECONDS"]), int(variables["NHIP_SHUTDOWN_SECONDS"])
        service = name.replace("-", "_")
        deadline = max(map(longest_deadline, SERVICES)) if name == "edge" else longest_deadline(service)
        assert shutdown > deadline
        assert pods[name]["terminationGracePeriodSeconds"] > drain + shutdown
        # Endpoints and DNS caches take some seconds to forget a pod.
        assert drain >= 15
        # The process drains by itself on SIGTERM.
        assert "lifecycle" not in container


def test_a_rollout_takes_no_replica_away_before_a_new_one_is_ready():
    for deployment in chart.of_kind("Deployment").values():
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_replicas_are_spread_over_zones_and_nodes():
    for deployment in chart.of_kind("Deployment").values():
        spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert [one["topologyKey"] for one in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        for one in spread:
            assert one["labelSelector"] == deployment["spec"]["selector"]


def test_what_a_selector_asks_for_stands_on_the_pods_and_on_no_others():
    deployments = chart.of_kind("Deployment")
    for name, deployment in deployments.items():
        wanted = deployment["spec"]["selector"]["matchLabels"].items()
        chosen = {
            other
            for other, theirs in deployments.items()
            if wanted <= theirs["spec"]["template"]["metadata"]["labels"].items()
        }
        assert chosen == {name}
        # The selector of a Deployment cannot change, so that no version may stand in it.
        assert "app.kubernetes.io/version" not in dict(wanted)


def test_scheduling_is_passed_on():
    for deployment in chart.of_kind("Deployment", chart.EVERYTHING).values():
        pod = deployment["spec"]["template"]["spec"]
        assert pod["priorityClassName"] == "care"
        assert pod["imagePullSecrets"] == [{"name": "registry"}]
        assert {"tolerations", "nodeSelector"} <= set(pod)


@pytest.mark.parametrize("profile", ["production", "region", "centre"])
def test_in_production_nothing_runs_alone(profile):
    values = chart.profile(profile)
    scalers, budgets = chart.of_kind("HorizontalPodAutoscaler", values), chart.of_kind("PodDisruptionBudget", values)
    for name, deployment in chart.of_kind("Deployment", values).items():
        assert "replicas" not in deployment["spec"]
        assert scalers[name]["spec"]["minReplicas"] >= 2
        assert scalers[name]["spec"]["maxReplicas"] > scalers[name]["spec"]["minReplicas"]
        assert scalers[name]["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
        assert budgets[name]["spec"]["maxUnavailable"] == 1
        assert budgets[name]["spec"]["selector"] == deployment["spec"]["selector"]


def test_a_scaler_counts_the_calls_in_progress_where_an_adapter_tells_it():
    values = {"defaults": {"autoscaling": {"enabled": True, "targetInFlight": 8}}}
    for one in chart.of_kind("HorizontalPodAutoscaler", values).values():
        processor, calls = one["spec"]["metrics"]
        assert processor["resource"]["name"] == "cpu"
        assert calls["pods"]["metric"] == {"name": "nhip_in_flight"}
        assert calls["pods"]["target"] == {"type": "AverageValue", "averageValue": "8"}
    said = (chart.ROOT / "docs/operations/deploy.md").read_text(encoding="utf-8")
    adapter = yaml.safe_load(said.split("```yaml\n")[1].split("```")[0])["rules"]["custom"][0]
    assert adapter["name"]["as"] == "nhip_in_flight"
    # A stream that stays open is no work: followers hold one for each feed.
    assert 'grpc_method!="Follow"' in adapter["metricsQuery"]
    counted = set(re.findall(r"\w+_in_flight", adapter["seriesQuery"]))
    assert counted == {metric.name for metric in METRICS if metric.name.endswith("_server_in_flight")}


def test_a_scaler_takes_further_metrics():
    metric = {"type": "Pods", "pods": {"metric": {"name": "queue"}, "target": {"type": "AverageValue"}}}
    values = {"services": {"records": {"autoscaling": {"enabled": True, "metrics": [metric]}}}}
    assert chart.of_kind("HorizontalPodAutoscaler", values)["records"]["spec"]["metrics"][1] == metric


def test_spans_leave_when_there_is_somewhere_to_go():
    assert not [name for name in chart.environment(serving()["edge"]) if name.startswith("OTEL_")]
    variables = chart.environment(serving(chart.EVERYTHING)["edge"])
    assert variables["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector.monitoring:4317"
    assert variables["OTEL_TRACES_SAMPLER_ARG"] == "0.05"


def test_no_service_may_use_the_kubernetes_api():
    account = chart.of_kind("ServiceAccount")["nhip"]
    assert account["automountServiceAccountToken"] is False
    assert {pod["serviceAccountName"] for name, pod in chart.pods().items() if name in chart.PLATFORM["services"]} == {
        "nhip"
    }
    assert not {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"} & {one["kind"] for one in chart.objects()}
    given = {"serviceAccount": {"create": False, "name": "given"}}
    assert not chart.of_kind("ServiceAccount", given)
    assert chart.pods(given)["edge"]["serviceAccountName"] == "given"
