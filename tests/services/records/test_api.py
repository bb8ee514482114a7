"""The RPCs, one organisation with its own records: what is stored, answered, refused."""

import json

import grpc
import pytest
from nhip.records.v1 import events_pb2, service_pb2
from sqlalchemy import text

from libs.database.statements import Statement
from tests.services.records.stage import A, B, Refused, a_condition, a_patient, an_encounter, an_observation, treating

CREATED, UPDATED, UNCHANGED, DELETED = 1, 2, 3, 4


async def test_what_was_filed_is_read_back_with_id_and_version(stage):
    await stage.arrive("reg-1")
    made = await stage.create(an_observation("reg-1"))
    body = await stage.read(f"Observation/{made.id}")
    assert body["id"] == made.id
    assert body["meta"] == {"versionId": "1", "lastUpdated": "2024-06-01T03:00:00.000Z", "source": f"Organization/{A}"}
    assert body["valueQuantity"]["value"] == 13.2
    assert made.organization_id == A


async def test_the_precision_of_a_decimal_survives(stage):
    await stage.arrive("reg-1")
    raw = json.dumps(an_observation("reg-1")).replace("13.2", "13.200").encode()
    request = service_pb2.CreateResourceRequest(type="Observation", body=raw)
    made = (await stage.call("CreateResource", request)).resource
    assert b'"value":13.200,' in made.body


async def test_a_superseded_result_stays_readable(stage):
    await stage.arrive("reg-1")
    made = await stage.create(an_observation("reg-1", value=13.2))
    body = json.loads(made.body)
    body["valueQuantity"]["value"] = 9.9
    answer = await stage.update(body)
    assert (answer.outcome, answer.resource.version) == (UPDATED, 2)
    first = await stage.call("ReadVersion", service_pb2.ReadVersionRequest(type="Observation", id=made.id, version=1))
    second = await stage.call("ReadVersion", service_pb2.ReadVersionRequest(type="Observation", id=made.id, version=2))
    assert first.resource.body == made.body
    assert json.loads(second.resource.body)["valueQuantity"]["value"] == 9.9


async def test_the_same_content_again_makes_no_version(stage):
    await stage.arrive("reg-1")
    made = await stage.create(an_observation("reg-1"))
    answer = await stage.update(json.loads(made.body))
    assert (answer.outcome, answer.resource.version) == (UNCHANGED, 1)
    assert answer.resource.body == made.body


async def test_an_update_over_another_version_is_refused(stage):
    await stage.arrive("reg-1")
    made = await stage.create(an_observation("reg-1"))
    body = json.loads(made.body)
    body["status"] = "amended"
    await stage.update(body, if_match=1)
    body["status"] = "corrected"
    with pytest.raises(Refused) as refused:
        await stage.update(body, if_match=1)
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.ABORTED, "VERSION_CONFLICT")


async def test_an_update_of_an_unknown_id_is_unknown(stage):
    await stage.arrive("reg-1")
    with pytest.raises(Refused) as refused:
        await stage.update({**an_observation("reg-1"), "id": "never-made"})
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_UNKNOWN")


async def test_a_deletion_is_a_version_and_history_stays(stage):
    await stage.arrive("reg-1")
    made = await stage.create(an_observation("reg-1"))
    gone = await stage.call("DeleteResource", service_pb2.DeleteResourceRequest(type="Observation", id=made.id))
    again = await stage.call("DeleteResource", service_pb2.DeleteResourceRequest(type="Observation", id=made.id))
    assert (gone.version, gone.outcome) == (2, DELETED)
    assert (again.version, again.outcome) == (2, UNCHANGED)
    with pytest.raises(Refused) as refused:
        await stage.read(f"Observation/{made.id}")
    assert refused.value.reason == "RESOURCE_DELETED"
    history = await stage.call("ListHistory", service_pb2.ListHistoryRequest(type="Observation", id=made.id))
    assert [(one.version, one.operation, bool(one.body)) for one in history.versions] == [(2, 3, False), (1, 1, True)]
    assert history.total == 2
    assert await stage.found("Observation?patient=reg-1") == []


async def test_a_deleted_resource_comes_back_by_an_update(stage):
    await stage.arrive("reg-1")
    made = await stage.create(an_observation("reg-1"))
    await stage.call("DeleteResource", service_pb2.DeleteResourceRequest(type="Observation", id=made.id))
    answer = await stage.update(json.loads(made.body))
    assert (answer.outcome, answer.resource.version) == (CREATED, 3)
    assert await stage.found("Observation?patient=reg-1") == [f"Observation/{made.id}"]


