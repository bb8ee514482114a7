"""$match (https://hl7.org/fhir/R4/patient-operation-match.html): who may be meant by these demographics."""

import orjson
from nhip.patient_index.v1 import resources_pb2
from nhip.patient_index.v1 import service_pb2 as patient_index_pb2

from libs.errors import FieldViolation, InvalidArgumentError
from services.edge.asgi import Reply
from services.edge.fhir import bundle, patient
from services.edge.fhir.interaction import base_url, read_body, require_type
from services.edge.fhir.operations.invocation import Invocation
from services.edge.fhir.operations.parameters import named_once
from services.edge.fhir.outcome import CONTENT_TYPE

MATCH_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
MAX_MATCHES = 50
_GRADES = {
    resources_pb2.MATCH_GRADE_CERTAIN: "certain",
    resources_pb2.MATCH_GRADE_PROBABLE: "probable",
    resources_pb2.MATCH_GRADE_POSSIBLE: "possible",
}


async def match(invoked: Invocation) -> Reply:
    """`POST Patient/$match`."""
    request = invoked.request
    _, document = await read_body(request)
    parameters = named_once(document)
    wanted = require_type(
        parameters.get("resource", {}).get("resource"),
        patient.TYPE,
        "Parameters.parameter.where(name='resource').resource",
    )
    registration = patient.demographics(wanted)
    registration.identifiers.extend(patient.numbers_of(wanted)[: patient.MAX_IDENTIFIERS])
    count = parameters.get("count", {}).get("valueInteger", 0)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        violation = FieldViolation("Parameters.parameter.where(name='count')", "COUNT_INVALID", "a positive integer")
        raise InvalidArgumentError("COUNT_INVALID", "count is a positive integer", fields=[violation])
    message = patient_index_pb2.MatchRequest(
        registration=registration,
        limit=min(count, MAX_MATCHES),
        only_certain=parameters.get("onlyCertainMatches", {}).get("valueBoolean") is True,
    )
    response = await invoked.upstream["patient_index.Match"](message, request)
    base = base_url(request)
    entries = [_candidate(base, candidate) for candidate in response.candidates]
    return Reply(200, bundle.assemble("searchset", [], entries, len(entries)), CONTENT_TYPE)


def _candidate(base: str, candidate: resources_pb2.Candidate) -> bytes:
    found = candidate.registration
    grade = _GRADES.get(candidate.grade, "certainly-not")
    return orjson.dumps(
        {
            "fullUrl": f"{base}/{patient.TYPE}/{found.registration_id}",
            "resource": patient.to_patient(found),
            "search": {
                "extension": [{"url": MATCH_GRADE, "valueCode": grade}],
                "mode": "match",
                "score": round(candidate.probability, 6),
            },
        }
    )
