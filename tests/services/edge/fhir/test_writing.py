"""create, update and delete over the wire: https://hl7.org/fhir/R4/http.html#create."""

import pytest
from nhip.records.v1 import resources_pb2, service_pb2

from libs.errors import AbortedError, NotFoundError
from tests.services.edge.fhir.stored import stored

FHIR_JSON = {"content-type": "application/fhir+json"}
BODY = b'{"resourceType":"Observation", "valueQuantity":{"value": 1.10}}'
BASE = "http://edge.test/fhir/R4"
LAST_MODIFIED = "Thu, 01 Jan 2026 00:00:00 GMT"


async def test_a_create_sends_the_bytes_and_says_where_it_went(edge):
    response = service_pb2.CreateResourceResponse(resource=stored(), outcome=resources_pb2.WRITE_OUTCOME_CREATED)
    edge.platform.answers["records.CreateResource"] = response
    edge.platform.positions["records.CreateResource"] = "records/records@5.1"
    headers = {**FHIR_JSON, "if-none-exist": "identifier=a|b", "idempotency-key": "k1"}
    answer = await edge.client.post("/fhir/R4/Observation", content=BODY, headers=headers)
    assert (answer.status_code, answer.content) == (201, stored().body)
    assert answer.headers["location"] == "http://edge.test/fhir/R4/Observation/o1/_history/1"
    assert (answer.headers["etag"], answer.headers["last-modified"]) == ('W/"1"', LAST_MODIFIED)
    assert answer.headers["nhip-position"] == "records/records@5.1"
    (request,) = edge.platform.called("records.CreateResource")
    assert request == service_pb2.CreateResourceRequest(
        type="Observation", body=BODY, if_none_exist="identifier=a|b", request_id="k1", base_url=BASE
    )


async def test_a_condition_in_the_url_of_a_create_is_not_lost(edge):
    await edge.client.post("/fhir/R4/Observation?identifier=a|b&_format=json", content=BODY, headers=FHIR_JSON)
    (request,) = edge.platform.called("records.CreateResource")
    assert request.if_none_exist == "identifier=a%7Cb"


@pytest.mark.parametrize("before", ["", "?", "Observation?", f"{BASE}/Observation?"])
async def test_a_condition_may_name_the_type_before_it(edge, before):
    headers = {**FHIR_JSON, "if-none-exist": f"{before}identifier=a|b?c"}
    await edge.client.post("/fhir/R4/Observation", content=BODY, headers=headers)
    (request,) = edge.platform.called("records.CreateResource")
    assert request.if_none_exist == "identifier=a|b?c"


