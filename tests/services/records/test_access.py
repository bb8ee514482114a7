"""Who sees what, on every path by which something can be seen."""

import json

import grpc
import pytest
from nhip.audit.v1 import events_pb2
from nhip.records.v1 import service_pb2
from sqlalchemy import text

from libs.access.caller import EMERGENCY, PAYMENT
from libs.database.statements import Statement
from tests.services.records.stage import (
    DENY,
    GENERAL,
    PERMIT,
    SENSITIVE,
    A,
    B,
    C,
    Refused,
    Stage,
    a_condition,
    an_encounter,
    an_observation,
    treating,
)


class Paths:
    """Every way to see one observation of registration reg-1."""

    def __init__(self, stage: Stage, key: str) -> None:
        self.stage, self.key = stage, key
        self.type, self.id = key.split("/")

    async def seen(self, token) -> dict[str, bool]:
        """By which paths it is seen. All or none, or something leaks."""
        stage = self.stage
        matches = await stage.search(f"{self.type}?patient=reg-1&_total=accurate", token)
        everywhere = await stage.search(f"{self.type}?_total=accurate", token)
        counted = await stage.search(f"{self.type}?patient=reg-1&_summary=count", token)
        included = await stage.search(f"Patient?_id=reg-1&_revinclude={self.type}:patient", stage.token(A))
        assert [f"{one.type}/{one.id}" for one in included.included] == [self.key]
        by_patient = await stage.search(f"Patient?_id=reg-1&_revinclude={self.type}:patient", token)
        version = service_pb2.ReadVersionRequest(type=self.type, id=self.id, version=1)
        history = service_pb2.ListHistoryRequest(type=self.type, id=self.id)
        of_type = await stage.call("ListHistory", service_pb2.ListHistoryRequest(type=self.type), token)
        entry = service_pb2.TransactionEntry(method="GET", url=self.key)
        transaction = service_pb2.ExecuteTransactionRequest(entries=[entry])
        return {
            "read": await self.answers(
                "ReadResource", service_pb2.ReadResourceRequest(type=self.type, id=self.id), token
            ),
            "vread": await self.answers("ReadVersion", version, token),
            "history": await self.answers("ListHistory", history, token),
            "history of the type": bool(of_type.versions),
            "search": bool(matches.matches),
            "total": matches.total > 0,
            "search of the type": bool(everywhere.matches),
            "total of the type": everywhere.total > 0,
            "count": counted.total > 0,
            "included": bool(by_patient.included),
            "transaction": await self.answers("ExecuteTransaction", transaction, token),
        }

    async def answers(self, method: str, request, token) -> bool:
        try:
            await self.stage.call(method, request, token)
        except Refused as refused:
            return (refused.code, refused.reason) != (grpc.StatusCode.NOT_FOUND, "RESOURCE_UNKNOWN")
        return True

    async def all(self, token) -> bool:
        """True if seen by every path, False if by none."""
        seen = await self.seen(token)
        assert len(set(seen.values())) == 1, seen
        return seen["read"]


@pytest.fixture
async def paths(stage: Stage) -> Paths:
    await stage.arrive("reg-1", A, person="p-1", key="k-1")
    made = await stage.create(an_observation("reg-1"))
    return Paths(stage, f"Observation/{made.id}")


async def test_who_treats_sees_what_another_hospital_filed(stage: Stage, paths: Paths):
    assert await paths.all(treating(stage, B))


async def test_who_only_asks_to_be_paid_sees_nothing_of_another_hospital(stage: Stage, paths: Paths):
    assert not await paths.all(stage.token(B, purpose=PAYMENT))
    assert not await paths.all(stage.token(B))
    assert await paths.all(stage.token(A, purpose=PAYMENT))


async def test_a_refusal_of_consent_hides_everything_everywhere(stage: Stage, paths: Paths):
    await stage.consent("k-1", B, DENY)
    assert not await paths.all(treating(stage, B))
    assert await paths.all(treating(stage, C))
    assert await paths.all(treating(stage, A))


async def test_a_refusal_for_all_spares_whom_the_citizen_permits(stage: Stage, paths: Paths):
    await stage.consent("k-1", "", DENY)
    assert not await paths.all(treating(stage, B))
    await stage.consent("k-1", B, PERMIT)
    assert await paths.all(treating(stage, B))
    assert not await paths.all(treating(stage, C))


async def test_of_two_decisions_alike_the_refusal_wins(stage: Stage, paths: Paths):
    await stage.consent("k-1", B, PERMIT, consent_id="one")
    await stage.consent("k-1", B, DENY, consent_id="two")
    assert not await paths.all(treating(stage, B))


