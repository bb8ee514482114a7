"""Every query of every dashboard is asked of the real Prometheus over the real platform, and answers with data."""

import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.observability.faults import refusing_rows
from tests.observability.stand import Stand
from tests.tools.observability.test_dashboards import QUERIES
from tools.nhip.edge import EdgeClient
from tools.nhip.enrol import INDEX_STEWARD
from tools.nhip.home import Credentials
from tools.nhip.journey import resources
from tools.nhip.journey.session import Session, program_login

# What the day brought is longer ago than a minute.
WINDOWS = {"$__rate_interval": "15m", "$namespace": ".*", "$job": ".*"}
# The index tells of its quality once a minute.
PATIENCE_SECONDS = 90.0


@pytest.fixture(scope="module")
def a_day(stand: Stand) -> Stand:
    """The stand after all that a day may bring: an outbreak, a blind review, refusals, failures of every kind."""
    an_outbreak(stand)
    a_blind_review(stand)
    for code in ("INTERNAL", "DEADLINE_EXCEEDED", "PERMISSION_DENIED", "UNAVAILABLE"):
        with stand.rpcs(f"records.*:error=0.5,code={code}"):
            time.sleep(4)
    with refusing_rows(stand):
        time.sleep(4)
    return stand


def an_outbreak(stand: Stand) -> None:
    """One case of something else long ago, so that the weeks before are known; then many of dengue in one week."""
    trip, facility = stand.trip, stand.trip.population.hospital_b
    now = datetime.now(UTC)
    for number in range(7):
        person = resources.patient(trip.citizen, facility, f"OUT-{number}")
        person["identifier"] = person["identifier"][1:]
        person["name"][0]["given"] = [f"ทดสอบ{'กขคงจฉช'[number]}"]
        patient_id = created(trip.doctor, "Patient", person)
        began = now - timedelta(weeks=12 if number == 0 else 0)
        visit = created(trip.doctor, "Encounter", resources.encounter(patient_id, facility, f"OUT-{number}", began))
        diagnosis = resources.dengue(patient_id, visit, f"OUT-{number}", began)
        if number == 0:
            diagnosis["code"]["coding"][0] = {"system": resources.ICD_10, "code": "J18.0"}
        created(trip.doctor, "Condition", diagnosis)


def created(doctor: Session, kind: str, resource: dict) -> str:
    answer = doctor.post(f"/fhir/R4/{kind}", resource)
    assert answer.status == httpx.codes.CREATED, (kind, answer.status, answer.reason)
    return answer.body["id"]


def a_blind_review(stand: Stand) -> None:
    """Two programs of the registry judge a sample of the index's pairs."""
    first = stand.platform.home.client(INDEX_STEWARD.client_id)
    second = stand.platform.home.client("second-reviewer")
    with EdgeClient(
        stand.platform.edge_url, stand.platform.bootstrap_client, purpose="PURPOSE_OF_USE_OPERATIONS"
    ) as edge:
        client = {
            "clientId": second.client_id,
            "organizationId": INDEX_STEWARD.organization_id,
            "name": "Second reviewer",
            "scopes": [*INDEX_STEWARD.scopes],
        }
        edge.post("/v1/clients", {"client": client, "clientSecret": second.client_secret})
    reviewers = [reviewer(stand, one) for one in (first, second)]
    drawn = reviewers[0].post("/v1/samples:draw", {"size": 20})
    assert drawn.status == httpx.codes.OK, drawn.reason
    for one in reviewers:
        while (task := one.post("/v1/samples:claim", {}).body.get("task", {})).get("registration"):
            pair = {
                "registrationId": task["registration"]["registrationId"],
                "otherRegistrationId": task["other"]["registrationId"],
            }
            assert one.post("/v1/samples:judge", {**pair, "verdict": "VERDICT_SAME"}).status == httpx.codes.OK
        one.close()


def reviewer(stand: Stand, login: Credentials) -> Session:
    form = program_login(login.client_id, login.client_secret, "PURPOSE_OF_USE_OPERATIONS")
    return Session(stand.platform.edge_url, login.client_id, form)


@pytest.mark.parametrize(("expression", "legend"), QUERIES)
def test_a_panel_shows_data(a_day: Stand, expression: str, legend: str):
    for variable, value in WINDOWS.items():
        expression = expression.replace(variable, value)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (shown := [one for one in a_day.query(expression) if one["value"][1] != "NaN"]):
        assert time.monotonic() < deadline, f"{expression} shows nothing"
        time.sleep(1)
    named = {part.partition("}}")[0] for part in legend.split("{{")[1:]}
    assert named <= set(shown[0]["metric"]) | {"stratum"}


def test_the_status_page_shows_what_prometheus_measured(a_day: Stand):
    answer = httpx.get(f"{a_day.platform.edge_url}/status", trust_env=False)
    assert answer.status_code == httpx.codes.OK
    assert "Not measured" not in answer.text
    (row,) = (line for line in answer.text.splitlines() if "· Health records: 99.9 % answered" in line)
    assert row.count(" %</td>") >= 2
