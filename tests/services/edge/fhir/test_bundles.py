"""transaction and batch."""

import orjson
import pytest
from nhip.patient_index.v1 import service_pb2 as patient_index_pb2
from nhip.records.v1 import resources_pb2, service_pb2

from libs.errors import AlreadyExistsError, FailedPreconditionError, FieldViolation, InvalidArgumentError, NotFoundError
from tests.services.edge.fhir.stored import a_patient, bundle_of, registered, stored

FHIR_JSON = {"content-type": "application/fhir+json"}
OUTCOME = resources_pb2.WriteOutcome


def _post(resource, full_url="urn:uuid:1", **request):
    return {
        "fullUrl": full_url,
        "resource": resource,
        "request": {"method": "POST", "url": resource["resourceType"], **request},
    }


def _all_created(request):
    return service_pb2.ExecuteTransactionResponse(
        results=[
            service_pb2.TransactionResult(
                outcome=OUTCOME.WRITE_OUTCOME_CREATED, resource=stored(entry.url.split("/")[0], f"x{index}")
            )
            for index, entry in enumerate(request.entries)
        ]
    )


async def test_a_transaction_goes_on_entry_by_entry_with_the_bytes_as_they_were(edge, authorization):
    edge.platform.answers["records.ExecuteTransaction"] = service_pb2.ExecuteTransactionResponse(
        results=[
            {"outcome": OUTCOME.WRITE_OUTCOME_CREATED, "resource": stored()},
            {"outcome": OUTCOME.WRITE_OUTCOME_UPDATED, "resource": stored("Condition", "c1", 2)},
            {"outcome": OUTCOME.WRITE_OUTCOME_DELETED, "resource": stored("Condition", "c2", 3, b"")},
            {"resource": stored("Encounter", "e1")},
        ]
    )
    resource = b'{"resourceType":"Observation", "valueQuantity" : {"value": 1.10}}'
    body = (
        b'{"resourceType":"Bundle","type":"transaction", "entry" : [ {"fullUrl":"urn:uuid:1","resource": %b ,'
        b'"request":{"method":"POST","url":"Observation","ifNoneExist":"?code=a"}},'
        b'{"resource":{"resourceType":"Condition","id":"c1"},"request":{"method":"PUT","url":"http://edge.test/fhir/R4/Condition/c1","ifMatch":"W/\\"1\\""}},'
        b'{"request":{"method":"DELETE","url":"/Condition/c2"}},{"request":{"method":"GET","url":"Encounter/e1"}}]}'
    ) % resource
    headers = {**FHIR_JSON, **authorization, "idempotency-key": "k"}
    answer = await edge.client.post("/fhir/R4", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    (request,) = edge.platform.called("records.ExecuteTransaction")
    assert request == service_pb2.ExecuteTransactionRequest(
        request_id="k",
        base_url="http://edge.test/fhir/R4",
        entries=[
            {
                "full_url": "urn:uuid:1",
                "method": "POST",
                "url": "Observation",
                "body": resource,
                "if_none_exist": "code=a",
            },
            {"method": "PUT", "url": "Condition/c1", "body": b'{"resourceType":"Condition","id":"c1"}', "if_match": 1},
            {"method": "DELETE", "url": "Condition/c2"},
            {"method": "GET", "url": "Encounter/e1"},
        ],
    )
    bundle = answer.json()
    assert bundle["type"] == "transaction-response"
    assert [entry["response"]["status"] for entry in bundle["entry"]] == [
        "201 Created",
        "200 OK",
        "204 No Content",
        "200 OK",
    ]
    first = bundle["entry"][0]
    assert first["response"]["location"] == "http://edge.test/fhir/R4/Observation/o1/_history/1"
    assert first["response"]["etag"] == 'W/"1"'
    assert ["resource" in entry for entry in bundle["entry"]] == [False, False, False, True]


async def test_prefer_representation_shows_what_was_written(edge, authorization):
    edge.platform.answers["records.ExecuteTransaction"] = _all_created
    body = bundle_of("transaction", _post({"resourceType": "Observation"}))
    headers = {**FHIR_JSON, **authorization, "prefer": "return=representation"}
    answer = await edge.client.post("/fhir/R4/", content=body, headers=headers)
    assert answer.json()["entry"][0]["resource"]["resourceType"] == "Observation"


async def test_patients_of_a_transaction_are_checked_registered_and_then_stored_in_one(edge, authorization):
    platform = edge.platform
    platform.answers["patient_index.Register"] = registered("r1")
    platform.answers["patient_index.BatchRegister"] = patient_index_pb2.BatchRegisterResponse(
        results=[{"registration_id": "r1", "person_id": "p1", "outcome": 1}]
    )
    platform.positions["patient_index.BatchRegister"] = "patient_index/registrations@8.8"
    platform.answers["records.ExecuteTransaction"] = _all_created
    body = bundle_of("transaction", _post({"resourceType": "Observation"}), _post(a_patient(), "urn:uuid:2"))
    answer = await edge.client.post("/fhir/R4", content=body, headers={**FHIR_JSON, **authorization})
    assert answer.status_code == 200, answer.text
    assert platform.labels == [
        *(
            "patient_index.Register",
            "records.ExecuteTransaction",
            "patient_index.BatchRegister",
            "records.ExecuteTransaction",
        )
    ]
    assert platform.called("patient_index.Register")[0].validate_only
    trial, written = platform.called("records.ExecuteTransaction")
    assert (trial.validate_only, written.validate_only) == (True, False)
    assert [entry.id for entry in written.entries] == ["", "r1"]
    assert platform.called("patient_index.BatchRegister")[0].registrations[0].local_number == "HN-7"
    assert platform.calls[-1].metadata["nhip-position"] == "patient_index/registrations@8.8"


async def test_a_transaction_that_records_refuse_registers_nobody(edge, authorization):
    platform = edge.platform
    platform.answers["patient_index.Register"] = registered("r1")
    violation = FieldViolation("Bundle.entry[1].resource.medication", "ALLERGY_CONFLICT", "a known allergy")
    platform.answers["records.ExecuteTransaction"] = FailedPreconditionError(
        "ALLERGY_CONFLICT", "m", fields=[violation]
    )
    body = bundle_of("transaction", _post(a_patient()), _post({"resourceType": "MedicationRequest"}))
    answer = await edge.client.post("/fhir/R4", content=body, headers={**FHIR_JSON, **authorization})
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1].resource.medication"]
    assert not platform.called("patient_index.BatchRegister")
    assert len(platform.called("records.ExecuteTransaction")) == 1


