"""A dry run of the index through the edge: what else would change person."""

from nhip.claims.v1 import service_pb2 as claims_pb2
from nhip.patient_index.v1 import decisions_pb2, resources_pb2
from nhip.records.v1 import service_pb2 as records_pb2
from nhip.surveillance.v1 import service_pb2 as surveillance_pb2

from libs.errors import UnavailableError
from services.edge.consequences import ASKED_AT_ONCE

PATH = "/v1/persons/p1:merge"
BODY = {"fromPersonId": "p2", "reason": "one card", "validateOnly": True}


def moving(count: int) -> decisions_pb2.MergePersonsResponse:
    moves = [resources_pb2.Move(registration_id=f"r{one}", person_id="p1") for one in range(count)]
    return decisions_pb2.MergePersonsResponse(moves=moves)


async def test_a_dry_run_tells_which_encounters_claims_and_cases_would_move(edge, authorization):
    edge.platform.answers |= {
        "patient_index.MergePersons": moving(2),
        "records.CountEncounters": records_pb2.CountEncountersResponse(
            count=7, items=[records_pb2.FiledEncounter(id="e1", registration_id="r0")]
        ),
        "claims.CountClaims": claims_pb2.CountClaimsResponse(
            count=1, items=[claims_pb2.FiledClaim(id="c1", registration_id="r1")]
        ),
        "surveillance.CountCases": surveillance_pb2.CountCasesResponse(count=0),
    }
    answer = (await edge.client.post(PATH, json=BODY, headers=authorization)).json()
    assert answer["consequences"] == {
        "encounters": "7",
        "claims": "1",
        "things": [
            {"type": "Encounter", "id": "e1", "registrationId": "r0"},
            {"type": "Claim", "id": "c1", "registrationId": "r1"},
        ],
    }
    for label in ("records.CountEncounters", "claims.CountClaims", "surveillance.CountCases"):
        (request,) = edge.platform.called(label)
        assert list(request.registration_ids) == ["r0", "r1"]
    # They are asked in the caller's name, so that each decides what the caller may see.
    assert {call.metadata["authorization"] for call in edge.platform.calls} == {authorization["authorization"]}


async def test_a_service_that_does_not_answer_is_named_and_the_others_stand(edge, authorization):
    edge.platform.answers |= {
        "patient_index.MergePersons": moving(1),
        "records.CountEncounters": UnavailableError("DOWN", "down"),
        "claims.CountClaims": claims_pb2.CountClaimsResponse(count=3),
    }
    answer = (await edge.client.post(PATH, json=BODY, headers=authorization)).json()
    assert (answer["consequences"]["unanswered"], answer["consequences"]["claims"]) == (["records"], "3")


async def test_many_registrations_are_asked_about_in_parts_and_added_up(edge, authorization):
    edge.platform.answers |= {
        "patient_index.MergePersons": moving(ASKED_AT_ONCE + 1),
        "claims.CountClaims": claims_pb2.CountClaimsResponse(count=3),
    }
    answer = (await edge.client.post(PATH, json=BODY, headers=authorization)).json()
    assert answer["consequences"]["claims"] == "6"


async def test_what_is_really_decided_asks_nobody_else(edge, authorization):
    edge.platform.answers["patient_index.MergePersons"] = moving(2)
    answer = await edge.client.post(PATH, json={**BODY, "validateOnly": False}, headers=authorization)
    assert "consequences" not in answer.json()
    assert edge.platform.labels == ["patient_index.MergePersons"]
