"""Every declared route, and what is refused."""

from urllib.parse import quote

import pytest
from google.protobuf.json_format import MessageToDict
from nhip.claims.v1 import service_pb2 as claims_pb2
from nhip.identity.v1 import service_pb2 as identity_pb2
from nhip.options.v1 import options_pb2
from nhip.patient_index.v1 import service_pb2 as patient_index_pb2

from services.edge.routes import routes_of
from services.edge.transcode import is_document
from services.edge.upstream import DEADLINES, SERVICES
from tests.services.edge.samples import sample

ROUTES = routes_of(SERVICES.values())
UNARY = [route for route in ROUTES if not route.method.is_client_streaming]


def _query_of(document, prefix=""):
    pairs = []
    for name, value in document.items():
        if isinstance(value, dict):
            pairs += _query_of(value, f"{prefix}{name}.")
        else:
            listed = value if isinstance(value, list) else [value]
            pairs += [(prefix + name, str(one).lower() if isinstance(one, bool) else str(one)) for one in listed]
    return pairs


@pytest.mark.parametrize("route", UNARY, ids=lambda route: f"{route.verb} {route.template}")
async def test_a_declared_route_carries_every_field_there_and_back(edge, authorization, route):
    wanted = sample(route.descriptor.input_type)
    if "consequences" in route.descriptor.output_type.fields_by_name:
        # What a dry run is told beside, tests/services/edge/test_consequences.py tells.
        wanted.validate_only = False
    response = sample(route.descriptor.output_type)
    edge.platform.answers[route.method.label] = response
    path = route.template
    for name in route.variables:
        path = path.replace("{" + name + "}", quote(str(getattr(wanted, name)), safe=""))
    fields = {field.name: field.json_name for field in route.descriptor.input_type.fields}
    document = MessageToDict(wanted)
    rest = {name: value for name, value in document.items() if name not in {fields[one] for one in route.variables}}
    body = None
    if route.body == "*":
        body, rest = rest, {}
    elif route.body:
        body = rest.pop(fields[route.body])
    answer = await edge.client.request(route.verb, path, params=_query_of(rest), json=body, headers=authorization)
    assert answer.status_code == 200, answer.text
    if is_document(route.descriptor.output_type):
        assert (answer.content, answer.headers["content-type"]) == (response.body, response.content_type)
        assert "sandbox" in answer.headers["content-security-policy"]
    else:
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == MessageToDict(response)
    (call,) = edge.platform.calls
    assert call.label == route.method.label
    assert call.request == wanted
    assert call.metadata["authorization"] == authorization["authorization"]
    assert call.seconds_left == pytest.approx(DEADLINES[route.method.slo_class], abs=1.5)


def test_every_rpc_with_a_route_is_served_and_streams_of_answers_are_not():
    assert len(ROUTES) == len({(route.verb, route.template) for route in ROUTES})
    assert {route.method.label for route in ROUTES} >= {
        "records.GetSummary",
        "exchange.UploadImport",
        "claims.PayClaims",
    }
    assert not any(route.method.is_server_streaming for route in ROUTES)


def test_every_service_level_has_a_deadline():
    assert set(DEADLINES) == set(options_pb2.SloClass.values()) - {0}


async def test_names_of_the_proto_are_understood_too(edge):
    await edge.client.post("/v1/persons:search", json={"birth_date": "2500", "page_size": 5})
    (request,) = edge.platform.called("patient_index.SearchPersons")
    assert (request.birth_date, request.page_size) == ("2500", 5)


async def test_an_unknown_field_of_the_body_is_named(edge):
    answer = await edge.client.post("/v1/registrations", json={"names": [{"given": "ก", "surname": "ข"}]})
    assert answer.status_code == 400
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["reason"] == "REQUEST_MALFORMED"
    assert problem["errors"] == [
        {"field": "names[0].surname", "reason": "FIELD_UNKNOWN", "detail": "there is no such field"}
    ]
    assert not edge.platform.calls


