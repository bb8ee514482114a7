"""Through the edge to the real identity, patient index and records: a Patient's way, end to end."""

from tests.services.edge.fhir.stored import HN, a_patient, bundle_of

FHIR_JSON = {"content-type": "application/fhir+json"}


async def test_a_patient_is_registered_filed_found_and_updated(whole):
    created = await whole.post("/fhir/R4/Patient", json=a_patient(), headers=FHIR_JSON)
    assert created.status_code == 201, created.text
    patient = created.json()
    assert created.headers["location"] == f"http://edge.test/fhir/R4/Patient/{patient['id']}/_history/1"
    position = {"nhip-position": created.headers["nhip-position"]}
    registration = await whole.get(f"/v1/registrations/{patient['id']}")
    assert registration.json()["registration"]["localNumber"] == "HN-7"
    again = await whole.post("/fhir/R4/Patient", json=a_patient(gender="female"), headers={**FHIR_JSON, **position})
    assert (again.status_code, again.headers["etag"]) == (200, 'W/"2"')
    put = await whole.put(
        f"/fhir/R4/Patient/{patient['id']}",
        json={**again.json(), "birthDate": "1984-03-01"},
        headers={**FHIR_JSON, "if-match": 'W/"2"'},
    )
    assert (put.status_code, put.headers["etag"]) == (200, 'W/"3"'), put.text
    stale = await whole.put(
        f"/fhir/R4/Patient/{patient['id']}", json=again.json(), headers={**FHIR_JSON, "if-match": 'W/"2"'}
    )
    assert stale.status_code == 412
    found = await whole.get(f"/fhir/R4/Patient?identifier={HN}|HN-7")
    assert [entry["resource"]["birthDate"] for entry in found.json()["entry"]] == ["1984-03-01"]
    history = await whole.get(f"/fhir/R4/Patient/{patient['id']}/_history")
    assert [entry["request"]["method"] for entry in history.json()["entry"]] == ["PUT", "PUT", "POST"]


async def test_an_invalid_patient_leaves_nothing_behind(whole):
    refused = await whole.post("/fhir/R4/Patient", json=a_patient(gender="unsaid"), headers=FHIR_JSON)
    assert refused.status_code == 400
    assert refused.json()["issue"][0]["expression"] == ["Patient.gender"]
    assert (
        await whole.post("/v1/persons:search", json={"organizationId": "10661", "localNumber": "HN-7"})
    ).json() == {}


async def test_a_transaction_under_a_key_goes_once_and_its_patient_is_there_once_in_any_case(whole):
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "weight"},
        "subject": {"reference": "urn:uuid:p"},
    }
    body = bundle_of(
        "transaction",
        {"fullUrl": "urn:uuid:o", "resource": observation, "request": {"method": "POST", "url": "Observation"}},
        {"fullUrl": "urn:uuid:p", "resource": a_patient(), "request": {"method": "POST", "url": "Patient"}},
    )
    key = {**FHIR_JSON, "idempotency-key": "k"}
    first = await whole.post("/fhir/R4", content=body, headers=key)
    assert first.status_code == 200, first.text
    assert [entry["response"]["status"] for entry in first.json()["entry"]] == ["201 Created", "201 Created"]
    patient = first.json()["entry"][1]["response"]["location"].split("/")[-3]
    stored = await whole.get(f"/fhir/R4/Observation?patient={patient}")
    assert stored.json()["entry"][0]["resource"]["subject"]["reference"] == f"Patient/{patient}"
    again = await whole.post("/fhir/R4", content=body, headers=key)
    assert again.json() == first.json()
    second = await whole.post("/fhir/R4", content=body, headers=FHIR_JSON)
    assert second.status_code == 200, second.text
    assert [entry["response"]["status"] for entry in second.json()["entry"]] == ["201 Created", "200 OK"]
    found = await whole.get("/fhir/R4/Patient?_total=accurate")
    assert found.json()["total"] == 1


async def test_matching_finds_the_person_by_the_citizen_id(whole):
    await whole.post("/fhir/R4/Patient", json=a_patient(), headers=FHIR_JSON)
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": a_patient()}]}
    found = await whole.post("/fhir/R4/Patient/$match", json=parameters, headers=FHIR_JSON)
    assert found.status_code == 200, found.text
    assert found.json()["entry"][0]["search"]["extension"][0]["valueCode"] == "certain"
