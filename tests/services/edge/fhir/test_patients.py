"""A Patient's way: registered first, then filed; and what the index is told of it."""

import orjson
import pytest
from nhip.patient_index.v1 import resources_pb2 as patient_index_resources_pb2
from nhip.patient_index.v1 import service_pb2 as patient_index_pb2
from nhip.records.v1 import resources_pb2, service_pb2
from nhip.types.v1 import types_pb2

from libs.errors import (
    AbortedError,
    AlreadyExistsError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)
from services.edge.fhir import patient
from tests.services.edge.fhir.stored import CID, CITIZEN, HN, a_patient, registered, stored

FHIR_JSON = {"content-type": "application/fhir+json"}
CREATED = service_pb2.CreateResourceResponse(
    resource=stored("Patient", "r1"), outcome=resources_pb2.WRITE_OUTCOME_CREATED
)


@pytest.fixture
def index(platform):
    platform.answers["patient_index.Register"] = registered()
    platform.positions["patient_index.Register"] = "patient_index/registrations@4.4"
    platform.answers["records.CreateResource"] = CREATED
    return platform


async def test_a_patient_is_checked_registered_and_then_filed_under_the_registration(edge, index, authorization):
    body = orjson.dumps(a_patient())
    answer = await edge.client.post("/fhir/R4/Patient", content=body, headers={**FHIR_JSON, **authorization})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == "http://edge.test/fhir/R4/Patient/r1/_history/1"
    assert index.labels == ["records.CreateResource", "patient_index.Register", "records.CreateResource"]
    (written,) = index.called("patient_index.Register")
    assert not written.validate_only
    checked, filed = index.called("records.CreateResource")
    assert (checked.validate_only, filed.validate_only) == (True, False)
    assert checked.id not in {"", "r1"}
    assert (filed.id, filed.body) == ("r1", body)
    assert index.calls[-1].metadata["nhip-position"] == "patient_index/registrations@4.4"
    assert answer.headers["nhip-position"] == "patient_index/registrations@4.4"


async def test_a_registration_carries_what_the_patient_says(edge, index, authorization):
    document = a_patient(telecom=[{"system": "phone", "value": "0812345678"}])
    await edge.client.post("/fhir/R4/Patient", json=document, headers={**FHIR_JSON, **authorization})
    assert index.called("patient_index.Register")[0].registration == patient_index_resources_pb2.Registration(
        organization_id="10661",
        local_number="HN-7",
        identifiers=[types_pb2.Identifier(system=CID, value=CITIZEN)],
        names=[types_pb2.PersonName(language="th", prefix="นาย", given="สมชาย", family="ใจดี")],
        sex=types_pb2.SEX_MALE,
        birth_date="1984-02-29",
        phone="0812345678",
    )


async def test_an_invalid_patient_leaves_no_registration_behind(edge, index, authorization):
    index.answers["records.CreateResource"] = InvalidArgumentError("RESOURCE_INVALID", "m")
    answer = await edge.client.post("/fhir/R4/Patient", json=a_patient(), headers={**FHIR_JSON, **authorization})
    assert answer.status_code == 400
    assert not index.called("patient_index.Register")


async def test_what_the_index_refuses_is_not_filed(edge, index, authorization):
    index.answers["patient_index.Register"] = InvalidArgumentError("FIELD_INVALID", "m")
    answer = await edge.client.post("/fhir/R4/Patient", json=a_patient(), headers={**FHIR_JSON, **authorization})
    assert answer.status_code == 400
    assert [one.validate_only for one in index.called("records.CreateResource")] == [True]


async def test_creating_what_is_filed_already_updates_it(edge, index, authorization):
    index.answers["records.CreateResource"] = [CREATED, AlreadyExistsError("RESOURCE_EXISTS", "m")]
    index.answers["records.UpdateResource"] = service_pb2.UpdateResourceResponse(resource=stored("Patient", "r1", 2))
    body = b'{"resourceType":"Patient" , "id":"mine","identifier":[{"system":"%b","value":"HN-7"}]}' % HN.encode()
    answer = await edge.client.post("/fhir/R4/Patient", content=body, headers={**FHIR_JSON, **authorization})
    assert answer.status_code == 200
    assert answer.headers["location"] == "http://edge.test/fhir/R4/Patient/r1/_history/2"
    (update,) = index.called("records.UpdateResource")
    assert (update.id, update.body) == ("r1", body.replace(b'"mine"', b'"r1"'))


