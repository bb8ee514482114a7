"""Searches over the wire, links, and what the server says that it does: https://hl7.org/fhir/R4/search.html."""

import json

import orjson
import pytest
from nhip.records.v1 import service_pb2

from tests.services.edge.fakes import surface
from tests.services.edge.fhir.stored import stored


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


async def test_the_capability_statement_tells_what_the_deployment_allows(platform):
    policy = frozenset({"updates-create", "deletes-many"})
    async with surface(platform, fhir_policy=policy) as allowing:
        statement = (await allowing.client.get("/fhir/R4/metadata")).json()
    told = {one["type"]: (one["updateCreate"], one["conditionalDelete"]) for one in statement["rest"][0]["resource"]}
    assert told["Observation"] == (True, "multiple")
    # A Patient's id is always its registration's.
    assert told["Patient"] == (False, "multiple")
