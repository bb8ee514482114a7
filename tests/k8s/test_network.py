"""The NetworkPolicies open the arrows of docs/architecture.md §1, and nothing else."""

import ast
import re

import pytest

from services.edge.upstream import SERVICES
from tests.architecture.test_picture import called, drawn_feeds, picture
from tests.k8s import chart

GRPC = chart.PLATFORM["ports"]["grpc"]
Arrow = tuple[str, str]


def dashed(name: str) -> str:
    return name.replace("_", "-")


def exchange_calls() -> set[str]:
    """The services that exchange opens channels to."""
    found = set()
    for path in (chart.ROOT / "services/exchange").rglob("*.py"):
        for call in called(ast.parse(path.read_text(encoding="utf-8")), "channel"):
            found |= {argument.value for argument in call.args[:1] if isinstance(argument, ast.Constant)}
    return found


def allowed() -> set[Arrow]:
    """(who connects, to whom): callers to those they call, followers to the sources of their feeds."""
    callees = {"edge": set(SERVICES), "exchange": exchange_calls()}
    assert set(re.findall(r"─▶ (\w+) ─+", picture())) == set(callees)
    calls = {(caller, callee) for caller, all_of_them in callees.items() for callee in all_of_them}
    follows = {(follower, source) for source, follower in drawn_feeds()}
    return {(dashed(one), dashed(other)) for one, other in calls | follows}


def policies(values: dict | None = None) -> dict[str, dict]:
    """Each component's policy by its name; `default` is everybody's."""
    return {name: one["spec"] for name, one in chart.of_kind("NetworkPolicy", values).items()}


def components(peers: list[dict]) -> set[str]:
    """The components of this release that a list of peers selects."""
    labels = [peer["podSelector"]["matchLabels"] for peer in peers if "podSelector" in peer]
    assert all(one.get("app.kubernetes.io/instance") == "nhip" for one in labels)
    return {one["app.kubernetes.io/component"] for one in labels}


def into(values: dict | None = None) -> set[Arrow]:
    """The arrows that the receiving ends let in at the gRPC port."""
    return {
        (source, name)
        for name, policy in policies(values).items()
        for rule in policy.get("ingress") or ()
        if rule["ports"] == [{"protocol": "TCP", "port": "grpc"}]
        for source in components(rule["from"])
    }


def out_of(values: dict | None = None) -> set[Arrow]:
    """The arrows that the sending ends let out to the gRPC port."""
    return {
        (name, target)
        for name, policy in policies(values).items()
        for rule in policy.get("egress") or ()
        if rule["ports"] == [{"protocol": "TCP", "port": GRPC}] and "to" in rule
        for target in components(rule["to"])
    }


def test_what_may_come_in_is_what_the_architecture_draws():
    assert into() == allowed()


def test_what_may_go_out_is_what_the_architecture_draws():
    assert out_of() == allowed()


def test_exchange_calls_four_services_and_the_edge_all():
    assert {target for source, target in into() if source == "exchange"} >= {
        "claims", "identity", "patient-index", "records",
    }  # fmt: skip
    assert {target for source, target in into() if source == "edge"} == {*map(dashed, SERVICES)}