async def test_a_patient_that_the_index_refuses_is_named_by_its_entry(edge, authorization):
    violation = FieldViolation("registration.identifiers[0].value", "CITIZEN_ID_INVALID", "check digit")
    error = InvalidArgumentError("CITIZEN_ID_INVALID", "m", fields=[violation])
    edge.platform.answers["patient_index.Register"] = error
    body = bundle_of("transaction", _post({"resourceType": "Observation"}), _post(a_patient()))
    answer = await edge.client.post("/fhir/R4", content=body, headers={**FHIR_JSON, **authorization})
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1].resource.identifier"]
    assert not edge.platform.called("records.ExecuteTransaction")


async def test_a_patient_that_is_filed_already_is_updated_by_the_transaction(edge, authorization):
    platform = edge.platform
    platform.answers["patient_index.Register"] = registered("r1")
    platform.answers["patient_index.BatchRegister"] = patient_index_pb2.BatchRegisterResponse(results=[{}])
    exists = AlreadyExistsError(
        "RESOURCE_EXISTS", "m", fields=[FieldViolation("Bundle.entry[0].resource", "RESOURCE_EXISTS", "")]
    )
    platform.answers["records.ExecuteTransaction"] = [exists, service_pb2.ExecuteTransactionResponse(), _all_created]
    body = bundle_of("transaction", _post(a_patient()), _post({"resourceType": "Observation"}, "urn:uuid:2"))
    answer = await edge.client.post("/fhir/R4", content=body, headers={**FHIR_JSON, **authorization})
    assert answer.status_code == 200, answer.text
    refused, trial, written = platform.called("records.ExecuteTransaction")
    assert refused.entries[0].method == "POST"
    for request in (trial, written):
        entry = request.entries[0]
        assert (entry.method, entry.url, entry.id, entry.full_url) == ("PUT", "Patient/r1", "", "urn:uuid:1")
        assert orjson.loads(entry.body) == a_patient(id="r1")
        assert request.entries[1].method == "POST"