async def test_a_history_is_paged_newest_first(stage):
    await stage.arrive("reg-1")
    made = await stage.create(an_observation("reg-1", value=1))
    for value in (2, 3, 4, 5):
        await stage.update({**json.loads(made.body), "valueQuantity": {"value": value}})
    seen, token = [], ""
    while True:
        request = service_pb2.ListHistoryRequest(type="Observation", id=made.id, page_size=2, page_token=token)
        page = await stage.call("ListHistory", request)
        seen += [one.version for one in page.versions]
        token = page.next_page_token
        if not token:
            break
    assert seen == [5, 4, 3, 2, 1]


async def test_the_history_of_a_type_spans_its_resources(stage):
    await stage.arrive("reg-1")
    first = await stage.create(an_observation("reg-1"))
    second = await stage.create(an_observation("reg-1"))
    await stage.update({**json.loads(first.body), "status": "amended"})
    seen, token = [], ""
    for _ in range(3):
        page = await stage.call(
            "ListHistory", service_pb2.ListHistoryRequest(type="Observation", page_size=1, page_token=token)
        )
        seen += [(one.id, one.version) for one in page.versions]
        token = page.next_page_token
    assert sorted(seen) == sorted([(first.id, 1), (first.id, 2), (second.id, 1)])
    assert not token


async def test_a_patient_carries_the_id_of_its_registration(stage):
    made = await stage.file_patient("reg-9")
    assert made.id == "reg-9"
    with pytest.raises(Refused) as refused:
        await stage.create(a_patient("reg-9"))
    assert refused.value.fields == [("Patient.id", "required")]
    with pytest.raises(Refused) as taken:
        await stage.file_patient("reg-9")
    assert taken.value.reason == "RESOURCE_EXISTS"


async def test_a_registration_of_another_organisation_cannot_be_filed(stage):
    await stage.register("reg-1", A)
    with pytest.raises(Refused) as refused:
        await stage.file_patient("reg-1", B)
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ORGANIZATION_FOREIGN")


async def test_nobody_files_for_a_registration_of_another_organisation(stage):
    await stage.arrive("reg-1", A)
    with pytest.raises(Refused) as refused:
        await stage.create(an_observation("reg-1"), token=treating(stage, B))
    assert refused.value.reason == "ORGANIZATION_FOREIGN"
    assert refused.value.fields == [("Observation.subject", "forbidden")]
    # Who may not see the person learns not even that there is one.
    with pytest.raises(Refused) as blind:
        await stage.create(an_observation("reg-1"), B)
    assert (blind.value.reason, blind.value.fields) == ("REFERENCE_UNKNOWN", [("Observation.subject", "not-found")])


async def test_a_reference_to_nothing_is_refused_with_its_place(stage):
    await stage.arrive("reg-1")
    body = {**an_observation("reg-1"), "encounter": {"reference": "Encounter/nowhere"}}
    with pytest.raises(Refused) as refused:
        await stage.create(body)
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "REFERENCE_UNKNOWN")
    assert refused.value.fields == [("Observation.encounter", "not-found")]
    body["encounter"] = {"reference": "https://elsewhere.example/fhir/Encounter/1"}
    assert await stage.create(body)


async def test_what_is_wrong_with_a_resource_is_said_by_place(stage):
    await stage.arrive("reg-1")
    body = {**an_observation("reg-1"), "status": "done", "colour": "red"}
    with pytest.raises(Refused) as refused:
        await stage.create(body)
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "RESOURCE_INVALID")
    assert refused.value.fields == [("Observation.status", "code-invalid"), ("Observation.colour", "structure")]


@pytest.mark.parametrize("raw", [b'{"resourceType":"Observation"', b'{"a":1,"a":2}', b"[]", b"\xff\xfe", b"{}" * 9])
async def test_what_is_no_resource_is_refused(stage, raw):
    with pytest.raises(Refused) as refused:
        await stage.call("CreateResource", service_pb2.CreateResourceRequest(type="Observation", body=raw))
    assert refused.value.reason == "RESOURCE_INVALID"


async def test_a_resource_stays_with_the_person_it_was_filed_for(stage):
    await stage.arrive("reg-1")
    await stage.arrive("reg-2")
    made = await stage.create(an_observation("reg-1"))
    with pytest.raises(Refused) as refused:
        await stage.update({**json.loads(made.body), "subject": {"reference": "Patient/reg-2"}})
    assert refused.value.reason == "REGISTRATION_CHANGED"