async def test_a_decision_ends_when_it_expires(stage: Stage, paths: Paths):
    await stage.consent("k-1", B, DENY, days=10)
    assert not await paths.all(treating(stage, B))
    stage.now[0] = stage.now[0].replace(month=7)
    assert await paths.all(treating(stage, B))


async def test_an_emergency_sees_over_a_refusal(stage: Stage, paths: Paths):
    await stage.consent("k-1", B, DENY)
    assert await paths.all(stage.token(B, purpose=EMERGENCY, reason="unconscious"))


async def test_a_citizen_sees_their_own_and_nobody_elses(stage: Stage, paths: Paths):
    assert await stage.read(paths.key, stage.citizen("k-1"))
    with pytest.raises(Refused):
        await stage.read(paths.key, stage.citizen("k-2"))
    assert await stage.found("Observation?", stage.citizen("k-1")) == [paths.key]
    assert await stage.found("Observation?", stage.citizen("k-2")) == []


async def test_a_registration_that_the_index_has_not_placed_is_its_own_hospitals_alone(stage: Stage):
    await stage.file_patient("reg-1")
    made = await stage.create(an_observation("reg-1"))
    paths = Paths(stage, f"Observation/{made.id}")
    assert not await paths.all(treating(stage, B))
    assert not await paths.all(stage.token(B, purpose=EMERGENCY, reason="x"))
    assert await paths.all(treating(stage, A))


async def test_what_is_sensitive_needs_a_permission_of_its_own(stage: Stage):
    await stage.arrive("reg-1", A, person="p-1", key="k-1")
    hiv = await stage.create(a_condition("reg-1", "B20.1"))
    paths = Paths(stage, f"Condition/{hiv.id}")
    assert not any((await paths.seen(treating(stage, B))).values())
    await stage.consent("k-1", "", PERMIT, category=SENSITIVE)
    assert all((await paths.seen(treating(stage, B))).values())
    await stage.consent("k-1", B, DENY, category=GENERAL)
    assert not any((await paths.seen(treating(stage, B))).values())


@pytest.mark.parametrize(
    "label",
    [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"},
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"},
    ],
)
async def test_a_label_makes_a_record_and_its_past_sensitive(stage: Stage, label):
    await stage.arrive("reg-1", A, person="p-1")
    made = await stage.create(an_observation("reg-1"))
    body = json.loads(made.body)
    await stage.update({**body, "meta": {"security": [label]}})
    assert not any((await Paths(stage, f"Observation/{made.id}").seen(treating(stage, B))).values())


async def test_unlinking_separates_what_linking_joined(stage: Stage):
    await stage.arrive("reg-1", A, person="p-1", key="k-1")
    await stage.arrive("reg-2", B, person="p-1")
    first = await stage.create(an_observation("reg-1"))
    second = await stage.create(an_observation("reg-2"), B)
    both = sorted([f"Observation/{first.id}", f"Observation/{second.id}"])
    assert sorted(await stage.found("Observation?patient=reg-2", treating(stage, B))) == both
    assert sorted(await stage.found("Observation?patient=Patient/reg-1", treating(stage, B))) == both
    await stage.register("reg-2", B, person="p-2")
    assert await stage.found("Observation?patient=reg-2", treating(stage, B)) == [f"Observation/{second.id}"]
    assert await stage.found("Observation?patient=reg-1", treating(stage, B)) == [f"Observation/{first.id}"]
    await stage.register("reg-2", B, person="p-1")
    assert sorted(await stage.found("Observation?patient=reg-2", treating(stage, B))) == both


async def test_a_consent_reaches_every_registration_of_the_person(stage: Stage):
    await stage.arrive("reg-1", A, person="p-1", key="k-1")
    await stage.consent("k-1", C, DENY)
    await stage.arrive("reg-2", B, person="p-2")
    made = await stage.create(an_observation("reg-2"), B)
    assert await stage.read(f"Observation/{made.id}", treating(stage, C))
    await stage.register("reg-2", B, person="p-1")
    with pytest.raises(Refused):
        await stage.read(f"Observation/{made.id}", treating(stage, C))
    await stage.register("reg-2", B, person="p-2")
    assert await stage.read(f"Observation/{made.id}", treating(stage, C))


async def test_a_person_who_may_not_be_seen_leads_to_no_other_registration(stage: Stage):
    """Asking by a hidden registration must not tell that one's own patient is the same person."""
    await stage.arrive("reg-1", A, person="p-1", key="k-1")
    await stage.arrive("reg-2", B, person="p-1")
    await stage.create(an_observation("reg-2"), B)
    await stage.consent("k-1", B, DENY)
    assert await stage.found("Observation?patient=reg-1", treating(stage, B)) == []
    assert len(await stage.found("Observation?patient=reg-2", treating(stage, B))) == 1


