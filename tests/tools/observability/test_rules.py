"""Rules: they parse, name what there is, and stand in the chart as they are made."""

import re
from pathlib import Path

import pytest
import yaml
from nhip.options.v1 import options_pb2

from tests.tools.observability.expressions import RECORDED, named, problems
from tools.observability import objectives
from tools.observability.__main__ import ROOT, RULES, outputs, rule_files, stale
from tools.observability.contract.metrics import METRICS
from tools.observability.rules import recording
from tools.observability.rules.alerts import BURNS, alerts
from tools.observability.rules.pace import Pace

RUNBOOKS = ROOT / "docs" / "runbooks"
HEADINGS = ["Meaning", "Impact", "In an emergency", "How it is set", "How to find and mend"]


def rules(pace: Pace) -> list[dict]:
    return [
        rule
        for text in rule_files(pace).values()
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
    ]


@pytest.mark.parametrize("pace", [Pace(), Pace(100)], ids=["production", "fast"])
def test_every_expression_parses_and_names_only_what_the_contract_holds(pace):
    found = {rule.get("record", rule.get("alert")): problems(rule["expr"]) for rule in rules(pace)}
    assert not {name: each for name, each in found.items() if each}


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("rate(grpc_server_handledd_total[5m])", "nothing emits grpc_server_handledd_total"),
        ('grpc_server_in_flight{grpc_code="OK"}', "grpc_server_in_flight has no label grpc_code"),
        ('grpc_server_handled_total{grpc_code="Ok"}', "grpc_server_handled_total never has grpc_code='Ok'"),
        ("sum by (grpc_methods) (grpc_server_in_flight)", "no series has the label grpc_methods"),
        ("nhip_ready * on (node) nhip_ready", "no series has the label node"),
    ],
)
def test_a_misspelt_name_is_found(expression, problem):
    assert problem in problems(expression)


def test_what_is_committed_is_what_is_made():
    assert stale(dict(outputs())) == []


def test_a_changed_or_foreign_file_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr("tools.observability.__main__.RULES", tmp_path)
    (tmp_path / "old.yaml").write_text("groups: []\n")
    (tmp_path / "kept.yaml").write_text("as it is")
    written = {tmp_path / "kept.yaml": "as it should be"}
    assert [path.name for path in stale(written) if path.parent == tmp_path] == ["kept.yaml", "old.yaml"]


def test_each_recorded_series_is_used_or_is_for_people():
    used = {selector.name for rule in rules(Pace()) for selector in named(rule["expr"]).selectors}
    # A glance at the dashboard tells the budget.
    assert RECORDED - used == {recording.LEFT}


def test_the_levels_are_the_protos():
    for value in options_pb2.SloClass.DESCRIPTOR.values:
        name = value.name.removeprefix("SLO_CLASS_").lower()
        level = value.GetOptions().Extensions[options_pb2.level]
        if not level.availability:
            assert name in {"unspecified", "stream"}
            continue
        latency = objectives.of(objectives.LATENCY, name)
        assert (latency.share, latency.seconds) == (level.within_share, level.milliseconds / 1000)
        assert objectives.of(objectives.AVAILABILITY, name).share == level.availability


def test_each_promised_time_is_a_bucket_s_end():
    ends = {
        "grpc": re.search(r"buckets=\((.*)\)", (ROOT / "libs/runtime/interceptors/metrics.py").read_text())[1],
        "edge": re.search(r"buckets=\((.*)\)", (ROOT / "services/edge/observing.py").read_text())[1],
    }
    for one in objectives.objectives():
        if one.seconds:
            known = ends["edge" if one.slo_class == objectives.EDGE else "grpc"].split(", ")
            assert one.seconds in map(float, known)


def test_burn_rates_leave_the_budgets_that_the_workbook_says():
    month = 30 * 86400
    spent = {
        (severity, window): times * window / month for severity, each in BURNS.items() for times, window, _ in each
    }
    assert [round(share, 3) for share in spent.values()] == [0.02, 0.05, 0.1, 0.1]
    assert all(short * 12 == window for each in BURNS.values() for _, window, short in each)


def test_a_faster_clock_changes_durations_and_nothing_else():
    assert [alert.name for alert in alerts(Pace(100))] == [alert.name for alert in alerts()]
    assert Pace(100).lasting(300) == "3s"
    assert Pace(300).lasting(60) == "200ms"
    assert Pace().lasting(5400) == "90m"


def test_alerts_and_runbooks_match_one_to_one():
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {alert.name for alert in alerts()}


@pytest.mark.parametrize("path", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_a_runbook_says_the_five_things(path: Path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {path.stem}\n")
    parts = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)[1:]
    assert parts[::2] == HEADINGS
    assert all(len(part.strip()) > 4 for part in parts[1::2])


@pytest.mark.parametrize("path", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_what_a_runbook_names_is_there(path: Path):
    text = path.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert (path.parent / link).resolve().exists(), link
    for expression in re.findall(r"`((?:topk|sum|rate)\b[^`]*)`", text):
        assert not problems(expression), expression
    for metric in re.findall(r"`((?:nhip|grpc|http)_[a-z_]+)`", text):
        assert metric in {one.name for one in METRICS}


def test_every_alert_says_who_is_woken_and_where_to_read_on():
    for rule in rules(Pace()):
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"page", "ticket"}
            assert (ROOT / rule["annotations"]["runbook"]).exists()


def test_rules_lie_where_the_chart_reads_them():
    assert {path.name for path in RULES.iterdir()} == set(rule_files(Pace()))
