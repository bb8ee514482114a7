"""$validate over the wire: https://hl7.org/fhir/R4/resource-operation-validate.html."""

from nhip.records.v1 import service_pb2

from libs.errors import InvalidArgumentError
from tests.services.edge.fhir.stored import CID, HN, a_patient, registered, stored

FHIR_JSON = {"content-type": "application/fhir+json"}
BODY = b'{"resourceType":"Observation", "valueQuantity":{"value": 1.10}}'
BASE = "http://edge.test/fhir/R4"
SOUND = b'{"resourceType":"Observation","status":"final","code":{"text":"x"}}'


async def test_validation_answers_its_findings_with_200(edge):
    for path in ("Observation/$validate", "$validate"):
        answer = await edge.client.post(f"/fhir/R4/{path}", content=SOUND, headers=FHIR_JSON)
        assert [one["severity"] for one in answer.json()["issue"]] == ["warning", "information"]
    request = edge.platform.called("records.CreateResource")[0]
    assert request == service_pb2.CreateResourceRequest(
        type="Observation", body=SOUND, validate_only=True, base_url=BASE
    )
    edge.platform.answers["records.CreateResource"] = InvalidArgumentError("RESOURCE_INVALID", "m")
    answer = await edge.client.post("/fhir/R4/Observation/$validate", content=BODY, headers=FHIR_JSON)
    assert (answer.status_code, answer.json()["issue"][0]["severity"]) == (200, "error")


async def test_validation_for_an_update_or_a_deletion_is_of_the_instance(edge):
    edge.platform.answers["records.ExecuteTransaction"] = service_pb2.ExecuteTransactionResponse(results=[{}])
    edge.platform.answers["records.ReadResource"] = service_pb2.ReadResourceResponse(resource=stored(body=SOUND))
    empty = b'{"resourceType":"Parameters"}'
    answer = await edge.client.post("/fhir/R4/Observation/o1/$validate?mode=delete", content=empty, headers=FHIR_JSON)
    assert answer.json()["issue"][0]["severity"] == "information"
    answer = await edge.client.post("/fhir/R4/Observation/o1/$validate", content=empty, headers=FHIR_JSON)
    assert answer.json()["issue"][-1]["severity"] == "information"
    requests = edge.platform.called("records.ExecuteTransaction")
    assert all(one.validate_only for one in requests)
    assert [(one.entries[0].method, one.entries[0].url) for one in requests] == [
        ("DELETE", "Observation/o1"),
        ("PUT", "Observation/o1"),
    ]
    assert requests[1].entries[0].body == SOUND
    nothing = await edge.client.post("/fhir/R4/Observation/$validate", content=empty, headers=FHIR_JSON)
    assert (nothing.status_code, nothing.json()["issue"][0]["expression"]) == (400, ["Parameters.parameter"])


async def test_validation_holds_a_resource_against_the_profile_that_is_asked_for(edge, authorization):
    edge.platform.answers["patient_index.Register"] = registered("r1")
    wrong = a_patient(identifier=[{"system": CID, "value": "1234567890123"}, {"system": HN, "value": "HN-7"}])
    url = "/fhir/R4/Patient/$validate?profile=https://fhir-ig.sil-th.org/th/core/StructureDefinition/th-core-patient"
    answer = await edge.client.post(url, json=wrong, headers={**FHIR_JSON, **authorization})
    errors = [one for one in answer.json()["issue"] if one["severity"] == "error"]
    assert [one["expression"] for one in errors] == [["Patient.identifier[0].value"]]
    right = await edge.client.post(url, json=a_patient(), headers={**FHIR_JSON, **authorization})
    assert right.json()["issue"][-1]["severity"] == "information"
    unknown = await edge.client.post(
        "/fhir/R4/Patient/$validate?profile=urn:x", json=a_patient(), headers={**FHIR_JSON, **authorization}
    )
    assert {one["code"] for one in unknown.json()["issue"]} >= {"not-supported"}


async def test_validation_takes_the_resource_out_of_parameters_byte_by_byte(edge):
    body = b'{"resourceType":"Parameters","parameter":[{"name":"mode","valueCode":"create"},{"resource": %b ,"name":"resource"}]}'
    answer = await edge.client.post("/fhir/R4/Observation/$validate", content=body % BODY, headers=FHIR_JSON)
    assert answer.status_code == 200, answer.text
    assert edge.platform.called("records.CreateResource")[0].body == BODY
    wrong = body.replace(b"mode", b"colour") % BODY
    assert (
        await edge.client.post("/fhir/R4/Observation/$validate", content=wrong, headers=FHIR_JSON)
    ).status_code == 400
