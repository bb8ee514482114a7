"""JSON into messages: the same as protobuf's own mapping, for every message that a route takes."""

import base64

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st
from nhip.audit.v1 import service_pb2 as audit_pb2
from nhip.claims.v1 import resources_pb2 as claims_resources_pb2
from nhip.surveillance.v1 import resources_pb2 as surveillance_resources_pb2

from libs.errors import InvalidArgumentError
from services.edge.decoding import Reading
from services.edge.routes import routes_of
from services.edge.upstream import SERVICES
from tests.services.edge.samples import sample

ROUTES = routes_of(SERVICES.values())


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.method.label)
@pytest.mark.parametrize("keep_names", [False, True])
def test_a_message_survives_json(route, keep_names):
    for descriptor in (route.descriptor.input_type, route.descriptor.output_type):
        wanted = sample(descriptor)
        document = MessageToDict(wanted, preserving_proto_field_name=keep_names)
        found = GetMessageClass(descriptor)()
        reading = Reading()
        reading.document(found, document, "")
        assert reading.violations == []
        assert found == wanted


_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.binary(max_size=6).map(lambda value: base64.b64encode(value).decode())
)
_names = st.sampled_from(
    ["claimed", "satang", "lines", "number", "status", "diagnoses", "recordedAt", "version", "quantity"]
)
_documents = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_names, inner, max_size=4)
)


@given(_documents)
def test_what_is_taken_is_taken_as_protobuf_takes_it(document):
    found = claims_resources_pb2.Claim()
    reading = Reading()
    reading.document(found, document, "")
    if reading.violations:
        with pytest.raises(InvalidArgumentError) as refused:
            reading.finish()
        assert refused.value.reason == "REQUEST_MALFORMED"
    else:
        reading.finish()
        assert ParseDict(document, claims_resources_pb2.Claim()) == found


@pytest.mark.parametrize(("text", "value"), [("1e1", 10.0), (" 2.5", 2.5), (3, 3.0), ("-0", 0.0)])
def test_numbers_may_be_written_as_text(text, value):
    found = surveillance_resources_pb2.WeekCount()
    reading = Reading()
    reading.document(found, {"score": text}, "")
    assert (reading.violations, found.score) == ([], value)


@pytest.mark.parametrize("value", ["NaN", "Infinity", float("inf"), "x", True, [], {}])
def test_what_is_no_number_is_refused(value):
    reading = Reading()
    reading.document(surveillance_resources_pb2.WeekCount(), {"score": value}, "")
    assert [violation.reason for violation in reading.violations] == ["NUMBER_EXPECTED"]


@pytest.mark.parametrize("text", ["AAEC/w==", "AAEC/w", "AAEC_w=="])
def test_base64_is_taken_in_both_alphabets(text):
    found = audit_pb2.OpenEntryResponse()
    reading = Reading()
    reading.document(found, {"salt": text}, "")
    assert (reading.violations, found.salt) == ([], b"\x00\x01\x02\xff")


def test_mistakes_are_counted_only_so_far():
    reading = Reading()
    reading.document(claims_resources_pb2.Claim(), {f"unknown{number}": 1 for number in range(500)}, "")
    assert len(reading.violations) == 50