@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        ("surprise=1", "surprise", "FIELD_UNKNOWN"),
        ("pageSize=many", "pageSize", "INTEGER_EXPECTED"),
        ("pageSize=99999999999", "pageSize", "NUMBER_OUT_OF_RANGE"),
        ("pageSize=1&pageSize=2", "pageSize", "FIELD_REPEATED"),
        ("includeDiscarded=yes", "includeDiscarded", "BOOLEAN_EXPECTED"),
        ("pageSize.x=1", "pageSize.x", "FIELD_UNKNOWN"),
    ],
)
async def test_a_bad_query_parameter_is_named(edge, query, field, reason):
    answer = await edge.client.get(f"/v1/surveillance/cases?{query}")
    assert answer.status_code == 400
    assert [(one["field"], one["reason"]) for one in answer.json()["errors"]] == [(field, reason)]


async def test_timestamps_and_enums_travel_in_queries(edge):
    await edge.client.get("/v1/accesses?since=2026-01-31T09:30:00%2B07:00")
    await edge.client.get("/v1/claims?status=CLAIM_STATUS_PAID")
    (accesses,) = edge.platform.called("audit.ListAccesses")
    (claims,) = edge.platform.called("claims.ListClaims")
    assert accesses.since.ToJsonString() == "2026-01-31T02:30:00Z"
    assert claims.status == 5


async def test_fields_beside_the_body_stand_in_the_query(edge):
    await edge.client.post("/v1/claims?validateOnly=true", json={"invoiceNumber": "7"})
    (request,) = edge.platform.called("claims.SubmitClaim")
    assert request == claims_pb2.SubmitClaimRequest(claim={"invoice_number": "7"}, validate_only=True)


