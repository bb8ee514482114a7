"""Rules are what Prometheus takes; every alert fires over the series that it is for, says so, and not over others alike."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.observability.cases import CASES, Case
from tests.observability.programs import programs
from tools.observability.__main__ import RULES, rule_files
from tools.observability.rules.alerts import alerts
from tools.observability.rules.pace import Pace

# The windows of three days need no more than the series that there are.
SPARE_MINUTES = 5


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([programs().promtool, *words], capture_output=True, text=True, check=False)


def expected(case: Case) -> list[dict]:
    """What the alert says of its series, once for each severity."""
    templates = {one.severity: one for one in alerts() if one.name == case.alert}
    return [
        {
            "exp_labels": {**case.labels, "severity": severity},
            "exp_annotations": {
                "summary": filled(templates[severity].summary, case, value),
                "description": filled(templates[severity].description, case, value),
                "runbook": f"docs/runbooks/{case.alert}.md",
            },
        }
        for severity, value in case.says.items()
    ]


def filled(template: str, case: Case, value: str) -> str:
    text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: case.labels[found[1]], template)
    return re.sub(r"\{\{ \$value[^}]* \}\}", value, text)


def a_test(name: str, case: Case, series: dict[str, str], due: list[dict]) -> dict:
    return {
        "name": name,
        "interval": "1m",
        "input_series": [
            {"series": each, "values": values.format(minutes=case.at + SPARE_MINUTES)}
            for each, values in series.items()
        ],
        "alert_rule_test": [{"eval_time": f"{case.at}m", "alertname": case.alert, "exp_alerts": due}],
    }


def outcome(tests: list[dict], folder: Path) -> subprocess.CompletedProcess[str]:
    document = {
        "rule_files": [str(path) for path in sorted(RULES.glob("*.yaml"))],
        # As the recorded rates are; what is counted rests on it.
        "evaluation_interval": "30s",
        "tests": tests,
    }
    path = folder / "tests.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return promtool("test", "rules", str(path))


@pytest.mark.parametrize("pace", [Pace(), Pace(60)], ids=["production", "fast"])
def test_prometheus_takes_the_rules(pace, tmp_path):
    for name, text in rule_files(pace).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, sorted(tmp_path.iterdir())))
    assert checked.returncode == 0, checked.stderr


def test_every_alert_has_a_case():
    assert {case.alert for case in CASES} == {alert.name for alert in alerts()}
    severities = {(alert.name, alert.severity) for alert in alerts()}
    assert {(case.alert, severity) for case in CASES for severity in case.says} == severities


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_fires_and_says_what_of(case, tmp_path):
    done = outcome([a_test("fires", case, case.fires, expected(case))], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_does_not_fire_over_what_only_looks_alike(case, tmp_path):
    done = outcome([a_test(name, case, series, []) for name, series in case.quiet.items()], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_expectation_would_be_noticed(tmp_path):
    case = CASES[0]
    assert outcome([a_test("quiet?", case, case.fires, [])], tmp_path).returncode != 0
