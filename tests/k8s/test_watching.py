"""Rules and dashboards as the chart brings them."""

import json

import yaml

from tests.k8s import chart

ON = {"prometheusRule": {"enabled": True}, "dashboards": {"enabled": True}}


def test_each_file_of_rules_is_one_object_with_its_text_unchanged():
    rendered = chart.of_kind("PrometheusRule", ON)
    files = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in (chart.CHART / "rules").glob("*.yaml")}
    assert files
    assert {name: one["spec"] for name, one in rendered.items()} == files


def test_alerts_carry_the_address_of_their_runbook_when_it_is_told():
    base = "https://git.example/runbooks"
    values = chart.laid(ON, {"prometheusRule": {"runbookUrl": base, "labels": {"release": "kps"}}})
    rendered = chart.of_kind("PrometheusRule", values)
    alerts = [
        rule
        for one in rendered.values()
        for group in one["spec"]["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    assert all(rule["annotations"]["runbook_url"] == f"{base}/{rule['alert']}.md" for rule in alerts)
    assert len(alerts) > 20
    assert all(one["metadata"]["labels"]["release"] == "kps" for one in rendered.values())


def test_each_dashboard_is_a_config_map_that_the_sidecar_finds():
    rendered = {
        name: one
        for name, one in chart.of_kind("ConfigMap", ON).items()
        if one["metadata"]["labels"].get("grafana_dashboard") == "1"
    }
    files = {path.stem: json.loads(path.read_text("utf-8")) for path in (chart.CHART / "dashboards").glob("*.json")}
    assert files
    texts = {name.removeprefix("dashboard-"): next(iter(one["data"].values())) for name, one in rendered.items()}
    assert {name: json.loads(text) for name, text in texts.items()} == files


def test_postgresql_is_watched_where_the_release_brings_it():
    watched = chart.of_kind("PodMonitor", chart.profile("region"))
    assert set(watched) == set(chart.of_kind("Cluster", chart.profile("region")))
    for name, one in watched.items():
        assert one["spec"]["selector"]["matchLabels"]["cnpg.io/cluster"] == f"nhip-{name}"
    assert not chart.of_kind("PodMonitor", chart.profile("production"))


def test_production_watches_and_the_rest_only_when_asked():
    assert chart.of_kind("PrometheusRule", chart.profile("production"))
    assert chart.of_kind("PrometheusRule", chart.profile("region"))
    assert not chart.of_kind("PrometheusRule")
    assert not chart.of_kind("ConfigMap")