async def test_a_conditional_create_that_matches_registers_nobody(edge, index, authorization):
    index.answers["records.CreateResource"] = service_pb2.CreateResourceResponse(
        resource=stored("Patient", "r9", 3), outcome=resources_pb2.WRITE_OUTCOME_UNCHANGED
    )
    headers = {**FHIR_JSON, **authorization, "if-none-exist": f"identifier={CID}|{CITIZEN}"}
    answer = await edge.client.post("/fhir/R4/Patient", json=a_patient(), headers=headers)
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"3"')
    assert not index.called("patient_index.Register")


async def test_a_patient_without_a_token_is_refused(edge, index):
    answer = await edge.client.post("/fhir/R4/Patient", json=a_patient(), headers=FHIR_JSON)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="nhip"'
    assert not index.calls


@pytest.mark.parametrize("token", ["x", "a.b.c", "e30.W10.c", "e30.bnVsbA.c", "a.eyJvcmciOjd9.c", "é"])
async def test_a_strange_token_is_left_to_the_index_to_refuse(edge, index, token):
    index.answers["patient_index.Register"] = PermissionDeniedError("SCOPE_MISSING", "m")
    headers = {**FHIR_JSON, "authorization": b"Bearer " + token.encode()}
    answer = await edge.client.post("/fhir/R4/Patient", json=a_patient(), headers=headers)
    assert answer.status_code in {400, 403}


async def test_a_patient_without_any_number_is_refused_by_name(edge, index, authorization):
    answer = await edge.client.post(
        "/fhir/R4/Patient", json=a_patient(identifier=[]), headers={**FHIR_JSON, **authorization}
    )
    assert answer.status_code == 400
    (issue,) = answer.json()["issue"]
    assert (issue["details"]["coding"][0]["code"], issue["expression"]) == (
        "LOCAL_NUMBER_MISSING",
        ["Patient.identifier"],
    )


async def test_a_patient_is_updated_after_both_have_checked_it(edge, index, authorization):
    index.answers["records.UpdateResource"] = service_pb2.UpdateResourceResponse(resource=stored("Patient", "r1", 2))
    body = orjson.dumps(a_patient(id="r1"))
    headers = {**FHIR_JSON, **authorization, "if-match": 'W/"1"'}
    answer = await edge.client.put("/fhir/R4/Patient/r1", content=body, headers=headers)
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    assert index.labels == [
        *("records.ExecuteTransaction", "patient_index.Register", "patient_index.Register", "records.UpdateResource")
    ]
    (trial,) = index.called("records.ExecuteTransaction")
    assert trial == service_pb2.ExecuteTransactionRequest(
        entries=[{"method": "PUT", "url": "Patient/r1", "body": body, "if_match": 1}], validate_only=True
    )


async def test_a_patient_with_another_ones_number_is_not_written_over(edge, index, authorization):
    answer = await edge.client.put(
        "/fhir/R4/Patient/r2", json=a_patient(id="r2"), headers={**FHIR_JSON, **authorization}
    )
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "REGISTRATION_MISMATCH"
    assert [request.validate_only for request in index.called("patient_index.Register")] == [True]
    assert not index.called("records.UpdateResource")


