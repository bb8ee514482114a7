"""Operations about a person through the edge and real services, as a client sees them."""

import pytest

from services.edge.fhir.operations.table import OPERATIONS
from tests.services.edge.fhir.stored import a_patient

FHIR = "/fhir/R4"


@pytest.fixture
async def patient(whole):
    answer = await whole.post(f"{FHIR}/Patient", json=a_patient())
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def observe(client, patient, on="2024-05-01", code="718-7", **more):
    body = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": on,
        **more,
    }
    answer = await client.post(f"{FHIR}/Observation", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_everything_of_a_patient_by_get_and_post_with_pages(whole, patient):
    for day in range(1, 5):
        await observe(whole, patient, f"2024-05-0{day}")
    answer = await whole.get(f"{FHIR}/Patient/{patient}/$everything")
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert (bundle["type"], bundle["total"], len(bundle["entry"])) == ("searchset", 5, 5)
    assert bundle["entry"][0]["fullUrl"].endswith(f"/Patient/{patient}")
    posted = {"resourceType": "Parameters", "parameter": [{"name": "_count", "valueInteger": 2}]}
    page = (await whole.post(f"{FHIR}/Patient/{patient}/$everything", json=posted)).json()
    found = [one["fullUrl"] for one in page["entry"]]
    while following := [one["url"] for one in page["link"] if one["relation"] == "next"]:
        page = (await whole.get(following[0])).json()
        found += [one["fullUrl"] for one in page["entry"]]
    assert found == [one["fullUrl"] for one in bundle["entry"]]
    narrowed = (await whole.get(f"{FHIR}/Patient/{patient}/$everything?_type=Observation&start=2024-05-03")).json()
    assert narrowed["total"] == 2


async def test_a_mistaken_parameter_is_named(whole, patient):
    mistakes = (("_typo=1", "_typo"), ("start=yesterday", "start"), ("_count=-1", "_count"), ("_type=Nothing", "_type"))
    for query, named in mistakes:
        answer = await whole.get(f"{FHIR}/Patient/{patient}/$everything?{query}")
        assert answer.status_code == 400
        assert answer.json()["issue"][0]["expression"] == [named]


async def test_who_is_not_there_has_nothing(whole):
    assert (await whole.get(f"{FHIR}/Patient/nobody/$everything")).status_code == 404
    assert (await whole.get(f"{FHIR}/Patient/$everything")).status_code == 404
    assert (await whole.get(f"{FHIR}/Observation/x/$everything")).status_code == 404
    assert (await whole.delete(f"{FHIR}/Patient/x/$everything")).status_code == 405


async def test_the_last_of_each_code(whole, patient):
    await observe(whole, patient, "2024-05-01")
    newest = await observe(whole, patient, "2024-05-02")
    other = await observe(whole, patient, "2024-03-02", code="2345-7")
    found = (await whole.get(f"{FHIR}/Observation/$lastn?patient={patient}")).json()
    assert [one["resource"]["id"] for one in found["entry"]] == [newest["id"], other["id"]]
    parameters = [
        {"name": "subject", "valueReference": {"reference": f"Patient/{patient}"}},
        {"name": "code", "valueCoding": {"system": "http://loinc.org", "code": "718-7"}},
        {"name": "max", "valuePositiveInt": 2},
    ]
    posted = {"resourceType": "Parameters", "parameter": parameters}
    assert (await whole.post(f"{FHIR}/Observation/$lastn", json=posted)).json()["total"] == 2
    assert (await whole.get(f"{FHIR}/Observation/$lastn?code=718-7")).status_code == 400


async def test_labels_are_added_and_taken_away_and_each_change_is_a_version(whole, patient):
    observation = await observe(whole, patient)
    place = f"{FHIR}/Observation/{observation['id']}"
    tag = {"system": "urn:tags", "code": "เร่งด่วน"}
    posted = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [tag]}}]}
    added = await whole.post(f"{place}/$meta-add", json=posted)
    assert added.status_code == 200, added.text
    assert added.json()["parameter"][0]["valueMeta"]["tag"] == [tag]
    again = (await whole.post(f"{place}/$meta-add", json=posted)).json()["parameter"][0]["valueMeta"]
    assert (again["tag"], again["versionId"]) == ([tag], "2")
    assert (await whole.get(f"{place}/$meta")).json()["parameter"][0]["valueMeta"]["tag"] == [tag]
    for level in (f"{FHIR}/Observation/$meta", f"{FHIR}/$meta"):
        assert (await whole.get(level)).json()["parameter"][0]["valueMeta"] == {"tag": [tag]}
    removed = (await whole.post(f"{place}/$meta-delete", json=posted)).json()["parameter"][0]["valueMeta"]
    assert "tag" not in removed
    assert (await whole.get(f"{FHIR}/$meta")).json()["parameter"][0]["valueMeta"] == {}
    wrong = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"source": "me"}}]}
    refused = await whole.post(f"{place}/$meta-add", json=wrong)
    assert (refused.status_code, refused.json()["issue"][0]["expression"]) == (400, ["meta.source"])


async def test_every_operation_of_the_table_stands_in_the_capability_statement(whole):
    rest = (await whole.get(f"{FHIR}/metadata")).json()["rest"][0]
    told = {(one["type"], operation["name"]) for one in rest["resource"] for operation in one["operation"]}
    for operation in OPERATIONS:
        if operation.levels == ("system",):
            assert operation.name in {one["name"] for one in rest["operation"]}
        else:
            assert (operation.type or "Observation", operation.name) in told
