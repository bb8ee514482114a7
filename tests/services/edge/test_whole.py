"""Through the edge to the real identity, patient index and records: a Patient's way, end to end."""

import json
from base64 import b64encode

from tests.services.edge.conftest import SCOPES
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


PATCH = {"content-type": "application/json-patch+json"}


async def test_a_patch_of_a_patient_changes_the_registration_too(whole):
    created = await whole.post("/fhir/R4/Patient", json=a_patient(), headers=FHIR_JSON)
    patient, at = created.json(), {"nhip-position": created.headers["nhip-position"]}
    patch = [{"op": "replace", "path": "/birthDate", "value": "1984-02-28"}]
    url = f"/fhir/R4/Patient/{patient['id']}"
    patched = await whole.patch(url, json=patch, headers={**PATCH, **at, "if-match": 'W/"1"'})
    assert (patched.status_code, patched.json()["birthDate"]) == (200, "1984-02-28"), patched.text
    registration = await whole.get(f"/v1/registrations/{patient['id']}")
    assert registration.json()["registration"]["birthDate"] == "1984-02-28"
    stale = await whole.patch(url, json=patch, headers={**PATCH, **at, "if-match": 'W/"1"'})
    assert stale.status_code == 412
    failed = await whole.patch(url, json=[{"op": "test", "path": "/gender", "value": "x"}], headers={**PATCH, **at})
    assert (failed.status_code, failed.json()["issue"][0]["expression"]) == (422, ["Patient.operation[0].value"])
    query = f"identifier={HN}|HN-7"
    updated = await whole.put(f"/fhir/R4/Patient?{query}", json=a_patient(gender="female"), headers={**FHIR_JSON, **at})
    assert (updated.status_code, updated.json()["gender"], updated.json()["id"]) == (200, "female", patient["id"])
    gone = await whole.delete(f"/fhir/R4/Patient?{query}", headers=at)
    assert gone.status_code == 204
    assert (await whole.get(url)).status_code == 410
    history = (await whole.get("/fhir/R4/_history", headers=at)).json()
    assert [one["request"]["method"] for one in history["entry"]] == ["DELETE", "PUT", "PUT", "POST"]


async def test_a_transaction_patches_searches_and_reads_what_it_wrote(whole):
    created = await whole.post("/fhir/R4/Patient", json=a_patient(), headers=FHIR_JSON)
    patient, at = created.json(), {"nhip-position": created.headers["nhip-position"]}
    finding = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": f"http://edge.test/fhir/R4/Patient/{patient['id']}"},
    }
    patch = [{"op": "replace", "path": "/gender", "value": "female"}]
    binary = {
        "resourceType": "Binary",
        "contentType": PATCH["content-type"],
        "data": b64encode(json.dumps(patch).encode()).decode(),
    }
    entries = [
        {"request": {"method": "GET", "url": f"Observation?patient={patient['id']}"}},
        {"request": {"method": "PATCH", "url": f"Patient/{patient['id']}"}, "resource": binary},
        {"request": {"method": "POST", "url": "Observation"}, "resource": finding},
        {"request": {"method": "GET", "url": f"Patient/{patient['id']}"}},
        {"request": {"method": "HEAD", "url": f"Patient/{patient['id']}"}},
    ]
    done = await whole.post("/fhir/R4", content=bundle_of("transaction", *entries), headers={**FHIR_JSON, **at})
    assert done.status_code == 200, done.text
    found, patched, made, read, head = done.json()["entry"]
    assert found["resource"]["entry"][0]["resource"]["subject"]["reference"] == f"Patient/{patient['id']}"
    assert [one["response"]["status"][:3] for one in (found, patched, made, read, head)] == [
        "200",
        "200",
        "201",
        "200",
        "200",
    ]
    assert (read["resource"]["gender"], "resource" in head) == ("female", False)
    entries[0]["request"]["url"] = "Observation?colour=red"
    refused = await whole.post("/fhir/R4", content=bundle_of("transaction", *entries), headers={**FHIR_JSON, **at})
    assert (refused.status_code, refused.json()["issue"][0]["expression"]) == (400, ["Bundle.entry[0].request.url"])
    entries[0]["request"]["url"] = "Observation?status=final"
    finding["status"] = "done"
    refused = await whole.post("/fhir/R4", content=bundle_of("transaction", *entries), headers={**FHIR_JSON, **at})
    assert (refused.status_code, refused.json()["issue"][0]["expression"]) == (400, ["Bundle.entry[2].resource.status"])
    assert len((await whole.get("/fhir/R4/Observation", headers=at)).json()["entry"]) == 1