async def test_redelivered_and_late_events_change_nothing(stage: Stage, paths: Paths):
    await stage.consent("k-1", B, DENY, version=2)
    await stage.consent("k-1", B, DENY, version=2)
    await stage.consent("k-1", B, PERMIT, version=1)
    assert not await paths.all(treating(stage, B))
    await stage.register("reg-1", A, person="p-9", key="k-1")
    stage.versions["reg-1"] = 0
    await stage.register("reg-1", A, person="p-other", key="k-none")
    assert not await paths.all(treating(stage, B))


async def test_an_include_shows_only_what_may_be_seen(stage: Stage):
    await stage.arrive("reg-1", A, person="p-1", key="k-1")
    visit = await stage.create(an_encounter("reg-1"))
    label = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}]}
    await stage.update({**json.loads(visit.body), "meta": label})
    made = await stage.create({**an_observation("reg-1"), "encounter": {"reference": f"Encounter/{visit.id}"}})
    page = await stage.search("Observation?patient=reg-1&_include=Observation:encounter", treating(stage, B))
    assert ([one.id for one in page.matches], list(page.included)) == ([made.id], [])
    page = await stage.search("Observation?patient=reg-1&_include=Observation:encounter", stage.token(A))
    assert [one.id for one in page.included] == [visit.id]
    only = stage.token(A, scopes="user/Observation.rs")
    page = await stage.search("Observation?patient=reg-1&_include=Observation:encounter", only)
    assert not page.included


async def test_a_summary_is_refused_to_whom_the_person_refuses(stage: Stage, paths: Paths):
    request = service_pb2.GetSummaryRequest(person_id="p-1")
    await stage.consent("k-1", B, DENY)
    with pytest.raises(Refused) as refused:
        await stage.call("GetSummary", request, treating(stage, B))
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CONSENT_REFUSED")
    assert await stage.call("GetSummary", request, stage.token(B, purpose=EMERGENCY, reason="x"))
    with pytest.raises(Refused) as unknown:
        await stage.call("GetSummary", request, stage.citizen("k-2"))
    assert unknown.value.reason == "PERSON_UNKNOWN"
    assert (await stage.call("GetSummary", request, stage.citizen("k-1"))).registration_ids == ["reg-1"]


async def test_a_refused_look_stands_in_the_audit_log_as_refused(stage: Stage, paths: Paths):
    with pytest.raises(Refused):
        await stage.read(paths.key, stage.token(B))
    newest = Statement(
        "test.newest", text("SELECT event FROM changes WHERE feed = 'access' ORDER BY position DESC LIMIT 1")
    )
    async with stage.running.database.reading() as reader:
        event = events_pb2.AccessEvent.FromString(await reader.fetch_value(newest))
    assert (event.reason, event.organization_id) == ("RESOURCE_UNKNOWN", B)
    assert (list(event.registration_ids), list(event.resources)) == (["reg-1"], [paths.key])
    assert event.outcome == 2


async def test_what_names_nobody_is_open_only_where_it_is_a_directory_or_a_definition(stage):
    medication = await stage.create({"resourceType": "Medication", "code": {"text": "paracetamol"}})
    unnamed = {key: value for key, value in an_observation("reg-1").items() if key != "subject"}
    observation = await stage.create(unnamed)
    assert await stage.read(f"Medication/{medication.id}", treating(stage, B))
    assert await stage.read(f"Observation/{observation.id}", stage.token(A))
    with pytest.raises(Refused, match="RESOURCE_UNKNOWN"):
        await stage.read(f"Observation/{observation.id}", treating(stage, B))
    assert await stage.found("Observation", treating(stage, B)) == []


async def test_encounters_are_counted_for_whoever_links_and_named_to_whom_may_see_them(stage: Stage):
    await stage.arrive("reg-1", A, person="p-1", key="k-1")
    await stage.arrive("reg-2", B, person="p-1")
    mine = await stage.create(an_encounter("reg-1"))
    await stage.create(an_encounter("reg-2"), B)
    await stage.create(an_observation("reg-1"))
    request = service_pb2.CountEncountersRequest(registration_ids=["reg-1", "reg-2", "reg-9"], limit=10)
    steward = stage.token(A, scopes="registrations.link")
    counted = await stage.call("CountEncounters", request, steward)
    assert (counted.count, [(one.id, one.registration_id) for one in counted.items]) == (2, [(mine.id, "reg-1")])
    treats = stage.token(C, scopes="registrations.link", purpose=1)
    assert len((await stage.call("CountEncounters", request, treats)).items) == 2
    await stage.consent("k-1", C, DENY)
    refused = await stage.call("CountEncounters", request, treats)
    assert (refused.count, len(refused.items)) == (2, 0)
    with pytest.raises(Refused):
        await stage.call("CountEncounters", request, stage.token(A, scopes="system/*.cruds"))
