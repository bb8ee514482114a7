"""read and vread over the wire, and the forms of answers: https://hl7.org/fhir/R4/http.html#read."""

import json

import pytest
from nhip.records.v1 import resources_pb2, service_pb2

from tests.services.edge.fhir.stored import stored

LAST_MODIFIED = "Thu, 01 Jan 2026 00:00:00 GMT"
FHIR_XML = "application/fhir+xml"


async def test_a_read_answers_the_stored_bytes_untouched(edge):
    edge.platform.answers["records.ReadResource"] = service_pb2.ReadResourceResponse(resource=stored(version=3))
    answer = await edge.client.get("/fhir/R4/Observation/o1")
    assert answer.content == stored().body
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert answer.headers["etag"] == 'W/"3"'
    assert answer.headers["last-modified"] == LAST_MODIFIED
    (request,) = edge.platform.called("records.ReadResource")
    assert (request.type, request.id) == ("Observation", "o1")


@pytest.mark.parametrize("held", ['W/"3"', '"3"', '"1", W/"3"'])
async def test_a_read_of_what_is_held_is_not_modified(edge, held):
    edge.platform.answers["records.ReadResource"] = service_pb2.ReadResourceResponse(resource=stored(version=3))
    answer = await edge.client.get("/fhir/R4/Observation/o1", headers={"if-none-match": held})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", 'W/"3"')
    answer = await edge.client.get("/fhir/R4/Observation/o1", headers={"if-none-match": 'W/"2"'})
    assert answer.status_code == 200


async def test_pretty_answers_keep_every_digit(edge):
    edge.platform.answers["records.ReadResource"] = service_pb2.ReadResourceResponse(resource=stored())
    answer = await edge.client.get("/fhir/R4/Observation/o1?_pretty=true&_format=json")
    assert answer.text == '{\n  "resourceType": "Observation",\n  "id": "o1",\n  "value": 1.10\n}\n'


@pytest.mark.parametrize(
    ("query", "accept", "status", "kind"),
    [
        ("", "application/fhir+json", 200, "application/fhir+json"),
        ("", FHIR_XML, 200, FHIR_XML),
        ("", "application/xml", 200, FHIR_XML),
        ("", "application/fhir+xml;q=0.5, application/fhir+json;q=0.4", 200, FHIR_XML),
        ("", "application/fhir+xml;q=1.0, application/fhir+json;q=1.0", 200, "application/fhir+json"),
        ("", "application/fhir+json; fhirVersion=4.0", 200, "application/fhir+json"),
        ("", "application/fhir+json; fhirVersion=3.0", 406, "application/fhir+json"),
        ("", "text/html, */*;q=0.8", 200, "application/fhir+json"),
        ("", "text/turtle", 406, "application/fhir+json"),
        ("?_format=application/fhir+json", FHIR_XML, 200, "application/fhir+json"),
        ("?_format=xml", "*/*", 200, FHIR_XML),
        ("?_format=ttl", "*/*", 406, "application/fhir+json"),
    ],
)
async def test_answers_are_json_or_xml(edge, query, accept, status, kind):
    body = b'{"resourceType":"Observation","id":"o1","valueQuantity":{"value":1.10}}'
    edge.platform.answers["records.ReadResource"] = service_pb2.ReadResourceResponse(resource=stored(body=body))
    answer = await edge.client.get(f"/fhir/R4/Observation/o1{query}", headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (status, f"{kind}; charset=utf-8")
    if kind == FHIR_XML:
        assert (
            '<Observation xmlns="http://hl7.org/fhir"><id value="o1"/><valueQuantity><value value="1.10"/>'
            in answer.text
        )


async def test_errors_are_xml_for_who_asks_for_xml(edge):
    answer = await edge.client.get("/fhir/R4/Nothing/1", headers={"accept": FHIR_XML})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/fhir+xml; charset=utf-8")
    assert '<severity value="error"/>' in answer.text


async def test_a_resource_in_xml_goes_on_as_json(edge):
    response = service_pb2.CreateResourceResponse(resource=stored(), outcome=resources_pb2.WRITE_OUTCOME_CREATED)
    edge.platform.answers["records.CreateResource"] = response
    xml = (
        b'<Observation xmlns="http://hl7.org/fhir"><status value="final"/>'
        b'<valueQuantity><value value="1.10"/></valueQuantity></Observation>'
    )
    answer = await edge.client.post("/fhir/R4/Observation", content=xml, headers={"content-type": FHIR_XML})
    assert answer.status_code == 201
    (request,) = edge.platform.called("records.CreateResource")
    assert request.body == b'{"resourceType":"Observation","status":"final","valueQuantity":{"value":1.10}}'
    bomb = b'<!DOCTYPE x [<!ENTITY a "b">]>' + xml
    refused = await edge.client.post("/fhir/R4/Observation", content=bomb, headers={"content-type": FHIR_XML})
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "structure")


async def test_a_binary_comes_and_goes_as_what_it_is(edge):
    kept = b'{"resourceType":"Binary","id":"b","contentType":"image/png","data":"iVBORw=="}'
    response = service_pb2.CreateResourceResponse(
        resource=stored("Binary", "b", body=kept), outcome=resources_pb2.WRITE_OUTCOME_CREATED
    )
    edge.platform.answers["records.CreateResource"] = response
    sent = {"content-type": "image/png", "x-security-context": "Patient/1"}
    answer = await edge.client.post("/fhir/R4/Binary", content=b"\x89PNG", headers=sent)
    assert (answer.status_code, answer.json()["resourceType"]) == (201, "Binary")
    (request,) = edge.platform.called("records.CreateResource")
    assert json.loads(request.body) == {
        "resourceType": "Binary",
        "contentType": "image/png",
        "securityContext": {"reference": "Patient/1"},
        "data": "iVBORw==",
    }
    edge.platform.answers["records.ReadResource"] = service_pb2.ReadResourceResponse(
        resource=stored("Binary", "b", 3, kept)
    )
    raw = await edge.client.get("/fhir/R4/Binary/b", headers={"accept": "image/*, */*;q=0.1"})
    assert (raw.content, raw.headers["content-type"], raw.headers["etag"]) == (b"\x89PNG", "image/png", 'W/"3"')
    assert raw.headers["x-content-type-options"] == "nosniff"
    resource = await edge.client.get("/fhir/R4/Binary/b", headers={"accept": "application/fhir+json"})
    assert resource.content == kept


async def test_one_version_is_read(edge):
    edge.platform.answers["records.ReadVersion"] = service_pb2.ReadVersionResponse(resource=stored(version=2))
    answer = await edge.client.get("/fhir/R4/Observation/o1/_history/2")
    assert (answer.content, answer.headers["etag"]) == (stored().body, 'W/"2"')
    assert edge.platform.called("records.ReadVersion")[0].version == 2


@pytest.mark.parametrize(
    "path", ["Observation/o1/_history/0", "Observation/o1/_history/x", "Observation/a b", "Observation/" + "a" * 65]
)
async def test_what_can_be_no_id_or_version_is_not_found(edge, path):
    answer = await edge.client.get(f"/fhir/R4/{path}")
    assert answer.status_code == 404
    assert not edge.platform.calls
