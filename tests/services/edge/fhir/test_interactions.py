"""read, vread, create, update, delete, history and search over the wire."""

import json

import orjson
import pytest
from nhip.records.v1 import resources_pb2, service_pb2

from libs.errors import AbortedError, InvalidArgumentError
from tests.services.edge.fhir.stored import CID, HN, a_patient, registered, stored

FHIR_JSON = {"content-type": "application/fhir+json"}
BODY = b'{"resourceType":"Observation", "valueQuantity":{"value": 1.10}}'
BASE = "http://edge.test/fhir/R4"
LAST_MODIFIED = "Thu, 01 Jan 2026 00:00:00 GMT"


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


FHIR_XML = "application/fhir+xml"


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


async def test_a_delete_answers_nothing_or_an_outcome(edge):
    edge.platform.answers["records.DeleteResource"] = service_pb2.DeleteResourceResponse(version=5)
    answer = await edge.client.delete("/fhir/R4/Observation/o1", headers={"if-match": 'W/"4"'})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (204, b"", 'W/"5"')
    assert edge.platform.called("records.DeleteResource")[0].if_match == 4
    answer = await edge.client.delete("/fhir/R4/Observation/o1", headers={"prefer": "return=OperationOutcome"})
    assert (answer.status_code, answer.json()["resourceType"]) == (200, "OperationOutcome")


async def test_history_tells_what_made_each_version(edge):
    versions = [stored(version=3, body=b"", operation=3), stored(version=2, operation=2), stored(version=1)]
    edge.platform.answers["records.ListHistory"] = service_pb2.ListHistoryResponse(
        versions=versions, next_page_token="t n", total=9
    )
    answer = await edge.client.get("/fhir/R4/Observation/o1/_history?_count=3&_since=2026-01-01T00:00:00%2B07:00")
    bundle = answer.json()
    assert (bundle["type"], bundle["total"]) == ("history", 9)
    assert [entry["request"]["method"] for entry in bundle["entry"]] == ["DELETE", "PUT", "POST"]
    assert "resource" not in bundle["entry"][0]
    assert bundle["entry"][1]["response"] == {
        "status": "200 OK",
        "etag": 'W/"2"',
        "lastModified": "2026-01-01T00:00:00.123+00:00",
    }
    assert bundle["entry"][2]["fullUrl"] == "http://edge.test/fhir/R4/Observation/o1"
    links = {link["relation"]: link["url"] for link in bundle["link"]}
    assert links["next"].startswith("http://edge.test/fhir/R4/Observation/o1/_history?_count=3")
    assert links["next"].endswith("&_page=t%20n")
    (request,) = edge.platform.called("records.ListHistory")
    assert (request.id, request.page_size, request.since.ToJsonString()) == ("o1", 3, "2025-12-31T17:00:00Z")


async def test_what_was_brought_back_was_put_there_again(edge):
    edge.platform.answers["records.ListHistory"] = service_pb2.ListHistoryResponse(
        versions=[stored(version=3), stored(version=2, body=b"", operation=3), stored()]
    )
    entries = (await edge.client.get("/fhir/R4/Observation/o1/_history")).json()["entry"]
    assert [(one["request"]["method"], one["request"]["url"], one["response"]["status"]) for one in entries] == [
        ("PUT", "Observation/o1", "201 Created"),
        ("DELETE", "Observation/o1", "204 No Content"),
        ("POST", "Observation", "201 Created"),
    ]


async def test_the_history_of_a_type_has_no_id(edge):
    answer = await edge.client.get("/fhir/R4/Observation/_history?_page=abc")
    assert answer.json() == {
        "resourceType": "Bundle",
        "type": "history",
        "link": [{"relation": "self", "url": "http://edge.test/fhir/R4/Observation/_history?_page=abc"}],
    }
    (request,) = edge.platform.called("records.ListHistory")
    assert (request.id, request.page_token) == ("", "abc")
    for query in ("_at=soon", "_since=yesterday", "_count=many"):
        assert (await edge.client.get(f"/fhir/R4/Observation/_history?{query}")).status_code == 400


