"""An import of lines whose services are killed (-9) while it runs: every line is there once, and none is lost."""

import asyncio
import json
import time

import asyncpg
import httpx
import pytest

from tests.support.whole import platform, sample_of
from tools.nhip.edge import EdgeClient
from tools.nhip.journey.session import program_login

FACILITY, PEOPLE, PER_PERSON = "99001", 60, 40
SOURCE = "https://old.example.org/fhir"
HN = f"https://terms.sil-th.org/hcode/5/{FACILITY}/HN"
ICD = "http://hl7.org/fhir/sid/icd-10"
STORED = """
    SELECT type, count(*), count(DISTINCT id), max(version) FROM resources
    WHERE type IN ('Condition', 'Encounter', 'Observation', 'Patient') GROUP BY type ORDER BY type
"""
OPERATIONS = "PURPOSE_OF_USE_OPERATIONS"


def the_lines() -> list[dict]:
    """What refers to others comes before them; Encounters and Conditions refer to each other."""
    found = []
    for number in range(PEOPLE):
        whom = {"subject": {"reference": f"{SOURCE}/Patient/{number}"}}
        visit, reason = {"reference": f"Encounter/{number}"}, {"reference": f"Condition/{number}"}
        coded = {"coding": [{"system": ICD, "code": "E11"}]}
        found.append({"resourceType": "Condition", "id": str(number), "code": coded, "encounter": visit, **whom})
        for count in range(PER_PERSON):
            seen = {
                "resourceType": "Observation",
                "id": f"{number}-{count}",
                "status": "final",
                "code": {"text": "pulse"},
            }
            found.append({**seen, "encounter": visit, "valueInteger": count, **whom})
        ambulatory = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
        stay = {"resourceType": "Encounter", "id": str(number), "status": "finished", "class": ambulatory}
        found.append({**stay, "diagnosis": [{"condition": reason}], **whom})
    for number in range(PEOPLE):
        own = {"system": HN, "value": f"K{number}"}
        found.append({"resourceType": "Patient", "id": str(number), "identifier": [own], "birthDate": "1990-01-01"})
    return found


def ask(url: str, query: str) -> list[tuple]:
    async def run() -> list[tuple]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    return asyncio.run(run())


@pytest.mark.xdist_group("whole")
def test_an_import_whose_services_are_killed_loses_nothing_and_takes_nothing_twice(home_path):
    lines = the_lines()
    body = b"".join(
        json.dumps(line).encode() + b"\n" for line in [*lines, {"resourceType": "Observation", "id": "bad"}]
    )
    with platform(home_path) as running:
        sample_of(running, seed=3, people=20)
        login = running.home.client("bulk")
        with EdgeClient(running.edge_url, running.bootstrap_client, purpose=OPERATIONS) as edge:
            client = {"clientId": "bulk", "organizationId": FACILITY, "name": "Bulk", "scopes": ["system/*.cruds"]}
            edge.post("/v1/clients", {"client": client, "clientSecret": login.client_secret})
        asked = program_login(login.client_id, login.client_secret, OPERATIONS)
        token = httpx.post(f"{running.edge_url}/oauth2/token", data=asked).raise_for_status().json()["access_token"]
        headers = {"authorization": f"Bearer {token}", "prefer": "respond-async"}
        with httpx.Client(headers=headers, timeout=30, trust_env=False) as http:
            upload = {"content-type": "application/fhir+ndjson"}
            begun = http.post(f"{running.edge_url}/fhir/R4/$import?inputSource={SOURCE}", content=body, headers=upload)
            assert begun.status_code == 202, begun.text
            status = begun.headers["content-location"]
            kills = ["exchange", "records", "patient_index", "exchange"]
            while True:
                told = http.get(status)
                if told.status_code == 200:
                    break
                assert told.status_code in {202, 503}, told.text
                if kills and told.headers.get("x-progress", "").endswith("lines"):
                    running.kill(kills.pop(0))
                    running.wait_healthy()
                time.sleep(0.05)
            manifest = told.json()
            (error,) = manifest["error"]
            refused = [json.loads(line) for line in http.get(error["url"]).text.splitlines()]
            whose = http.get(f"{running.edge_url}/fhir/R4/Encounter", params={"_count": 1}).json()["entry"][0][
                "resource"
            ]
        assert manifest["output"][0]["count"] == len(lines)
        assert [issue["extension"][1]["valueInteger"] for one in refused for issue in one["issue"][:1]] == [
            len(lines) + 1
        ]
        url = running.databases.url("records")
        found = ask(url, STORED)
        observed = PEOPLE * PER_PERSON
        assert found == [
            ("Condition", PEOPLE, PEOPLE, 1),
            ("Encounter", PEOPLE, PEOPLE, 1),
            ("Observation", observed, observed, 1),
            ("Patient", PEOPLE, PEOPLE, 1),
        ]
        assert whose["meta"]["source"] == f"Organization/{FACILITY}"
        assert ask(url, "SELECT count(*) FROM changes WHERE feed = 'records'") == [(len(lines),)]