async def test_a_refused_update_of_a_patient_names_the_place_in_the_patient_and_registers_nothing(
    edge, index, authorization
):
    violation = FieldViolation("Bundle.entry[0].resource.birthDate", "DATE_INVALID", "no such day")
    index.answers["records.ExecuteTransaction"] = InvalidArgumentError("RESOURCE_INVALID", "m", fields=[violation])
    headers = {**FHIR_JSON, **authorization}
    answer = await edge.client.put("/fhir/R4/Patient/r1", json=a_patient(id="r1"), headers=headers)
    assert answer.json()["issue"][0]["expression"] == ["Patient.birthDate"]
    index.answers["records.ExecuteTransaction"] = NotFoundError("RESOURCE_UNKNOWN", "m")
    answer = await edge.client.put("/fhir/R4/Patient/r1", json=a_patient(id="r1"), headers=headers)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert not index.called("patient_index.Register")


async def test_a_create_again_under_its_key_is_answered_as_before(edge, index, authorization):
    headers = {**FHIR_JSON, **authorization, "idempotency-key": "k"}
    answer = await edge.client.post("/fhir/R4/Patient", json=a_patient(), headers=headers)
    assert answer.status_code == 201
    assert [request.request_id for request in index.called("records.CreateResource")] == ["", "k"]
    assert not index.called("records.UpdateResource")


async def test_an_update_again_under_its_key_is_not_held_against_itself(edge, index, authorization):
    index.answers["records.ExecuteTransaction"] = AbortedError("VERSION_CONFLICT", "m")
    index.answers["records.UpdateResource"] = service_pb2.UpdateResourceResponse(resource=stored("Patient", "r1", 2))
    headers = {**FHIR_JSON, **authorization, "if-match": 'W/"1"', "idempotency-key": "k"}
    answer = await edge.client.put("/fhir/R4/Patient/r1", json=a_patient(id="r1"), headers=headers)
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    index.answers["records.UpdateResource"] = AbortedError("VERSION_CONFLICT", "m")
    answer = await edge.client.put("/fhir/R4/Patient/r1", json=a_patient(id="r1"), headers=headers)
    assert answer.status_code == 412
    assert all(request.validate_only for request in index.called("patient_index.Register"))


async def test_matching_answers_candidates_with_scores(edge, authorization):
    found = patient.to_registration(a_patient(), "10661")
    found.registration_id = "r1"
    edge.platform.answers["patient_index.Match"] = patient_index_pb2.MatchResponse(
        candidates=[{"registration": found, "grade": 1, "probability": 0.9987654321}, {"grade": 3, "probability": 0.2}]
    )
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "resource", "resource": a_patient()},
            {"name": "count", "valueInteger": 3},
            {"name": "onlyCertainMatches", "valueBoolean": True},
        ],
    }
    answer = await edge.client.post("/fhir/R4/Patient/$match", json=body, headers={**FHIR_JSON, **authorization})
    bundle = answer.json()
    assert (bundle["type"], bundle["total"]) == ("searchset", 2)
    first, second = bundle["entry"]
    assert first["fullUrl"] == "http://edge.test/fhir/R4/Patient/r1"
    assert first["search"]["score"] == 0.998765
    assert first["search"]["extension"][0]["valueCode"] == "certain"
    assert second["search"]["extension"][0]["valueCode"] == "possible"
    assert first["resource"]["identifier"] == [{"system": HN, "value": "HN-7"}, {"system": CID, "value": CITIZEN}]
    assert first["resource"]["name"][0]["family"] == "ใจดี"
    (request,) = edge.platform.called("patient_index.Match")
    assert (request.limit, request.only_certain) == (3, True)
    assert [number.system for number in request.registration.identifiers] == [HN, CID]


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "Patient"},
        {"resourceType": "Parameters"},
        {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": {"resourceType": "Group"}}]},
        {
            "resourceType": "Parameters",
            "parameter": [{"name": "resource", "resource": a_patient()}, {"name": "count", "valueInteger": -1}],
        },
        {
            "resourceType": "Parameters",
            "parameter": [{"name": "resource", "resource": a_patient()}, {"name": "resource", "resource": a_patient()}],
        },
    ],
)
async def test_a_wrong_match_is_refused(edge, body):
    answer = await edge.client.post("/fhir/R4/Patient/$match", json=body, headers=FHIR_JSON)
    assert answer.status_code == 400
    assert not edge.platform.calls
