"""history of an instance and of a type over the wire: https://hl7.org/fhir/R4/http.html#history."""

from nhip.records.v1 import service_pb2

from tests.services.edge.fhir.stored import stored


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