async def test_a_known_patient_is_first_taken_for_filed_and_otherwise_created(edge, authorization):
    platform = edge.platform
    platform.answers["patient_index.Register"] = registered(
        "r1", outcome=patient_index_pb2.REGISTRATION_OUTCOME_UNCHANGED
    )
    platform.answers["patient_index.BatchRegister"] = patient_index_pb2.BatchRegisterResponse(results=[{}])
    unknown = NotFoundError(
        "RESOURCE_UNKNOWN", "m", fields=[FieldViolation("Bundle.entry[0].resource", "not-found", "")]
    )
    platform.answers["records.ExecuteTransaction"] = [unknown, service_pb2.ExecuteTransactionResponse(), _all_created]
    body = bundle_of("transaction", _post(a_patient()))
    answer = await edge.client.post("/fhir/R4", content=body, headers={**FHIR_JSON, **authorization})
    assert answer.status_code == 200, answer.text
    requests = platform.called("records.ExecuteTransaction")
    assert [request.entries[0].method for request in requests] == ["PUT", "POST", "POST"]
    assert requests[2].entries[0].id == "r1"


async def test_a_retry_under_its_key_is_answered_as_before(edge, authorization):
    platform = edge.platform
    platform.answers["patient_index.Register"] = registered(
        "r1", outcome=patient_index_pb2.REGISTRATION_OUTCOME_UNCHANGED
    )
    platform.answers["patient_index.BatchRegister"] = patient_index_pb2.BatchRegisterResponse(results=[{}])
    platform.answers["records.ExecuteTransaction"] = _all_created
    headers = {**FHIR_JSON, **authorization, "idempotency-key": "k"}
    body = bundle_of("transaction", _post(a_patient()))
    answer = await edge.client.post("/fhir/R4", content=body, headers=headers)
    assert answer.json()["entry"][0]["response"]["status"] == "201 Created"
    (request,) = platform.called("records.ExecuteTransaction")
    assert (request.request_id, request.validate_only, request.entries[0].method) == ("k", False, "POST")
    # What was first carried out as an update is found under the updating form.
    reused = AlreadyExistsError("REQUEST_ID_REUSED", "m")
    platform.answers["records.ExecuteTransaction"] = [reused, _all_created]
    await edge.client.post("/fhir/R4", content=body, headers=headers)
    assert [one.entries[0].method for one in platform.called("records.ExecuteTransaction")[1:]] == ["POST", "PUT"]


async def test_a_key_that_records_do_not_remember_takes_the_whole_way(edge, authorization):
    platform = edge.platform
    platform.answers["patient_index.Register"] = registered(
        "r1", outcome=patient_index_pb2.REGISTRATION_OUTCOME_UPDATED
    )
    platform.answers["patient_index.BatchRegister"] = patient_index_pb2.BatchRegisterResponse(results=[{}])
    exists = AlreadyExistsError(
        "RESOURCE_EXISTS", "m", fields=[FieldViolation("Bundle.entry[0].resource.id", "duplicate", "")]
    )
    platform.answers["records.ExecuteTransaction"] = [exists, service_pb2.ExecuteTransactionResponse(), _all_created]
    headers = {**FHIR_JSON, **authorization, "idempotency-key": "k"}
    answer = await edge.client.post("/fhir/R4", content=bundle_of("transaction", _post(a_patient())), headers=headers)
    assert answer.status_code == 200
    trial, check, written = platform.called("records.ExecuteTransaction")
    assert [one.entries[0].method for one in (trial, check, written)] == ["POST", "PUT", "PUT"]
    assert [(one.validate_only, one.request_id) for one in (check, written)] == [(True, ""), (False, "k")]
    assert platform.labels[-2:] == ["patient_index.BatchRegister", "records.ExecuteTransaction"]


async def test_what_exists_and_is_no_patient_of_the_transaction_stays_an_error(edge, authorization):
    platform = edge.platform
    platform.answers["patient_index.Register"] = registered("r1")
    exists = AlreadyExistsError(
        "RESOURCE_EXISTS", "m", fields=[FieldViolation("Bundle.entry[1]", "RESOURCE_EXISTS", "")]
    )
    platform.answers["records.ExecuteTransaction"] = exists
    body = bundle_of("transaction", _post(a_patient()), _post({"resourceType": "Observation"}))
    answer = await edge.client.post("/fhir/R4", content=body, headers={**FHIR_JSON, **authorization})
    assert answer.status_code == 409
    assert len(platform.called("records.ExecuteTransaction")) == 1


