"""What records answers, made for tests."""

import orjson
from google.protobuf.timestamp_pb2 import Timestamp
from nhip.patient_index.v1 import resources_pb2 as patient_index_resources_pb2
from nhip.patient_index.v1 import service_pb2 as patient_index_pb2
from nhip.records.v1 import resources_pb2

HN = "https://terms.sil-th.org/hcode/5/10661/HN"
CID = "https://terms.sil-th.org/id/th-cid"
CITIZEN = "9100000000011"


def stored(resource_type="Observation", resource_id="o1", version=1, body=None, operation=1):
    """A stored version; its body is not JSON as a serializer would write it, so that a rewrite would show."""
    moment = Timestamp(seconds=1767225600, nanos=123_456_789)
    if body is None:
        body = b'{ "resourceType" : "%b", "id":"%b", "value": 1.10 }' % (resource_type.encode(), resource_id.encode())
    return resources_pb2.StoredResource(
        type=resource_type, id=resource_id, version=version, recorded_at=moment, body=body, operation=operation
    )


def a_patient(**changes):
    """A FHIR Patient with an HN of hospital 10661 and a citizen id."""
    return {
        "resourceType": "Patient",
        "identifier": [{"system": HN, "value": "HN-7"}, {"system": "https://www.dopa.go.th", "value": CITIZEN}],
        "name": [{"prefix": ["นาย"], "given": ["สมชาย"], "family": "ใจดี"}],
        "gender": "male",
        "birthDate": "1984-02-29",
        **changes,
    }


def registered(registration_id="r1", outcome=patient_index_pb2.REGISTRATION_OUTCOME_CREATED):
    """What the index answers to Register: the registration with its id, new unless told otherwise."""

    def answer(request):
        registration = patient_index_resources_pb2.Registration()
        registration.CopyFrom(request.registration)
        registration.registration_id = registration_id
        return patient_index_pb2.RegisterResponse(registration=registration, outcome=outcome)

    return answer


def bundle_of(kind, *entries):
    """A Bundle as JSON bytes."""
    return orjson.dumps({"resourceType": "Bundle", "type": kind, "entry": list(entries)})
