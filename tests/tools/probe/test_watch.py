"""The probe that goes on: what it counts when an invariant holds, breaks, and holds again."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from tests.tools.probe.test_probe import Played, edge  # noqa: F401 a fixture
from tools.probe import course
from tools.probe.course import STEPS, Walk
from tools.probe.edge import Edge
from tools.probe.watch import SAME, Watch

Counts = dict[tuple[str, str], float]


@pytest.fixture
def watch(edge: Played) -> Watch:  # noqa: F811 the fixture above
    return Watch(lambda: Walk(Edge(edge.url, 0), edge.client["client_id"], edge.client["client_secret"]))


def counted() -> Counts:
    return {
        (step, outcome): REGISTRY.get_sample_value("nhip_probe_checks_total", {"step": step, "outcome": outcome}) or 0.0
        for step in (*STEPS, SAME)
        for outcome in ("held", "broken")
    }


def more(before: Counts) -> set[tuple[str, str]]:
    return {key for key, value in counted().items() if value > before[key]}


def test_every_step_has_a_name_in_the_metrics(watch: Watch, edge: Played) -> None:  # noqa: F811
    assert len(STEPS) == len(list(course.steps(Walk(Edge(edge.url, 0), "", ""))))


def test_a_walk_on_which_everything_holds_is_counted_and_timed(watch: Watch) -> None:
    before, walked = counted(), REGISTRY.get_sample_value("nhip_probe_walk_seconds_count")
    assert watch.once() == ""
    assert watch.once() == ""
    assert more(before) == {(step, "held") for step in (*STEPS, SAME)}
    assert REGISTRY.get_sample_value("nhip_probe_walk_seconds_count") == walked + 2
    assert REGISTRY.get_sample_value("nhip_probe_held_timestamp_seconds") == pytest.approx(time.time(), abs=60)


def test_what_breaks_is_counted_where_it_broke_and_the_next_walk_begins_anew(
    watch: Watch,
    edge: Played,  # noqa: F811
) -> None:
    edge.instead["/v1/persons:search"] = lambda _: (200, {"persons": []})
    before = counted()
    assert "not found by the identifier" in watch.once()
    assert more(before) == {*((step, "held") for step in STEPS[:5]), ("find", "broken")}
    edge.instead.clear()
    assert watch.once() == ""


def test_a_person_who_becomes_another_is_a_broken_invariant_once(watch: Watch, edge: Played) -> None:  # noqa: F811
    assert watch.once() == ""
    moved = {**course.PERSON, "registrationId": "r1", "personId": "p2"}
    edge.instead["/v1/registrations"] = lambda _: (
        200,
        {"registration": moved, "outcome": "REGISTRATION_OUTCOME_UNCHANGED"},
    )
    edge.instead["/v1/persons:search"] = lambda _: (200, {"persons": [{"personId": "p2"}]})
    before = counted()
    assert "another than before" in watch.once()
    assert (SAME, "broken") in more(before)
    assert watch.once() == ""


@pytest.fixture
def process(edge: Played, tmp_path) -> Iterator[subprocess.Popen[str]]:  # noqa: F811
    client = tmp_path / "client"
    client.write_text('{"client_id": "nhip-admin", "client_secret": "' + "s" * 30 + '"}')
    words = ("--edge", edge.url, "--client", str(client), "--every", "0.1", "--metrics", "127.0.0.1:0")
    started = subprocess.Popen(
        [sys.executable, "-m", "tools.probe", *words], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    yield started
    started.kill()
    started.wait()
    started.stdout.close()


def test_the_program_walks_until_it_is_told_to_stop_and_tells_its_metrics(process: subprocess.Popen[str]) -> None:
    address = process.stdout.readline().split()[-1]
    assert [process.stdout.readline() for _ in range(2)] == ["held\n", "held\n"]
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        told = answer.read().decode()
    assert 'nhip_probe_checks_total{outcome="broken",step="find"} 0.0' in told
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
