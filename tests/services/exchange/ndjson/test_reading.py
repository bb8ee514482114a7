"""What a line says of itself, and why one is none."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from libs.access.caller import Scopes
from services.exchange.formats.ndjson.lines import Line
from services.exchange.formats.ndjson.naming import Naming
from services.exchange.formats.ndjson.reading import Item, read_line
from services.exchange.model import Rejection

SOURCE = "https://old.example.org/fhir"
ALL = Scopes.parse("system/*.cruds")


def read(data: bytes | None, declared: str = "", scopes: Scopes = ALL) -> Item | Rejection:
    return read_line(Line(7, 100, len(data or b""), data), declared, SOURCE, scopes)


def an_item(body: dict[str, Any], **more: Any) -> Item:
    found = read(json.dumps(body).encode(), **more)
    assert isinstance(found, Item)
    return found


def test_a_line_says_what_it_is_and_whom_and_what_it_refers_to() -> None:
    found = an_item(
        {
            "resourceType": "Observation",
            "id": "o-1",
            "meta": {"lastUpdated": "2024-05-01T08:00:00+07:00"},
            "subject": {"reference": "Patient/1"},
            "performer": [
                {"reference": f"{SOURCE}/Practitioner/2"},
                {"reference": "https://else.example.org/Practitioner/3"},
            ],
            "note": [{"text": 'say "reference": "Patient/9"'}],
            "contained": [{"resourceType": "Device", "id": "d"}],
            "device": {"reference": "#d"},
            "hasMember": [{"reference": "Patient/1"}],
        }
    )
    assert (found.key, found.subject) == ("Observation/o-1", "Patient/1")
    assert found.references == ["Patient/1", "Practitioner/2"]
    assert found.updated_at == datetime(2024, 5, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("data", "reason", "expression", "says"),
    [
        (b'{"resourceType":"Patient","id":', "JSON_INVALID", "", "cut off after character 31"),
        (b'{"resourceType":"Patient",}', "JSON_INVALID", "", "at character 26"),
        (b'{"a":"\xff"}', "JSON_INVALID", "", "no JSON"),
        (b"[1]", "JSON_INVALID", "", "object"),
        (b'"x"', "JSON_INVALID", "", "object"),
        (b"{}", "TYPE_UNKNOWN", "resourceType", "resource type"),
        (b'{"resourceType":"Nonsense"}', "TYPE_UNKNOWN", "resourceType", "resource type"),
        (b'{"resourceType":7}', "TYPE_UNKNOWN", "resourceType", "resource type"),
        (b'{"resourceType":"Patient","id":"a/b"}', "RESOURCE_INVALID", "Patient.id", "64"),
        (b'{"resourceType":"Patient","id":5}', "RESOURCE_INVALID", "Patient.id", "64"),
        (None, "LINE_TOO_LONG", "", "longer"),
    ],
)
def test_what_is_no_resource_is_told_with_its_place(
    data: bytes | None, reason: str, expression: str, says: str
) -> None:
    found = read(data)
    assert isinstance(found, Rejection)
    assert (found.line, found.reason, found.column) == (7, reason, expression)
    assert says in found.message


def test_lines_keep_to_the_type_of_their_input_and_to_the_scopes_of_their_import() -> None:
    line = b'{"resourceType":"Observation"}'
    for found, reason in (
        (read(line, "Patient"), "TYPE_MISMATCH"),
        (read(line, "", Scopes.parse("system/Patient.cu")), "SCOPE_MISSING"),
        (read(line, "", Scopes.parse("system/*.c")), "SCOPE_MISSING"),
    ):
        assert isinstance(found, Rejection)
        assert found.reason == reason
    assert isinstance(read(line, "Observation", Scopes.parse("system/Observation.cu")), Item)


def test_ids_are_derived_from_organisation_source_and_id_and_of_nothing_else() -> None:
    one = an_item({"resourceType": "Observation", "id": "1", "status": "final"})
    other = an_item({"resourceType": "Observation", "id": "1", "status": "amended"})
    naming = Naming("99001", SOURCE, keeps_ids=False)
    assert naming.id_of(one) == naming.id_of(other)
    for elsewhere in (Naming("99002", SOURCE, keeps_ids=False), Naming("99001", "", keeps_ids=False)):
        assert naming.id_of(one) != elsewhere.id_of(one)
    nameless = an_item({"resourceType": "Observation", "status": "final"})
    assert naming.id_of(nameless) == naming.id_of(an_item({"resourceType": "Observation", "status": "final"}))
    assert naming.id_of(nameless) != naming.id_of(an_item({"resourceType": "Observation", "status": "amended"}))


def test_references_mean_what_their_lines_become() -> None:
    naming = Naming("99001", SOURCE, keeps_ids=False)
    found = naming.aliases(["Patient/1", "Patient/2", "Observation/1/_history/2"], {"1": "reg-1"})
    own = naming.id_of(an_item({"resourceType": "Observation", "id": "1"}))
    assert found == {"Patient/1": "Patient/reg-1", "Observation/1/_history/2": f"Observation/{own}"}


def test_a_deployment_that_takes_ids_over_keeps_all_but_those_of_patients() -> None:
    naming = Naming("99001", SOURCE, keeps_ids=True)
    assert naming.id_of(an_item({"resourceType": "Observation", "id": "1"})) == "1"
    assert naming.aliases(["Patient/1", "Observation/1"], {"1": "reg-1"}) == {"Patient/1": "Patient/reg-1"}
