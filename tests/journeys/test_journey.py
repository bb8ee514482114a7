"""One citizen's way through the whole platform, through the edge, with real tokens and real processes."""

import json
import time

import psutil
import pytest

from tests.support import telemetry
from tests.support.whole import platform, sample_of, walk

PEOPLE = 80


@pytest.mark.xdist_group("whole")
def test_a_visit_travels_from_a_hospital_s_file_to_the_citizen_s_screen_and_a_second_walk_finds_it_so(
    home_path, monkeypatch
):
    report = home_path.parent / "journey.json"
    with telemetry.collecting(monkeypatch) as collector, platform(home_path) as running:
        sample = sample_of(running, seed=11, people=PEOPLE)
        well, printed = walk(running, sample, report)
        assert well, printed
        steps = json.loads(report.read_text(encoding="utf-8"))["steps"]
        assert [step["outcome"] for step in steps] == ["ok"] * 7
        assert all(step["name"] and step["seconds"] >= 0 for step in steps)
        well, printed = walk(running, sample, report)
        assert well, printed
        metrics = telemetry.scraped(running)
        pids = [service.pid for service in running.state.services.values()]
    deadline = time.monotonic() + 10
    while any(psutil.pid_exists(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    logs = telemetry.logged(running)
    assert not [problem for name, text in metrics.items() for problem in telemetry.metric_problems(name, text)]
    assert not [problem for name, text in logs.items() for problem in telemetry.log_problems(name, text)]
    assert not telemetry.span_problems(collector.spans)
    assert {process["service.name"] for process, _ in collector.spans} == set(metrics)
    personal = telemetry.personal_values(sample.population)
    assert sample.population.index_citizen.citizen_id in personal
    assert not telemetry.leaks(personal, [*metrics.values(), *logs.values(), telemetry.told_by(collector.spans)])


def test_a_personal_value_would_be_found_wherever_it_stood():
    values = {"9123456789012", "สมชาย", "0812345678"}
    assert telemetry.leaks(values, ['nhip_ready{who="สมชาย"} 1', "9123456789012,", "x0812345678"]) == [
        "9123456789012",
        "สมชาย",
    ]
