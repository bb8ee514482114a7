"""The International Patient Summary as a reader gets it: sections, narratives, references that resolve within."""

import xml.etree.ElementTree as ET

import pytest

from services.edge.fhir.operations.summary.sections import ABSENT, entries, sections
from tests.services.edge.fhir.operations.test_person import observe
from tests.services.edge.fhir.stored import a_patient

FHIR = "/fhir/R4"
XHTML = "{http://www.w3.org/1999/xhtml}"
ACTIVE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]}
VITAL = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}


@pytest.fixture
async def patient(whole):
    return (await whole.post(f"{FHIR}/Patient", json=a_patient())).json()["id"]


async def create(client, **body):
    answer = await client.post(f"{FHIR}/{body['resourceType']}", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def summary(client, patient):
    answer = await client.get(f"{FHIR}/Patient/{patient}/$summary")
    assert answer.status_code == 200, answer.text
    return answer.json()


def by_code(bundle):
    return {one["code"]["coding"][0]["code"]: one for one in bundle["entry"][0]["resource"]["section"]}


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for child in value.values():
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


def require_resolved(bundle):
    """Each reference leads to an entry: relative ones of entries under the base, absolute ones by their address."""
    addresses = {one["fullUrl"] for one in bundle["entry"]}
    assert len(addresses) == len(bundle["entry"])
    for entry in bundle["entry"]:
        for reference in references(entry["resource"]):
            if reference.startswith("#"):
                continue
            relative = not reference.startswith(("http", "urn:"))
            assert not (relative and entry["fullUrl"].startswith("urn:")), reference
            assert (f"http://edge.test{FHIR}/{reference}" if relative else reference) in addresses, reference


async def test_sections_that_must_stand_say_that_nothing_is_known(whole, patient):
    bundle = await summary(whole, patient)
    assert (bundle["type"], bundle["entry"][0]["resource"]["resourceType"]) == ("document", "Composition")
    assert set(by_code(bundle)) == {"10160-0", "48765-2", "11450-4"}
    held = {one["fullUrl"]: one["resource"] for one in bundle["entry"]}
    said = set()
    for section in by_code(bundle).values():
        (entry,) = section["entry"]
        body = held[entry["reference"]]
        said.add((body.get("code") or body["medicationCodeableConcept"])["coding"][0]["code"])
        assert (body.get("code") or body["medicationCodeableConcept"])["coding"][0]["system"] == ABSENT
        assert "ไม่มีข้อมูล" in section["text"]["div"]
    assert said == {"no-medication-info", "no-allergy-info", "no-problem-info"}
    require_resolved(bundle)


async def test_what_is_known_stands_in_its_section_with_a_text_and_all_it_refers_to(whole, patient):
    subject = {"reference": f"Patient/{patient}"}
    practitioner = await create(whole, resourceType="Practitioner", name=[{"text": "พญ. ใจดี"}])
    encounter = await create(
        whole,
        resourceType="Encounter",
        status="finished",
        **{"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}},
        subject=subject,
    )
    drug = await create(whole, resourceType="Medication", code={"text": "Metformin 500 mg"})
    await create(
        whole,
        resourceType="AllergyIntolerance",
        clinicalStatus=ACTIVE,
        code={"text": "เพนิซิลลิน <script>alert(1)</script> & อื่น ๆ"},
        patient=subject,
        recorder={"reference": f"Practitioner/{practitioner['id']}"},
    )
    await create(
        whole,
        resourceType="MedicationRequest",
        status="active",
        intent="order",
        medicationReference={"reference": f"Medication/{drug['id']}"},
        subject=subject,
        encounter={"reference": f"Encounter/{encounter['id']}"},
    )
    for day in range(1, 6):
        quantity = {"value": 120 + day, "unit": "mmHg"}
        await observe(whole, patient, f"2024-05-0{day}", "8480-6", category=[VITAL], valueQuantity=quantity)
    result = await observe(whole, patient, "2024-05-01", "718-7")
    bundle = await summary(whole, patient)
    found = by_code(bundle)
    assert set(found) == {"10160-0", "48765-2", "11450-4", "30954-2", "8716-3"}
    assert [one["reference"].rpartition("/")[2] for one in found["30954-2"]["entry"]] == [result["id"]]
    assert len(found["8716-3"]["entry"]) == 3
    rows = ET.fromstring(found["48765-2"]["text"]["div"]).findall(f".//{XHTML}tbody/{XHTML}tr")  # noqa: S314 our own text
    assert next(cell.text for cell in rows[0]) == "เพนิซิลลิน <script>alert(1)</script> & อื่น ๆ"
    assert "<script" not in found["48765-2"]["text"]["div"]
    assert "Metformin 500 mg" in found["10160-0"]["text"]["div"]
    assert "125 mmHg" in found["8716-3"]["text"]["div"]
    types = [one["resource"]["resourceType"] for one in bundle["entry"]]
    assert {"Practitioner", "Medication", "Encounter"} <= set(types)
    require_resolved(bundle)


async def test_the_document_is_valid_by_the_platforms_own_validator(whole, patient):
    await observe(whole, patient)
    bundle = await summary(whole, patient)
    for body in (bundle, *(one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] != "Patient")):
        kept = {name: value for name, value in body.items() if name != "id"}
        answer = await whole.post(f"{FHIR}/{body['resourceType']}/$validate", json=kept)
        issues = answer.json()["issue"]
        # What the document brings itself is filed nowhere, so that its references lead out of the store.
        assert [one for one in issues if one["severity"] == "error" and "not-found" not in one["code"]] == [], body


async def test_one_person_in_two_hospitals_has_one_patient_and_facts_with_their_sources(hospital):
    ours, theirs = await hospital("10661"), await hospital("10662")
    here = (await ours.post(f"{FHIR}/Patient", json=a_patient())).json()["id"]
    there = (await theirs.post(f"{FHIR}/Patient", json=a_patient())).json()["id"]
    await create(
        ours,
        resourceType="AllergyIntolerance",
        clinicalStatus=ACTIVE,
        code={"text": "A"},
        patient={"reference": f"Patient/{here}"},
    )
    await create(
        theirs,
        resourceType="AllergyIntolerance",
        clinicalStatus=ACTIVE,
        code={"text": "B"},
        patient={"reference": f"Patient/{there}"},
    )
    bundle = await summary(ours, here)
    own = [one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == "AllergyIntolerance"]
    assert {one["patient"]["reference"] for one in own} == {f"Patient/{here}"}
    assert len({one["meta"]["source"] for one in own}) == 2
    assert [one["resource"]["resourceType"] for one in bundle["entry"]].count("Patient") == 1
    require_resolved(bundle)


async def test_a_patient_is_named_by_a_number_too_and_other_profiles_are_refused(whole, patient):
    number = a_patient()["identifier"][0]
    query = {"identifier": f"{number['system']}|{number['value']}"}
    assert (await whole.get(f"{FHIR}/Patient/$summary", params=query)).status_code == 200
    assert (await whole.get(f"{FHIR}/Patient/$summary", params={"identifier": "urn:x|none"})).status_code == 404
    assert (await whole.get(f"{FHIR}/Patient/nobody/$summary")).status_code == 404
    refused = await whole.get(f"{FHIR}/Patient/{patient}/$summary?profile=http://example.org/other")
    assert (refused.status_code, refused.json()["issue"][0]["expression"]) == (400, ["profile"])


def test_mistakes_and_what_is_over_stand_in_no_section_and_past_illness_in_its_own():
    medication = {"resourceType": "MedicationRequest", "status": "entered-in-error"}
    stopped = {"resourceType": "MedicationRequest", "status": "stopped"}
    past = {"resourceType": "Condition", "clinicalStatus": {"coding": [{"code": "resolved"}]}}
    found = {one.code: entries(one, [medication, stopped, past]) for one in sections()}
    assert {code for code, inside in found.items() if inside} == {"11348-0"}
