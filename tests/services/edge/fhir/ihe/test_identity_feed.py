"""Patient Identity Feed FHIR [ITI-104], over the real index and records."""

import pytest

from tests.services.edge.conftest import SCOPES
from tests.services.edge.fhir.stored import HN, a_patient

FHIR_JSON = {"content-type": "application/fhir+json"}


def numbered(number, **changes):
    return a_patient(identifier=[{"system": HN, "value": number}], **changes)


@pytest.fixture
async def source(hospital):
    return await hospital("10661", f"{SCOPES} registrations.link")


async def put(client, number, **changes):
    params = {"identifier": f"{HN}|{number}"}
    return await client.put("/fhir/R4/Patient", params=params, json=numbered(number, **changes), headers=FHIR_JSON)


async def person_of(client, number):
    found = await client.post("/v1/persons:search", json={"organizationId": "10661", "localNumber": number})
    return found.json()["persons"][0]["personId"]


async def test_a_patient_is_added_and_then_revised_by_the_source_s_number(source):
    added = await put(source, "A-1")
    assert added.status_code == 201, added.text
    revised = await put(source, "A-1", gender="female")
    assert (revised.status_code, revised.json()["gender"], revised.json()["id"]) == (200, "female", added.json()["id"])


async def test_a_resolved_duplicate_stands_with_its_successor_and_is_cross_referenced_with_it(source):
    await put(source, "A-1")
    await put(source, "A-2", birthDate="1990-01-01", gender="female", name=[{"given": ["มานี"], "family": "มีสุข"}])
    assert await person_of(source, "A-2") != await person_of(source, "A-1")
    link = {"other": {"identifier": {"system": HN, "value": "A-1"}}, "type": "replaced-by"}
    resolved = await put(source, "A-2", active=False, link=[link], gender="female", birthDate="1990-01-01")
    assert resolved.status_code == 200, resolved.text
    assert await person_of(source, "A-2") == await person_of(source, "A-1")
    found = await source.get("/fhir/R4/Patient/$ihe-pix", params={"sourceIdentifier": f"{HN}|A-2"})
    numbers = [one["valueIdentifier"]["value"] for one in found.json()["parameter"] if "valueIdentifier" in one]
    assert numbers == ["A-1"]


async def test_a_link_of_an_active_patient_merges_nobody(source):
    await put(source, "A-1")
    link = {"other": {"identifier": {"system": HN, "value": "A-1"}}, "type": "replaced-by"}
    kept = await put(source, "A-2", active=True, link=[link], gender="female", birthDate="1990-01-01")
    assert kept.status_code == 201, kept.text
    assert await person_of(source, "A-2") != await person_of(source, "A-1")
