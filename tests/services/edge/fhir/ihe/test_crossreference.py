"""Mobile Patient Identifier Cross-reference Query [ITI-83], over the real index."""

import pytest

from tests.services.edge.fhir.stored import CID, CITIZEN, HN, a_patient

FHIR_JSON = {"content-type": "application/fhir+json"}
OTHER_HN = "https://terms.sil-th.org/hcode/5/10670/HN"
PIX = "/fhir/R4/Patient/$ihe-pix"


def at_other_hospital(**changes):
    return a_patient(identifier=[{"system": OTHER_HN, "value": "B-9"}, {"system": CID, "value": CITIZEN}], **changes)


@pytest.fixture
async def known(hospital):
    """Hospital 10661's client; the person is registered there and at 10670."""
    ours, theirs = await hospital("10661"), await hospital("10670")
    here = await ours.post("/fhir/R4/Patient", json=a_patient(), headers=FHIR_JSON)
    there = await theirs.post("/fhir/R4/Patient", json=at_other_hospital(), headers=FHIR_JSON)
    return ours, here.json()["id"], there.json()["id"]


def identifiers_of(answer):
    return {
        (one["valueIdentifier"]["system"], one["valueIdentifier"]["value"])
        for one in answer.json()["parameter"]
        if one["name"] == "targetIdentifier"
    }


def references_of(answer):
    return {one["valueReference"]["reference"] for one in answer.json()["parameter"] if one["name"] == "targetId"}


async def test_a_number_leads_to_every_other_number_of_the_person_and_never_to_itself(known):
    ours, here, there = known
    found = await ours.get(PIX, params={"sourceIdentifier": f"{HN}|HN-7"})
    assert found.status_code == 200, found.text
    assert found.json()["resourceType"] == "Parameters"
    assert identifiers_of(found) == {(OTHER_HN, "B-9"), (CID, CITIZEN)}
    assert references_of(found) == {f"http://edge.test/fhir/R4/Patient/{one}" for one in (here, there)}


async def test_only_the_systems_asked_for_are_answered(known):
    ours, *_ = known
    found = await ours.get(PIX, params={"sourceIdentifier": f"{CID}|{CITIZEN}", "targetSystem": OTHER_HN})
    assert (identifiers_of(found), references_of(found)) == ({(OTHER_HN, "B-9")}, set())
    found = await ours.get(
        PIX, params=[("sourceIdentifier", f"{CID}|{CITIZEN}"), ("targetSystem", "http://edge.test/fhir/R4")]
    )
    assert (identifiers_of(found), len(references_of(found))) == (set(), 2)


async def test_a_patient_of_this_server_is_named_by_its_logical_id(known):
    ours, here, there = known
    found = await ours.get(PIX, params={"sourceIdentifier": f"http://edge.test/fhir/R4|Patient/{here}"})
    assert identifiers_of(found) == {(HN, "HN-7"), (OTHER_HN, "B-9"), (CID, CITIZEN)}
    assert references_of(found) == {f"http://edge.test/fhir/R4/Patient/{there}"}


async def test_the_record_s_spelling_of_the_citizen_id_is_understood_and_parameters_may_be_posted(known):
    ours, _, _ = known
    number = {"system": "https://www.dopa.go.th", "value": CITIZEN}
    posted = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "sourceIdentifier", "valueIdentifier": number},
            {"name": "targetSystem", "valueUri": HN},
        ],
    }
    found = await ours.post(PIX, json=posted, headers=FHIR_JSON)
    assert identifiers_of(found) == {(HN, "HN-7")}


@pytest.mark.parametrize(
    ("asked", "status", "code", "diagnostics"),
    [
        ({"sourceIdentifier": f"{HN}|HN-8"}, 404, "not-found", "sourceIdentifier Patient Identifier not found"),
        (
            {"sourceIdentifier": "urn:oid:1.2.3|7"},
            400,
            "code-invalid",
            "sourceIdentifier Assigning Authority not found",
        ),
        (
            {"sourceIdentifier": f"{HN}|HN-7", "targetSystem": "urn:oid:1.2.3"},
            403,
            "code-invalid",
            "targetSystem not found",
        ),
        ({"sourceIdentifier": "HN-7"}, 400, "invalid", "the identifier is written system|value"),
        ({}, 400, "invalid", "exactly one sourceIdentifier is asked for"),
        ({"sourceIdentifier": f"{HN}|HN-7", "other": "x"}, 400, "invalid", "an unknown parameter of $ihe-pix"),
    ],
)
async def test_what_cannot_be_answered_is_said_as_the_profile_has_it(known, asked, status, code, diagnostics):
    ours, _, _ = known
    refused = await ours.get(PIX, params=asked)
    (issue,) = refused.json()["issue"]
    assert (refused.status_code, issue["severity"], issue["code"], issue["diagnostics"]) == (
        status,
        "error",
        code,
        diagnostics,
    )


async def test_without_the_scope_nothing_is_told(hospital, known):
    stranger = await hospital("10670", "user/*.cruds")
    refused = await stranger.get(PIX, params={"sourceIdentifier": f"{HN}|HN-7"})
    assert refused.status_code == 403