@pytest.mark.parametrize("profile", [*chart.PROFILES])
def test_every_pod_is_closed_unless_a_policy_opens_it(profile):
    values = chart.profile(profile)
    everybody = policies(values)["default"]
    assert everybody["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in everybody
    assert [rule["ports"] for rule in everybody["egress"]] == [
        [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
    ]
    selected = everybody["podSelector"]["matchLabels"].items()
    for one in chart.objects(values):
        template = one["spec"]["template"] if one["kind"] in {"Deployment", "Job"} else one
        if one["kind"] in {"Deployment", "Job", "Pod"}:
            assert selected <= template["metadata"]["labels"].items()


def test_each_policy_selects_the_pods_of_its_name_alone():
    for name, policy in policies().items():
        wanted = policy["podSelector"]["matchLabels"]
        assert wanted.get("app.kubernetes.io/component", "default") == name
        assert policy["policyTypes"] == ["Ingress", "Egress"]


def reaches_database(policy: dict) -> bool:
    return any(rule["ports"] == [{"protocol": "TCP", "port": 5432}] for rule in policy["egress"] or ())


def test_only_what_has_a_database_may_reach_postgresql():
    reaching = {name for name, policy in policies().items() if reaches_database(policy)}
    assert reaching == {name for name, facts in chart.PLATFORM["services"].items() if facts["database"]} | {"migrate"}


def test_a_service_reaches_the_cluster_of_its_own_database_and_no_other():
    region = policies(chart.profile("region"))

    def clusters(name: str) -> set[str]:
        return {
            peer["podSelector"]["matchLabels"]["cnpg.io/cluster"]
            for rule in region[name]["egress"]
            if rule["ports"] == [{"protocol": "TCP", "port": 5432}]
            for peer in rule["to"]
        }

    assert clusters("records") == {"nhip-records-db"}
    assert clusters("claims") == {"nhip-ground-db"}
    assert clusters("migrate") == {"nhip-records-db", "nhip-ground-db"}


def test_external_databases_may_be_narrowed_to_where_they_are():
    block = {"ipBlock": {"cidr": "10.20.0.0/24"}}
    narrowed = policies({"networkPolicy": {"databaseTo": [block], "databasePorts": [5432, 6432]}})
    rule = next(rule for rule in narrowed["records"]["egress"] if len(rule["ports"]) == 2)
    assert [port["port"] for port in rule["ports"]] == [5432, 6432]
    assert rule["to"] == [block]


def test_metrics_are_for_the_monitoring_namespace():
    for name, policy in policies().items():
        if name in chart.PLATFORM["services"]:
            rules = [rule for rule in policy["ingress"] if rule["ports"] == [{"protocol": "TCP", "port": "metrics"}]]
            assert [rule["from"] for rule in rules] == [
                [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
            ]


def test_spans_may_leave_for_the_collector_when_there_is_one():
    def rules(values: dict) -> list[dict]:
        return [
            rule
            for policy in policies(values).values()
            for rule in policy.get("egress") or ()
            if rule["ports"] == [{"protocol": "TCP", "port": 4317}]
        ]

    assert not rules({})
    collector = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    values = {"telemetry": {"otlpEndpoint": "http://collector:4317"}, "networkPolicy": {"otlpTo": collector}}
    assert [rule["to"] for rule in rules(values)] == [collector] * len(chart.PLATFORM["services"])


def test_the_edge_is_open_to_all_or_to_those_named_and_the_probe():
    def door(values: dict) -> dict:
        return next(rule for rule in policies(values)["edge"]["ingress"] if rule["ports"][0]["port"] == "http")

    assert "from" not in door({})
    gateway = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateway"}}}
    named = door({"networkPolicy": {"edgeFrom": [gateway]}})["from"]
    assert named[0] == gateway
    assert components(named) == {"probe"}


def test_migrations_receive_nothing_and_the_probe_reaches_the_edge_alone():
    assert "ingress" not in policies()["migrate"]
    probe = policies()["probe"]
    assert "ingress" not in probe
    assert [(rule["ports"][0]["port"], components(rule["to"])) for rule in probe["egress"]] == [(8080, {"edge"})]


def test_a_service_that_runs_elsewhere_is_reached_there():
    there = [{"ipBlock": {"cidr": "192.0.2.0/24"}}]
    values = {
        "services": {"identity": {"enabled": False}},
        "peers": {"identity": "dns:///identity.centre.example:443"},
        "networkPolicy": {"peersTo": there, "peersPorts": [443]},
    }
    away = {"ports": [{"protocol": "TCP", "port": 443}], "to": there}
    follows = {name for name, facts in chart.PLATFORM["services"].items() if "identity" in facts["follows"]}
    opened = {name for name, policy in policies(values).items() if away in (policy.get("egress") or ())}
    assert opened == follows | {"edge"}
    assert "identity" not in policies(values)
    peers = chart.environment(chart.pods(values)["records"]["containers"][0])["NHIP_PEERS"].split(",")
    assert "identity=dns:///identity.centre.example:443" in peers


def test_nobody_follows_a_service_that_runs_nowhere():
    def absent(values: dict) -> dict[str, str | None]:
        pods = chart.of_kind("Deployment", values)
        return {
            name: chart.environment(one["spec"]["template"]["spec"]["containers"][0]).get("NHIP_ABSENT")
            for name, one in pods.items()
        }

    centre = chart.profile("centre")
    missing = "claims,exchange,records,surveillance"
    assert absent(centre) == {"audit": missing, "patient-index": missing, "identity": None, "edge": None}
    reached = chart.laid(centre, {"peers": {"records": "dns:///records.region.example:5000"}})
    assert absent(reached)["audit"] == "claims,exchange,surveillance"
    assert set(absent({}).values()) == {None}


def test_policies_may_be_left_to_others():
    assert not policies({"networkPolicy": {"enabled": False}})