async def test_a_merge_is_tried_made_explained_and_taken_back_through_the_edge(hospital):
    whole = await hospital("10661", f"{SCOPES} registrations.link")
    first = (await whole.post("/fhir/R4/Patient", json=a_patient(), headers=FHIR_JSON)).json()["id"]
    other = await hospital("11042")
    body = {"localNumber": "9", "organizationId": "11042", "birthDate": "1950-01-01", "sex": "SEX_FEMALE"}
    second = (await other.post("/v1/registrations", json=body)).json()["registration"]
    person = (await whole.get(f"/v1/registrations/{first}")).json()["registration"]["personId"]
    merge = f"/v1/persons/{person}:merge"
    words = {"fromPersonId": second["personId"], "reason": "one card"}
    tried = (await whole.post(merge, json={**words, "validateOnly": True})).json()
    assert [one["registrationId"] for one in tried["moves"]] == [second["registrationId"]]
    # Claims and surveillance are not up here: they are named, and nothing is guessed.
    assert tried["consequences"]["unanswered"] == ["claims", "surveillance"]
    assert len((await whole.get(f"/v1/persons/{person}")).json()["person"]["registrations"]) == 1
    made = (await whole.post(merge, json=words)).json()
    assert len((await whole.get(f"/v1/persons/{person}")).json()["person"]["registrations"]) == 2
    picture = await whole.get(
        f"/v1/registrations/{first}/explanations/{second['registrationId']}/waterfall?language=LANGUAGE_TH"
    )
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/svg+xml"), picture.text
    assert picture.text.startswith("<svg")
    assert "วันเกิด" in picture.text
    found = (await whole.get(f"/v1/persons/{person}/facilities")).json()["facilities"]
    assert {one["organizationId"] for one in found} == {"10661", "11042"}
    view = (await whole.get(f"/v1/persons/{person}/golden")).json()["view"]
    assert {one["field"] for one in view["sources"]} >= {"birth_date", "sex"}
    revert = await whole.post(f"/v1/decisions/{made['decisions'][0]['decisionId']}:revert", json={"reason": "a slip"})
    assert revert.status_code == 200, revert.text
    assert len((await whole.get(f"/v1/persons/{person}")).json()["person"]["registrations"]) == 1


def an_observation(patient: str) -> dict:
    code = {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": code,
        "subject": {"reference": f"Patient/{patient}"},
    }


async def test_records_follow_a_merge_a_split_and_an_unlink_by_the_feed_alone(hospital):
    whole = await hospital("10661", f"{SCOPES} registrations.link")
    other = await hospital("11042")
    first = (await whole.post("/fhir/R4/Patient", json=a_patient(), headers=FHIR_JSON)).json()["id"]
    stranger = {
        "resourceType": "Patient",
        "identifier": [{"system": "https://terms.sil-th.org/hcode/5/11042/HN", "value": "9"}],
        "gender": "female",
        "birthDate": "1950-01-01",
    }
    created = await other.post("/fhir/R4/Patient", json=stranger, headers=FHIR_JSON)
    second = created.json()["id"]
    filed = await other.post("/fhir/R4/Observation", json=an_observation(second), headers=FHIR_JSON)
    assert filed.status_code == 201, filed.text

    async def person_of(registration: str) -> str:
        return (await whole.get(f"/v1/registrations/{registration}")).json()["registration"]["personId"]

    async def decide(path: str, **words) -> dict:
        answer = await whole.post(path, json={"reason": "told so", **words})
        assert answer.status_code == 200, answer.text
        return {"nhip-position": answer.headers["nhip-position"]}

    async def seen(position: dict) -> int:
        """How many observations the first hospital finds of its patient, once records has followed so far."""
        found = await whole.get(f"/fhir/R4/Observation?patient={first}&_total=accurate", headers=position)
        assert found.status_code == 200, found.text
        return found.json()["total"]

    one, two = await person_of(first), await person_of(second)
    assert await seen({}) == 0
    assert await seen(await decide(f"/v1/persons/{one}:merge", fromPersonId=two)) == 1
    assert await seen(await decide(f"/v1/persons/{one}:split", groups=[{"registrationIds": [second]}])) == 0
    apart = await person_of(second)
    assert await seen(await decide(f"/v1/registrations/{second}:link", personId=one)) == 1
    assert await seen(await decide(f"/v1/registrations/{second}:unlink")) == 0
    assert await person_of(second) == apart