@pytest.mark.parametrize(
    ("body", "reason", "place"),
    [
        (b'{"a":1,\n "b" 2}', "JSON_MALFORMED", "line 2, column 6"),
        (b'{"name":"a","name":"b"}', "JSON_DUPLICATE_KEY", "name"),
        (b'{"name":"\xff"}', "JSON_MALFORMED", "line 1, column 10"),
        (b'{"page_size": NaN}', "JSON_MALFORMED", None),
        (b"[" * 100_000, "JSON_MALFORMED", None),
        (b'{"n": ' + b"9" * 5000 + b"}", "JSON_MALFORMED", None),
        (b'{"birthDate": "\\u0000"}', "CHARACTER_REFUSED", None),
        (b'{"birthDate": "\\ud800"}', "CHARACTER_REFUSED", None),
        (b"[]", "REQUEST_MALFORMED", ""),
        (b'{"birthDate": 7}', "REQUEST_MALFORMED", "birthDate"),
        (b'{"identifier": []}', "REQUEST_MALFORMED", "identifier"),
        (b'{"page_size": 1.5}', "REQUEST_MALFORMED", "page_size"),
        (b'{"page_size": 1, "pageSize": 1}', "REQUEST_MALFORMED", "pageSize"),
    ],
)
async def test_a_malformed_body_is_refused_with_its_place(edge, body, reason, place):
    headers = {"content-type": "application/json"}
    answer = await edge.client.post("/v1/persons:search", content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    problem = answer.json()
    assert problem["reason"] == reason
    if place is not None:
        assert problem["errors"][0]["field"] == place
    assert not edge.platform.calls


async def test_mistakes_are_told_together_and_without_their_values(edge):
    body = {"name": {"given": 1234567}, "birthDate": ["x"], "pageSize": "secret-value"}
    answer = await edge.client.post("/v1/persons:search", json=body)
    assert {one["field"] for one in answer.json()["errors"]} == {"name.given", "birthDate", "pageSize"}
    assert "secret-value" not in answer.text
    assert "1234567" not in answer.text


async def test_a_content_type_other_than_json_is_refused(edge):
    answer = await edge.client.post("/v1/persons:search", content=b"a=b", headers={"content-type": "text/plain"})
    assert (answer.status_code, answer.json()["reason"]) == (415, "CONTENT_TYPE_UNSUPPORTED")


async def test_a_body_above_the_limit_is_refused_before_it_is_read(edge):
    headers = {"content-type": "application/json", "content-length": str(17 << 20)}
    answer = await edge.client.post("/v1/persons:search", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (413, "BODY_TOO_LARGE")


async def test_an_unknown_route_is_a_problem_and_a_wrong_method_says_which_are_right(edge):
    unknown = await edge.client.get("/v1/nowhere/at/all")
    assert (unknown.status_code, unknown.json()["reason"]) == (404, "ROUTE_UNKNOWN")
    wrong = await edge.client.delete("/v1/organizations")
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "GET, POST, HEAD"


async def test_path_and_body_must_agree(edge):
    body = {"registrationId": "b", "personId": "p", "reason": "r"}
    answer = await edge.client.post("/v1/registrations/a:link", json=body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0] == {
        "field": "registration_id",
        "reason": "PATH_CONFLICT",
        "detail": "path and body disagree",
    }


async def test_a_colon_that_is_no_verb_belongs_to_the_id_and_an_encoded_slash_too(edge):
    await edge.client.get("/v1/persons/a:b")
    await edge.client.get("/v1/persons/a%2Fb%3Asearch")
    assert [request.person_id for request in edge.platform.called("patient_index.GetPerson")] == ["a:b", "a/b:search"]


async def test_a_verb_needs_no_body(edge):
    answer = await edge.client.post("/v1/imports/i1:cancel")
    assert answer.status_code == 200
    assert edge.platform.called("exchange.CancelImport")[0].import_id == "i1"


async def test_the_idempotency_key_becomes_the_request_id(edge):
    headers = {"idempotency-key": "k-1"}
    await edge.client.post("/v1/organizations", json={"organizationId": "10661"}, headers=headers)
    (request,) = edge.platform.called("identity.CreateOrganization")
    assert request == identity_pb2.CreateOrganizationRequest(
        organization={"organization_id": "10661"}, request_id="k-1"
    )
    body = {"reason": "r", "requestId": "other"}
    answer = await edge.client.post("/v1/registrations/a:unlink", json=body, headers=headers)
    assert answer.json()["reason"] == "REQUEST_ID_CONFLICT"


async def test_positions_go_on_and_come_back(edge):
    edge.platform.positions["patient_index.Register"] = "patient_index/registrations@9.3"
    headers = {"nhip-position": "identity/consents@1.2"}
    answer = await edge.client.post("/v1/registrations", json={}, headers=headers)
    assert answer.headers["nhip-position"] == "patient_index/registrations@9.3"
    assert edge.platform.calls[0].metadata["nhip-position"] == "identity/consents@1.2"


async def test_the_trace_goes_on(edge):
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-00", "tracestate": "a=b"}
    answer = await edge.client.get("/v1/nowhere", headers=headers)
    assert answer.json()["instance"] == f"urn:nhip:trace:{trace_id}"
    await edge.client.get("/v1/keys", headers=headers)
    metadata = edge.platform.calls[0].metadata
    assert metadata["traceparent"].split("-")[1] == trace_id
    assert metadata["tracestate"] == "a=b"


@pytest.mark.parametrize("value", [b"\xff\xfe", b"Bearer \xe0\xb8\x81"])
async def test_a_header_beyond_ascii_is_refused(edge, value):
    answer = await edge.client.get("/v1/keys", headers={b"authorization": value})
    assert (answer.status_code, answer.json()["reason"]) == (400, "HEADER_MALFORMED")


async def test_an_oversize_header_is_refused(edge):
    answer = await edge.client.get("/v1/keys", headers={"authorization": "Bearer " + "a" * 5000})
    assert (answer.status_code, answer.json()["reason"]) == (431, "HEADER_TOO_LARGE")


async def test_the_access_log_knows_the_route_and_nothing_of_the_person(edge):
    await edge.client.get("/v1/persons/9876543210983?x=secret")
    edge.log.flush()
    line = edge.lines.written.decode()
    assert '"route":"/v1/persons/{person_id}"' in line
    assert '"status":400' in line
    assert "9876543210983" not in line
    assert "secret" not in line


async def test_an_empty_registration_still_arrives_as_one(edge):
    await edge.client.post("/v1/registrations", json={})
    (request,) = edge.platform.called("patient_index.Register")
    assert request.HasField("registration")
    assert request == patient_index_pb2.RegisterRequest(registration={})


async def test_head_is_answered_as_get(edge):
    answer = await edge.client.head("/v1/keys")
    assert answer.status_code == 200
