"""Pages of other origins: https://fetch.spec.whatwg.org/#http-cors-protocol."""

import pytest
from nhip.records.v1 import service_pb2

from libs.errors import NotFoundError
from tests.services.edge.fhir.stored import stored

PAGE = {"origin": "https://app.example"}
ASKING = {**PAGE, "access-control-request-method": "PUT", "access-control-request-headers": "authorization,if-match"}


@pytest.mark.parametrize("path", ["/fhir/R4", "/fhir/R4/Patient/1", "/v1/registrations", "/oauth2/token"])
async def test_a_browser_that_asks_is_told_what_a_page_may_send(edge, path):
    answer = await edge.client.options(path, headers=ASKING)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "PUT" in answer.headers["access-control-allow-methods"]
    assert {"authorization", "if-match"} <= set(answer.headers["access-control-allow-headers"].split(", "))
    # A browser adds no cookie to what it was told so.
    assert "access-control-allow-credentials" not in answer.headers
    assert not edge.platform.calls


async def test_a_page_reads_what_it_is_answered_errors_too(edge):
    edge.platform.answers["records.ReadResource"] = service_pb2.ReadResourceResponse(resource=stored())
    answer = await edge.client.get("/fhir/R4/Observation/o1", headers=PAGE)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "etag" in answer.headers["access-control-expose-headers"]
    edge.platform.answers["records.ReadResource"] = NotFoundError("RESOURCE_UNKNOWN", "m")
    refused = await edge.client.get("/fhir/R4/Observation/o1", headers=PAGE)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (404, "*")


async def test_who_is_no_page_and_what_is_no_interface_hear_nothing_of_it(edge):
    edge.platform.answers["records.ReadResource"] = service_pb2.ReadResourceResponse(resource=stored())
    program = await edge.client.get("/fhir/R4/Observation/o1")
    metrics = await edge.client.get("/metrics", headers=PAGE)
    plain = await edge.client.options("/fhir/R4/Patient/1", headers=PAGE)
    assert plain.status_code == 405
    assert not any("access-control-allow-origin" in one.headers for one in (program, metrics))