async def test_a_create_that_matches_one_answers_200(edge):
    response = service_pb2.CreateResourceResponse(resource=stored(), outcome=resources_pb2.WRITE_OUTCOME_UNCHANGED)
    edge.platform.answers["records.CreateResource"] = response
    answer = await edge.client.post("/fhir/R4/Observation", content=BODY, headers=FHIR_JSON)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        ("return=minimal", b""),
        ("return=representation", stored().body),
        ("respond-async; return=minimal", b""),
        ("", stored().body),
    ],
)
async def test_prefer_decides_what_a_write_answers(edge, prefer, expected):
    response = service_pb2.CreateResourceResponse(resource=stored(), outcome=resources_pb2.WRITE_OUTCOME_CREATED)
    edge.platform.answers["records.CreateResource"] = response
    answer = await edge.client.post("/fhir/R4/Observation", content=BODY, headers={**FHIR_JSON, "prefer": prefer})
    assert (answer.status_code, answer.content) == (201, expected)
    answer = await edge.client.post(
        "/fhir/R4/Observation", content=BODY, headers={**FHIR_JSON, "prefer": "return=OperationOutcome"}
    )
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "reason"),
    [
        ("Observation", b'{"resourceType":"Patient"}', FHIR_JSON, 400, "TYPE_MISMATCH"),
        ("Observation", b'{"resourceType":"Observation"', FHIR_JSON, 400, "JSON_MALFORMED"),
        ("Observation", b'{"a":1,"a":2}', FHIR_JSON, 400, "JSON_DUPLICATE_KEY"),
        ("Observation", b"7", FHIR_JSON, 400, "JSON_MALFORMED"),
        ("Observation", b"", FHIR_JSON, 400, "JSON_MALFORMED"),
        ("Observation", BODY, {"content-type": "application/xml"}, 400, "XML_MALFORMED"),
        ("Observation", BODY, {"content-type": "text/csv"}, 415, "CONTENT_TYPE_UNSUPPORTED"),
        (
            "Observation",
            BODY,
            {"content-type": "application/fhir+json; fhirVersion=5.0"},
            415,
            "CONTENT_TYPE_UNSUPPORTED",
        ),
        ("Observation", BODY, {"content-type": "application/json; charset=tis-620"}, 415, "CONTENT_TYPE_UNSUPPORTED"),
        ("Observation", BODY, {}, 415, "CONTENT_TYPE_UNSUPPORTED"),
        ("Observatory", BODY, FHIR_JSON, 404, "TYPE_UNKNOWN"),
        ("Observation/_sideways", BODY, FHIR_JSON, 404, "INTERACTION_UNKNOWN"),
        ("Observation/o1", BODY, FHIR_JSON, 405, "METHOD_NOT_ALLOWED"),
        ("metadata", BODY, FHIR_JSON, 405, "METHOD_NOT_ALLOWED"),
        ("Observation/$match", BODY, FHIR_JSON, 404, "INTERACTION_UNKNOWN"),
        ("", b'{"resourceType":"Bundle","type":"document"}', FHIR_JSON, 400, "BUNDLE_INVALID"),
    ],
)
async def test_a_wrong_post_is_refused_with_an_outcome(edge, path, body, headers, status, reason):
    answer = await edge.client.post(f"/fhir/R4/{path}", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == reason
    assert not edge.platform.calls


async def test_an_update_goes_over_the_version_that_was_read(edge):
    response = service_pb2.UpdateResourceResponse(
        resource=stored(version=4), outcome=resources_pb2.WRITE_OUTCOME_UPDATED
    )
    edge.platform.answers["records.UpdateResource"] = response
    body = b'{"resourceType":"Observation","id":"o1"}'
    answer = await edge.client.put("/fhir/R4/Observation/o1", content=body, headers={**FHIR_JSON, "if-match": 'W/"3"'})
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"4"')
    assert answer.headers["content-location"] == f"{BASE}/Observation/o1/_history/4"
    (request,) = edge.platform.called("records.UpdateResource")
    assert request == service_pb2.UpdateResourceRequest(
        type="Observation", id="o1", body=body, if_match=3, base_url=BASE
    )


async def test_an_update_over_another_version_fails_its_precondition(edge):
    edge.platform.answers["records.UpdateResource"] = AbortedError("VERSION_CONFLICT", "m")
    body = b'{"resourceType":"Observation","id":"o1"}'
    answer = await edge.client.put("/fhir/R4/Observation/o1", content=body, headers={**FHIR_JSON, "if-match": '"3"'})
    assert answer.status_code == 412


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b'{"resourceType":"Observation","id":"o2"}', {}, "ID_MISMATCH"),
        (b'{"resourceType":"Observation"}', {}, "ID_MISMATCH"),
        (b'{"resourceType":"Observation","id":"o1"}', {"if-match": "three"}, "ETAG_MALFORMED"),
    ],
)
async def test_a_wrong_update_never_reaches_records(edge, body, headers, reason):
    answer = await edge.client.put("/fhir/R4/Observation/o1", content=body, headers={**FHIR_JSON, **headers})
    assert (answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]) == (400, reason)
    assert not edge.platform.calls


async def test_what_is_not_there_is_deleted_unless_a_version_of_it_is_meant(edge):
    edge.platform.answers["records.DeleteResource"] = NotFoundError("RESOURCE_UNKNOWN", "m")
    answer = await edge.client.delete("/fhir/R4/Observation/o1")
    assert (answer.status_code, answer.content, "etag" in answer.headers) == (204, b"", False)
    told = await edge.client.delete("/fhir/R4/Observation/o1", headers={"prefer": "return=OperationOutcome"})
    assert (told.status_code, told.json()["issue"][0]["diagnostics"]) == (200, "there was nothing to delete")
    held = await edge.client.delete("/fhir/R4/Observation/o1", headers={"if-match": 'W/"4"'})
    assert held.status_code == 404


async def test_a_delete_answers_nothing_or_an_outcome(edge):
    edge.platform.answers["records.DeleteResource"] = service_pb2.DeleteResourceResponse(version=5)
    answer = await edge.client.delete("/fhir/R4/Observation/o1", headers={"if-match": 'W/"4"'})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (204, b"", 'W/"5"')
    assert edge.platform.called("records.DeleteResource")[0].if_match == 4
    answer = await edge.client.delete("/fhir/R4/Observation/o1", headers={"prefer": "return=OperationOutcome"})
    assert (answer.status_code, answer.json()["resourceType"]) == (200, "OperationOutcome")