async def test_a_conditional_creation_finds_what_is_there(stage):
    await stage.arrive("reg-1")
    body = {**an_observation("reg-1"), "identifier": [{"system": "urn:lab", "value": "7"}]}
    first = await stage.create(body, if_none_exist="identifier=urn:lab|7")
    request = service_pb2.CreateResourceRequest(
        type="Observation", body=json.dumps(body).encode(), if_none_exist="identifier=urn:lab|7"
    )
    again = await stage.call("CreateResource", request)
    assert (again.outcome, again.resource.id) == (UNCHANGED, first.id)
    await stage.create(body)
    with pytest.raises(Refused) as refused:
        await stage.create(body, if_none_exist="identifier=urn:lab|7")
    assert refused.value.reason == "MULTIPLE_MATCHES"


async def test_a_dry_run_checks_and_stores_nothing(stage):
    await stage.arrive("reg-1")
    planned = await stage.create(an_observation("reg-1"), validate_only=True)
    assert json.loads(planned.body)["status"] == "final"
    assert await stage.found("Observation?patient=reg-1") == []
    with pytest.raises(Refused):
        await stage.create(an_observation("reg-unknown"), validate_only=True)


async def test_a_newcomer_is_checked_under_an_id_that_is_not_given_yet(stage):
    trial = {"id": "not-given-yet", "validate_only": True, "id_is_provisional": True}

    async def tried(**more):
        body = {**a_patient("not-given-yet"), **more}
        request = service_pb2.CreateResourceRequest(type="Patient", body=json.dumps(body).encode(), **trial)
        return await stage.call("CreateResource", request)

    answer = await tried()
    assert (answer.outcome, answer.HasField("resource")) == (CREATED, False)
    assert await stage.running.database.pool.fetchval("SELECT count(*) FROM changes WHERE feed = 'access'") == 0
    with pytest.raises(Refused) as refused:
        await tried(gender="unheard-of")
    assert refused.value.reason == "RESOURCE_INVALID"
    with pytest.raises(Refused) as refused:
        await tried(managingOrganization={"reference": "Organization/nowhere"})
    assert refused.value.reason == "REFERENCE_UNKNOWN"
    hospital = await stage.create({"resourceType": "Organization", "name": "โรงพยาบาล"})
    answer = await tried(managingOrganization={"reference": f"Organization/{hospital.id}"})
    assert (answer.outcome, answer.HasField("resource")) == (CREATED, False)
    assert await stage.found("Patient") == []


async def test_a_repeated_request_is_answered_as_before(stage):
    await stage.arrive("reg-1")
    first = await stage.create(an_observation("reg-1"), request_id="r-1")
    again = await stage.create(an_observation("reg-1"), request_id="r-1")
    assert again.id == first.id
    assert len(await stage.found("Observation?patient=reg-1")) == 1


async def test_every_type_can_be_stored_and_read(stage):
    await stage.arrive("reg-1")
    for body in (
        {"resourceType": "Organization", "name": "โรงพยาบาล"},
        {"resourceType": "Medication", "code": {"text": "x"}},
        {
            "resourceType": "Coverage",
            "status": "active",
            "beneficiary": {"reference": "Patient/reg-1"},
            "payor": [{"display": "NHSO"}],
        },
        {"resourceType": "Basic", "code": {"text": "x"}},
        {"resourceType": "QuestionnaireResponse", "status": "completed", "subject": {"reference": "Patient/reg-1"}},
    ):
        made = await stage.create(body)
        assert (await stage.read(f"{made.type}/{made.id}"))["resourceType"] == body["resourceType"]


async def test_the_feed_tells_of_visits_and_diagnoses(stage):
    await stage.arrive("reg-1")
    visit = await stage.create(an_encounter("reg-1"))
    place = {"url": "https://nhip.th/fhir/StructureDefinition/illness-place", "valueCode": "500101"}
    dengue = a_condition(
        "reg-1",
        "A97.1",
        encounter={"reference": f"Encounter/{visit.id}"},
        extension=[place],
        onsetDateTime="2024-05-01",
    )
    made = await stage.create(dengue)
    changes = Statement("test.changes", text("SELECT key, event FROM changes WHERE feed = 'records' ORDER BY position"))
    async with stage.running.database.reading() as reader:
        rows = await reader.fetch(changes)
    events = {row["key"]: events_pb2.RecordsEvent.FromString(row["event"]) for row in rows}
    assert set(events) == {"Patient/reg-1", f"Encounter/{visit.id}", f"Condition/{made.id}"}
    seen = events[f"Encounter/{visit.id}"]
    assert (seen.registration_id, seen.organization_id, seen.version) == ("reg-1", A, 1)
    assert (seen.visit.class_code, seen.visit.started_at) == ("AMB", "2024-05-02T09:00:00+07:00")
    diagnosis = events[f"Condition/{made.id}"].diagnosis
    assert [one.code for one in diagnosis.codes] == ["A97.1"]
    assert (diagnosis.encounter_id, diagnosis.place_code, diagnosis.onset_at) == (visit.id, "500101", "2024-05-01")