async def test_a_search_is_assembled_of_the_stored_bytes(edge):
    edge.platform.answers["records.SearchResources"] = service_pb2.SearchResourcesResponse(
        matches=[stored(), stored(resource_id="o2")], included=[stored("Patient", "p1")], next_page_token="n/1", total=7
    )
    answer = await edge.client.get(
        "/fhir/R4/Observation?code=http://loinc.org|1-2&code=b&_count=2&_include=Observation:patient"
    )
    assert answer.content.count(stored().body) == 1
    bundle = answer.json()
    assert (bundle["type"], bundle["total"]) == ("searchset", 7)
    assert [entry["search"]["mode"] for entry in bundle["entry"]] == ["match", "match", "include"]
    assert bundle["entry"][2]["fullUrl"] == "http://edge.test/fhir/R4/Patient/p1"
    links = {link["relation"]: link["url"] for link in bundle["link"]}
    query = "code=http://loinc.org|1-2&code=b&_count=2&_include=Observation:patient"
    assert links == {
        "self": f"http://edge.test/fhir/R4/Observation?{query}",
        "next": f"http://edge.test/fhir/R4/Observation?{query}&_page=n/1",
    }
    (request,) = edge.platform.called("records.SearchResources")
    assert [(one.name, one.value) for one in request.parameters] == [
        ("code", "http://loinc.org|1-2"),
        ("code", "b"),
        ("_include", "Observation:patient"),
    ]
    assert (request.page_size, request.lenient) == (2, False)
    await edge.client.get(links["next"])
    assert edge.platform.called("records.SearchResources")[1].page_token == "n/1"


async def test_an_empty_search_has_no_entries_and_a_count_asks_for_none(edge):
    answer = await edge.client.get("/fhir/R4/Observation?_count=0")
    assert answer.json() == {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": "self", "url": "http://edge.test/fhir/R4/Observation?_count=0"}],
    }
    assert edge.platform.called("records.SearchResources")[0].parameters[0].value == "count"


async def test_a_posted_search_joins_url_and_form(edge):
    answer = await edge.client.post("/fhir/R4/Patient/_search?active=true", data={"name": "สมชาย"})
    assert answer.status_code == 200
    (request,) = edge.platform.called("records.SearchResources")
    assert [(one.name, one.value) for one in request.parameters] == [("active", "true"), ("name", "สมชาย")]
    answer = await edge.client.post("/fhir/R4/Patient/_search", json={"name": "x"})
    assert answer.status_code == 415


async def test_lenient_searches_tell_what_was_passed_over(edge):
    edge.platform.answers["records.SearchResources"] = service_pb2.SearchResourcesResponse(
        matches=[stored()], total=1, ignored_parameters=["colour"]
    )
    answer = await edge.client.get("/fhir/R4/Observation?colour=red&code=a", headers={"prefer": "handling=lenient"})
    assert edge.platform.called("records.SearchResources")[0].lenient
    bundle = answer.json()
    assert bundle["link"] == [{"relation": "self", "url": "http://edge.test/fhir/R4/Observation?code=a"}]
    assert [entry["search"]["mode"] for entry in bundle["entry"]] == ["match", "outcome"]
    assert "colour" in bundle["entry"][1]["resource"]["issue"][0]["diagnostics"]


@pytest.mark.parametrize("query", ["_count=x", "_count=-1", "a=%00", "a=%ff"])
async def test_a_malformed_query_is_refused(edge, query):
    answer = await edge.client.get(f"/fhir/R4/Observation?{query}")
    assert (answer.status_code, answer.json()["resourceType"]) == (400, "OperationOutcome")
    assert not edge.platform.calls


async def test_absolute_urls_follow_the_proxy_and_a_forged_host_does_not_break_out(edge):
    headers = {"x-forwarded-proto": "https", "x-forwarded-host": "fhir.example.th, inner"}
    answer = await edge.client.get("/fhir/R4/Observation", headers=headers)
    assert answer.json()["link"][0]["url"] == "https://fhir.example.th/fhir/R4/Observation"
    answer = await edge.client.get("/fhir/R4/Observation", headers={"host": 'a"],"x":["b'})
    assert json.loads(answer.content)["link"][0]["url"].endswith("/fhir/R4/Observation")
    assert '"x"' not in answer.text


async def test_the_capability_statement_tells_what_is_done(edge):
    answer = await edge.client.get("/fhir/R4/metadata")
    statement = orjson.loads(answer.content)
    assert (statement["resourceType"], statement["fhirVersion"], statement["kind"]) == (
        "CapabilityStatement",
        "4.0.1",
        "instance",
    )
    assert statement["implementation"]["url"] == "http://edge.test/fhir/R4"
    (rest,) = statement["rest"]
    resources = {resource["type"]: resource for resource in rest["resource"]}
    assert len(resources) >= 145
    assert "SubscriptionStatus" not in resources
    patient = resources["Patient"]
    assert {one["code"] for one in patient["interaction"]} == {
        *("read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type")
    }
    assert patient["updateCreate"] is False
    assert patient["conditionalCreate"] is True
    assert {"name": "birthdate", "type": "date"} in patient["searchParam"]
    assert {"ihe-pix", "match", "validate"} <= {operation["name"] for operation in patient["operation"]}
    assert {one["code"] for one in rest["interaction"]} == {"transaction", "batch", "history-system", "search-system"}
    assert rest["security"]["extension"][0]["extension"][0]["valueUri"] == "http://edge.test/oauth2/token"
    assert not edge.platform.calls


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
