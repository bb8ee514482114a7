"""One citizen's way through the whole platform, through the edge, with real tokens and real processes."""

import json
import time

import psutil
import pytest

from tests.support.whole import platform, sample_of, walk

PEOPLE = 80


@pytest.mark.xdist_group("whole")
def test_a_visit_travels_from_a_hospital_s_file_to_the_citizen_s_screen_and_a_second_walk_finds_it_so(home_path):
    report = home_path.parent / "journey.json"
    with platform(home_path) as running:
        sample = sample_of(running, seed=11, people=PEOPLE)
        well, printed = walk(running, sample, report)
        assert well, printed
        steps = json.loads(report.read_text(encoding="utf-8"))["steps"]
        assert [step["outcome"] for step in steps] == ["ok"] * 7
        assert all(step["name"] and step["seconds"] >= 0 for step in steps)
        well, printed = walk(running, sample, report)
        assert well, printed
        pids = [service.pid for service in running.state.services.values()]
    deadline = time.monotonic() + 10
    while any(psutil.pid_exists(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