async def test_a_patient_may_not_be_put_over_another_registration(edge, authorization):
    edge.platform.answers["patient_index.Register"] = registered("r1")
    entry = {"resource": a_patient(id="r2"), "request": {"method": "PUT", "url": "Patient/r2"}}
    answer = await edge.client.post(
        "/fhir/R4", content=bundle_of("transaction", entry), headers={**FHIR_JSON, **authorization}
    )
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[0].resource.identifier"]


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        (7, "Bundle.entry[1]"),
        ({}, "Bundle.entry[1].request"),
        ({"request": {"method": "PATCH", "url": "Observation/1"}}, "Bundle.entry[1].resource"),
        (
            {"resource": {"resourceType": "Basic"}, "request": {"method": "PATCH", "url": "Observation/1"}},
            "Bundle.entry[1].resource",
        ),
        ({"request": {"method": "OPTIONS", "url": "Observation/1"}}, "Bundle.entry[1].request.method"),
        ({"request": {"method": [], "url": "Observation/1"}}, "Bundle.entry[1].request.method"),
        ({"request": {"method": "GET"}}, "Bundle.entry[1].request.url"),
        ({"request": {"method": "POST", "url": "Observation"}}, "Bundle.entry[1].resource"),
        ({"request": {"method": "DELETE", "url": "Observation/1", "ifMatch": "x"}}, "Bundle.entry[1].request.ifMatch"),
        ({"request": {"method": "DELETE", "url": "Observation/1", "ifMatch": 7}}, "Bundle.entry[1].request.ifMatch"),
        ({"fullUrl": 1, "request": {"method": "GET", "url": "Observation/1"}}, "Bundle.entry[1].fullUrl"),
    ],
)
@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_a_malformed_entry_is_named_and_nothing_is_done(edge, authorization, kind, entry, place):
    body = bundle_of(kind, _post({"resourceType": "Observation"}), entry)
    answer = await edge.client.post("/fhir/R4", content=body, headers={**FHIR_JSON, **authorization})
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == [place]
    assert not edge.platform.calls


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_an_empty_bundle_is_answered_by_one(edge, kind):
    answer = await edge.client.post("/fhir/R4", content=bundle_of(kind), headers=FHIR_JSON)
    assert answer.json() == {"resourceType": "Bundle", "type": f"{kind}-response"}


async def test_each_entry_of_a_batch_stands_by_itself(edge, authorization):
    platform = edge.platform
    platform.answers["records.CreateResource"] = service_pb2.CreateResourceResponse(
        resource=stored(), outcome=OUTCOME.WRITE_OUTCOME_CREATED
    )
    platform.positions["records.CreateResource"] = "records/records@3.3"
    platform.answers["records.ReadResource"] = NotFoundError("RESOURCE_UNKNOWN", "m")
    platform.answers["records.SearchResources"] = service_pb2.SearchResourcesResponse(matches=[stored()], total=1)
    platform.answers["records.DeleteResource"] = service_pb2.DeleteResourceResponse(version=2)
    body = bundle_of(
        "batch",
        _post({"resourceType": "Observation"}, ifNoneExist="code=a"),
        {"request": {"method": "GET", "url": "Observation/o9"}},
        {"request": {"method": "GET", "url": "Observation?code=ก|b&_count=5"}},
        {"request": {"method": "DELETE", "url": "Observation/o1", "ifMatch": 'W/"1"'}},
        {"request": {"method": "GET", "url": "/"}},
        {"request": {"method": "GET", "url": "Nonsense/1"}},
    )
    answer = await edge.client.post("/fhir/R4", content=body, headers={**FHIR_JSON, **authorization})
    assert answer.status_code == 200, answer.text
    assert answer.headers["nhip-position"] == "records/records@3.3"
    bundle = answer.json()
    assert bundle["type"] == "batch-response"
    statuses = [entry["response"]["status"] for entry in bundle["entry"]]
    assert statuses == ["201 Created", "404 Not Found", "200 OK", "204 No Content", "400 Bad Request", "404 Not Found"]
    created, missing, found, deleted, *_ = bundle["entry"]
    assert created["response"]["location"] == "http://edge.test/fhir/R4/Observation/o1/_history/1"
    assert created["response"]["lastModified"] == "2026-01-01T00:00:00+00:00"
    assert missing["response"]["outcome"]["resourceType"] == "OperationOutcome"
    assert found["resource"]["type"] == "searchset"
    assert deleted["response"]["etag"] == 'W/"2"'
    (search,) = platform.called("records.SearchResources")
    assert ([(one.name, one.value) for one in search.parameters], search.page_size) == ([("code", "ก|b")], 5)
    assert platform.called("records.CreateResource")[0].if_none_exist == "code=a"
    assert platform.called("records.DeleteResource")[0].if_match == 1
    assert all(call.metadata["authorization"] == authorization["authorization"] for call in platform.calls)
