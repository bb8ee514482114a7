"""From a service's error to what REST and FHIR say of it."""

import pytest

from libs.errors import (
    AbortedError,
    AlreadyExistsError,
    DeadlineExceededError,
    FailedPreconditionError,
    FieldViolation,
    InvalidArgumentError,
    NhipError,
    NotFoundError,
    OutOfRangeError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
)

# Error, status under /v1, status under /fhir/R4, code of the issue.
TABLE = [
    (InvalidArgumentError("CITIZEN_ID_INVALID", "m"), 400, 400, "invalid"),
    (UnauthenticatedError("TOKEN_MISSING", "m"), 401, 401, "login"),
    (UnauthenticatedError("TOKEN_EXPIRED", "m"), 401, 401, "expired"),
    (PermissionDeniedError("SCOPE_MISSING", "m"), 403, 403, "forbidden"),
    (PermissionDeniedError("CONSENT_REFUSED", "m"), 403, 403, "suppressed"),
    (NotFoundError("RESOURCE_UNKNOWN", "m"), 404, 404, "not-found"),
    (NotFoundError("RESOURCE_DELETED", "m"), 404, 410, "deleted"),
    (AlreadyExistsError("RESOURCE_EXISTS", "m"), 409, 409, "duplicate"),
    (AbortedError("VERSION_CONFLICT", "m"), 409, 412, "conflict"),
    (FailedPreconditionError("ALLERGY_CONFLICT", "m"), 409, 422, "business-rule"),
    (FailedPreconditionError("REFERENCE_UNKNOWN", "m"), 409, 422, "not-found"),
    (FailedPreconditionError("MULTIPLE_MATCHES", "m"), 409, 412, "multiple-matches"),
    (FailedPreconditionError("REGISTRATION_ALONE", "m"), 409, 409, "processing"),
    (OutOfRangeError("PAGE_TOKEN_EXPIRED", "m"), 400, 400, "value"),
    (ResourceExhaustedError("TOO_MANY", "m"), 429, 429, "throttled"),
    (ResourceExhaustedError("FILE_TOO_LARGE", "m"), 413, 413, "throttled"),
    (ResourceExhaustedError("STORAGE_FULL", "m"), 507, 507, "throttled"),
    (UnimplementedError("NOT_DONE", "m"), 501, 501, "not-supported"),
    (DeadlineExceededError("DEADLINE_EXCEEDED", "m"), 504, 504, "timeout"),
    (NhipError("BROKEN", "m"), 500, 500, "exception"),
]


@pytest.mark.parametrize(("error", "rest", "fhir", "code"), TABLE, ids=lambda value: getattr(value, "reason", None))
async def test_an_error_arrives_with_its_status_and_reason(edge, error, rest, fhir, code):
    edge.platform.answers["patient_index.GetPerson"] = error
    edge.platform.answers["records.ReadResource"] = error
    answer = await edge.client.get("/v1/persons/p1")
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["reason"], problem["detail"]) == (
        rest,
        rest,
        error.reason,
        "m",
    )
    assert problem["type"] == "https://nhip.th/problems/" + error.reason.lower().replace("_", "-")
    assert problem["instance"].startswith("urn:nhip:trace:")
    answer = await edge.client.get("/fhir/R4/Observation/1")
    outcome = answer.json()
    assert answer.status_code == fhir
    assert answer.headers["content-type"].startswith("application/fhir+json")
    assert outcome["resourceType"] == "OperationOutcome"
    (issue,) = outcome["issue"]
    assert (issue["severity"], issue["code"], issue["diagnostics"]) == ("error", code, "m")
    assert issue["details"]["coding"] == [{"system": "https://nhip.th/problems", "code": error.reason}]


async def test_fields_and_metadata_arrive(edge):
    violations = [FieldViolation("registration.birth_date", "BIRTH_DATE_INVALID", "no such day")]
    error = InvalidArgumentError("BIRTH_DATE_INVALID", "m", fields=violations, metadata={"line": "3"})
    edge.platform.answers["patient_index.Register"] = error
    problem = (await edge.client.post("/v1/registrations", json={})).json()
    assert problem["errors"] == [
        {"field": "registration.birth_date", "reason": "BIRTH_DATE_INVALID", "detail": "no such day"}
    ]
    assert problem["metadata"] == {"line": "3"}


async def test_a_fhir_issue_names_the_place(edge):
    violations = [
        FieldViolation("Observation.status", "REQUIRED", "status is missing"),
        FieldViolation("Observation.code", "REQUIRED", "code is missing"),
    ]
    error = InvalidArgumentError("RESOURCE_INVALID", "m", fields=violations)
    edge.platform.answers["records.CreateResource"] = error
    answer = await edge.client.post("/fhir/R4/Observation", json={"resourceType": "Observation"})
    assert answer.status_code == 400
    assert [issue["expression"] for issue in answer.json()["issue"]] == [["Observation.status"], ["Observation.code"]]


async def test_a_code_of_fhir_for_a_place_becomes_the_issues_code(edge):
    violation = FieldViolation("MedicationRequest.medication", "business-rule", "a known allergy")
    error = FailedPreconditionError("ALLERGY_CONFLICT", "m", fields=[violation])
    edge.platform.answers["records.CreateResource"] = error
    answer = await edge.client.post("/fhir/R4/MedicationRequest", json={"resourceType": "MedicationRequest"})
    (issue,) = answer.json()["issue"]
    assert (answer.status_code, issue["code"], issue["diagnostics"]) == (422, "business-rule", "a known allergy")
    assert [coding["code"] for coding in issue["details"]["coding"]] == ["ALLERGY_CONFLICT"]


async def test_a_refused_caller_is_told_how_to_authenticate(edge):
    edge.platform.answers["patient_index.GetPerson"] = UnauthenticatedError("TOKEN_EXPIRED", "m")
    answer = await edge.client.get("/v1/persons/p1")
    assert answer.headers["www-authenticate"] == 'Bearer realm="nhip", error="invalid_token"'


async def test_an_unavailable_service_says_when_to_come_back(edge):
    error = UnavailableError("PROJECTION_BEHIND", "m", retry_after_seconds=2.5)
    edge.platform.answers["patient_index.LinkRegistration"] = [error] * 4
    answer = await edge.client.post("/v1/registrations/r:link", json={})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
    assert answer.json()["reason"] == "PROJECTION_BEHIND"


async def test_a_defect_of_a_service_says_nothing_of_its_inside(edge):
    def broken(_):
        message = "secret at /srv/nhip/table.py line 7"
        raise RuntimeError(message)

    edge.platform.answers["patient_index.GetPerson"] = broken
    answer = await edge.client.get("/v1/persons/p1")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


async def test_a_defect_of_the_edge_says_nothing_of_its_inside(edge, monkeypatch):
    def broken(*_):
        message = "secret"
        raise RuntimeError(message)

    monkeypatch.setattr("services.edge.transcode.to_json", broken)
    answer = await edge.client.get("/v1/keys")
    assert (answer.status_code, answer.json()["reason"]) == (500, "INTERNAL")
    assert "secret" not in answer.text
