"""The page says what is so, to everybody, and nothing of anybody."""

import re
from datetime import UTC, datetime

import httpx
import pytest
from grpc_health.v1 import health_pb2

from services.edge.__main__ import main
from services.edge.status.measured import NO_ANSWER, NOT_CONNECTED, Measured, Promise
from services.edge.status.page import PARTS, html, worst
from services.edge.upstream import SERVICES
from tests.services.edge.fakes import surface
from tests.services.edge.status.test_measured import ALLOWED, a_vector, answering, of_records, patient

NOW = datetime(2026, 11, 28, 5, 0, tzinfo=UTC)
WELL = dict.fromkeys(PARTS, True)
KEPT = Promise("records", "availability", "fast", 0.001, {"1h": 0.0, "30d": 0.000004}, 0.996)


def shown(states=WELL, measured=NOT_CONNECTED) -> str:
    return html(states, measured, NOW)


def row(page: str, of: str) -> str:
    (found,) = (line for line in page.splitlines() if f"· {of}" in line)
    return found


def test_every_part_of_the_platform_is_there_and_no_other():
    assert set(PARTS) == {"edge", *SERVICES}
    assert len(re.findall("works", shown())) == len(PARTS)


def test_a_part_that_does_not_answer_is_named_at_once():
    page = shown({**WELL, "claims": False})
    assert "Some parts do not answer" in page
    assert "does not answer" in row(page, "Claims<")
    assert "works" in row(page, "Files<")


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (NOT_CONNECTED, "Not measured: no monitoring is connected to this door"),
        (NO_ANSWER, "Not measured: monitoring did not answer"),
        (Measured(), "Not measured: monitoring has nothing to tell yet"),
    ],
)
def test_what_is_not_measured_is_not_shown_as_good(measured, said):
    page = shown(measured=measured)
    assert said in page
    assert "%" not in page


def test_shares_are_cut_and_never_rounded_to_a_whole():
    page = shown(measured=Measured((KEPT,)))
    cells = re.findall(r"<td>(.*?)</td>", row(page, "Health records:"))
    assert cells[:3] == ["100 %", "–", "99.999 %"]
    assert cells[3].endswith("99 %")
    assert "99.9 % answered without a fault of ours" in page


def test_a_month_that_was_promised_better_says_so_above():
    broken = Promise("edge", "latency", "edge", 0.01, {"1h": 0.5}, -3.0)
    page = shown(measured=Measured((KEPT, broken)))
    assert "some promise of the month is broken" in page
    assert "used up" in row(page, "The door that programs use:")


def test_of_several_promises_the_one_that_is_kept_worst_is_shown():
    better = Promise("records", "availability", "batch", 0.005, {}, 0.999)
    unknown = Promise("records", "availability", "interactive", 0.001)
    assert worst([better, KEPT, unknown]) == [KEPT]
    assert worst([unknown]) == [unknown]


def test_what_another_scrapes_under_our_names_does_not_come_in():
    strange = Promise("<script>", "availability", "fast", 0.001, {"1h": 0.0}, 1.0)
    odd = Promise("records", "<b>", "fast", 0.001, {"1h": 0.0}, 1.0)
    assert worst([strange, odd]) == []


async def test_anybody_may_look_and_is_told_by_the_running_edge(platform):
    vector = a_vector(ALLOWED, of_records("nhip:slo_bad:ratio1h", "0.25"))
    async with answering(200, vector) as (url, _), surface(platform, patient(url)) as edge:
        answer = await edge.client.get("/status")
        assert answer.status_code == httpx.codes.OK
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "script" not in answer.headers["content-security-policy"]
        assert "75 %" in row(answer.text, "Health records:")
        assert "Every part answers" in answer.text
        assert (await edge.client.head("/status")).status_code == httpx.codes.OK
        assert (await edge.client.post("/status")).status_code == httpx.codes.METHOD_NOT_ALLOWED


async def test_a_draining_door_and_a_service_that_is_down_are_told_without_a_word_of_the_inside(edge):
    edge.edge.health.is_serving = False
    await edge.platform.health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    answer = await edge.client.get("/status")
    assert answer.status_code == httpx.codes.OK
    assert "works" not in answer.text
    assert "no monitoring is connected" in answer.text
    # No address and no code.
    assert not re.search(r"\d+\.\d+\.\d+\.\d+|NOT_SERVING", answer.text)


@pytest.mark.parametrize("url", ["prometheus:9090", "file:///etc/passwd"])
def test_an_edge_that_is_told_no_address_of_a_prometheus_does_not_start(url, capsys, tmp_path):
    environment = {"NHIP_SECRETS": str(tmp_path), "NHIP_PROMETHEUS_URL": url}
    assert main(["serve"], environment) == 1
    assert "NHIP_PROMETHEUS_URL" in capsys.readouterr().err
