"""Pages of an export: what was current at a time, for whose eyes it is."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import grpc
import pytest
from nhip.audit.v1 import events_pb2
from nhip.records.v1 import exports_pb2, exports_pb2_grpc, service_pb2
from sqlalchemy import text

from libs.access.caller import EMERGENCY
from libs.database.statements import Statement
from services.records.store import exporting
from tests.services.records.stage import (
    DENY,
    PERMIT,
    SENSITIVE,
    A,
    B,
    Refused,
    Stage,
    a_condition,
    an_encounter,
    an_observation,
    refusal,
    treating,
)

SYSTEM, PATIENT, GROUP = 1, 2, 3
READER = "system/*.rs"
A_WRITE = Statement("test.write", text("UPDATE locators SET is_deleted = is_deleted"))


@dataclass
class Exported:
    """What an export gave, page by page."""

    resources: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    pages: int = 0

    @property
    def keys(self) -> list[str]:
        return sorted(f"{one['resourceType']}/{one['id']}" for one in self.resources)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.resources if one["resourceType"] == kind]


class Exporting:
    """A job as exchange runs it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.stub = stage.running.stub(exports_pb2_grpc.ExportRecordsServiceStub)
        self.worker = stage.token("nhip", scopes="records.export")

    async def call(self, method: str, request: Any, token: Any) -> Any:
        try:
            return await getattr(self.stub, method)(request, metadata=token, timeout=30)
        except grpc.aio.AioRpcError as error:
            raise refusal(error) from None

    async def plan(self, token: Any = None, level: int = SYSTEM, **asked: Any) -> str:
        request = exports_pb2.PlanExportRequest(level=level, **asked)  # type: ignore[arg-type]  # a number
        answer = await self.call("PlanExport", request, token or self.stage.token(scopes=READER))
        return str(answer.plan)

    async def open(self, plan: str, as_of: datetime) -> Any:
        self.stage.now[0] = max(self.stage.now[0], as_of + timedelta(seconds=3))
        request = exports_pb2.OpenExportRequest(plan=plan)
        request.transaction_time.FromDatetime(as_of)
        return await self.call("OpenExport", request, self.worker)

    async def pages(self, plan: str, as_of: datetime) -> Any:
        opened = await self.open(plan, as_of)
        regs = list(opened.registration_ids)
        walks: list[dict[str, Any]] = [{"registration_ids": regs[at : at + 2]} for at in range(0, len(regs), 2)]
        for walk in [*walks, *({"type": one} for one in opened.types)]:
            after = ""
            while True:
                request = exports_pb2.ReadExportRequest(plan=plan, after=after, **walk)
                request.transaction_time.FromDatetime(as_of)
                page = await self.call("ReadExport", request, self.worker)
                yield page
                after = page.next
                if not after:
                    break

    async def all(self, plan: str, as_of: datetime) -> Exported:
        found = Exported()
        async for page in self.pages(plan, as_of):
            found.pages += 1
            take(found, page)
        return found

    async def now(self, token: Any = None, level: int = SYSTEM, **asked: Any) -> Exported:
        """Plans and reads at once."""
        return await self.all(await self.plan(token, level, **asked), self.stage.now[0])


def take(found: Exported, page: Any) -> None:
    for lines in page.lines:
        held = [json.loads(line) for line in lines.ndjson.splitlines()]
        assert len(held) == lines.count
        assert {one["resourceType"] for one in held} == {lines.type}
        found.resources += held
    found.deleted += page.deleted


@pytest.fixture
def exporting_of(stage: Stage) -> Exporting:
    return Exporting(stage)


@pytest.fixture
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PAGE_ROWS", 3)


async def populate(stage: Stage, count: int = 4) -> None:
    for number in range(count):
        await stage.arrive(f"p{number}")
        await stage.create(an_observation(f"p{number}"))
        await stage.create(a_condition(f"p{number}", "J06"))
        stage.now[0] += timedelta(seconds=1)


@pytest.mark.usefixtures("_small_pages")
async def test_every_resource_comes_once_however_small_the_pages_are(stage: Stage, exporting_of: Exporting) -> None:
    await populate(stage, 7)
    await stage.create({"resourceType": "Location", "name": "ห้องฉุกเฉิน"})
    found = await exporting_of.now()
    assert len(found.keys) == len(set(found.keys)) == 7 * 3 + 1
    assert found.pages > 7
    observation = found.of("Observation")[0]
    assert await stage.read(f"Observation/{observation['id']}") == observation


@pytest.mark.usefixtures("_small_pages")
async def test_what_is_recorded_while_pages_are_read_is_not_in_them(stage: Stage, exporting_of: Exporting) -> None:
    await populate(stage, 6)
    before = {one["id"]: one for one in (await exporting_of.now(types=["Observation"])).resources}
    as_of = stage.now[0]
    plan = await exporting_of.plan(types=["Observation"])
    found, changed = Exported(), 0
    async for page in exporting_of.pages(plan, as_of):
        take(found, page)
        # One that was given already, one that is still to come, one that goes, one that is new.
        for one in list(before.values())[changed : changed + 2]:
            await stage.update({**one, "status": "amended"})
        changed += 2
        await stage.create(an_observation("p0"))
        if changed == 2:
            gone = list(before)[-1]
            await stage.call("DeleteResource", service_pb2.DeleteResourceRequest(type="Observation", id=gone))
        stage.now[0] += timedelta(seconds=1)
    assert changed > 2
    assert {one["id"]: one for one in found.resources} == before
    assert len(found.resources) == len(before)


async def test_a_caller_gets_what_their_searches_find_and_nothing_else(stage: Stage, exporting_of: Exporting) -> None:
    await stage.arrive("open", A, key="key-open")
    await stage.arrive("closed", A, key="key-closed")
    for one in ("open", "closed"):
        await stage.create(an_observation(one))
        await stage.create(a_condition(one, "B20"))
    await stage.consent("key-closed", B, DENY)
    for token in (stage.token(B, scopes=READER), treating(stage), stage.token(scopes=READER)):
        found = await exporting_of.now(token, types=["Observation", "Condition", "Patient"])
        searched = [key for kind in ("Observation", "Condition", "Patient") for key in await stage.found(kind, token)]
        assert found.keys == sorted(searched)
    own, foreign = stage.token(scopes=READER), stage.token(B, scopes=READER)
    assert len((await exporting_of.now(own)).keys) == 6
    assert (await exporting_of.now(foreign)).keys == []
    treated = await exporting_of.now(treating(stage))
    assert {one["subject"]["reference"] for one in treated.of("Observation")} == {"Patient/open"}
    assert treated.of("Condition") == [], "what is sensitive needs a permission"
    await stage.consent("key-open", B, PERMIT, category=SENSITIVE)
    assert len((await exporting_of.now(treating(stage))).of("Condition")) == 1


@pytest.mark.usefixtures("_small_pages")
async def test_a_consent_that_is_withdrawn_meanwhile_closes_the_pages_to_come(
    stage: Stage, exporting_of: Exporting
) -> None:
    await stage.arrive("p1", A, key="key-1")
    for _ in range(7):
        await stage.create(an_observation("p1"))
        stage.now[0] += timedelta(seconds=1)
    plan, found = await exporting_of.plan(treating(stage), types=["Observation"]), Exported()
    async for page in exporting_of.pages(plan, stage.now[0]):
        take(found, page)
        await stage.consent("key-1", B, DENY)
    assert len(found.resources) == 3


async def test_nothing_is_read_of_a_type_that_the_token_does_not_grant(stage: Stage, exporting_of: Exporting) -> None:
    await populate(stage, 1)
    token = stage.token(scopes="system/Observation.rs")
    assert {one["resourceType"] for one in (await exporting_of.now(token)).resources} == {"Observation"}
    with pytest.raises(Refused) as caught:
        await exporting_of.plan(token, types=["Patient"])
    assert caught.value.reason == "SCOPE_MISSING"
    with pytest.raises(Refused) as caught:
        await exporting_of.plan(stage.token(scopes=READER, purpose=EMERGENCY))
    assert caught.value.reason == "PURPOSE_REFUSED"


async def test_patients_alone_or_some_of_them(stage: Stage, exporting_of: Exporting) -> None:
    await populate(stage, 3)
    await stage.create({"resourceType": "Location", "name": "ห้องฉุกเฉิน"})
    everyone = await exporting_of.now(level=PATIENT)
    assert len(everyone.keys) == 9
    with_places = await exporting_of.now(level=PATIENT, types=["Patient", "Location"])
    assert {one["resourceType"] for one in with_places.resources} == {"Patient", "Location"}
    one = await exporting_of.now(level=PATIENT, patient_ids=["p1"])
    assert len(one.keys) == 3
    assert {body.get("subject", {}).get("reference", f"Patient/{body['id']}") for body in one.resources} == {
        "Patient/p1"
    }
    with pytest.raises(Refused) as caught:
        await exporting_of.plan(level=PATIENT, patient_ids=["p1", "nobody"])
    assert (caught.value.reason, caught.value.fields[0][0]) == ("RESOURCE_UNKNOWN", "patient")


async def test_a_group_is_its_members_with_all_their_registrations_each_once(
    stage: Stage, exporting_of: Exporting
) -> None:
    await populate(stage, 4)
    await stage.register("p0", person="one")
    await stage.arrive("p9", B, person="one")
    await stage.create(an_observation("p9"), B)
    inner = await stage.create(a_group("p2"))
    token = treating(stage, A)
    group = await stage.create(a_group("p0", "p9", f"Group/{inner.id}", gone=["p3"]), token=token)
    found = await exporting_of.now(token, GROUP, group_id=group.id)
    assert {one["id"] for one in found.of("Patient")} == {"p0", "p2", "p9"}
    # The Groups are filed under the first of their members.
    assert len(found.keys) == len(set(found.keys)) == 3 + 3 + 2 + 2
    only = await exporting_of.now(token, GROUP, group_id=group.id, patient_ids=["p2", "p3"])
    assert {one["id"] for one in only.of("Patient")} == {"p2"}
    with pytest.raises(Refused) as caught:
        await exporting_of.plan(stage.token(B, scopes=READER), GROUP, group_id=group.id)
    assert caught.value.reason == "RESOURCE_UNKNOWN", "a Group of another organisation is not there"


def a_group(*members: str, gone: list[str] | None = None) -> dict[str, Any]:
    references = [one if "/" in one else f"Patient/{one}" for one in members]
    listed: list[dict[str, Any]] = [{"entity": {"reference": one}} for one in references]
    listed += [{"entity": {"reference": f"Patient/{one}"}, "inactive": True} for one in gone or []]
    return {"resourceType": "Group", "type": "person", "actual": True, "member": listed}


async def test_since_tells_what_changed_and_what_was_deleted(stage: Stage, exporting_of: Exporting) -> None:
    await populate(stage, 2)
    first = await exporting_of.now(types=["Observation"])
    since = stage.now[0]
    stage.now[0] += timedelta(seconds=5)
    gone, kept = first.resources
    await stage.call("DeleteResource", service_pb2.DeleteResourceRequest(type="Observation", id=gone["id"]))
    new = await stage.create(an_observation("p0"))
    found = await exporting_of.now(types=["Observation"], since=since)
    assert (found.keys, found.deleted) == ([f"Observation/{new.id}"], [f"Observation/{gone['id']}"])
    whole = await exporting_of.now(types=["Observation"])
    assert (whole.keys, whole.deleted) == (sorted([f"Observation/{new.id}", f"Observation/{kept['id']}"]), [])


async def test_filters_are_searches_and_alternatives(stage: Stage, exporting_of: Exporting) -> None:
    await populate(stage, 2)
    await stage.create(an_observation("p0", code="2345-7", on="2024-01-01"))
    await stage.create(an_observation("p1", code="2345-7", on="2023-01-01"))
    await stage.create(an_observation("p1", code="4548-4", on="2024-02-02"))
    filters = ["Observation?code=2345-7&date=ge2024", "Observation?code=http://loinc.org|4548-4"]
    found = await exporting_of.now(type_filters=filters)
    codes = sorted(one["code"]["coding"][0]["code"] for one in found.of("Observation"))
    assert codes == ["2345-7", "4548-4"]
    assert len(found.of("Condition")) == 2, "what has no filter comes whole"
    chained = await exporting_of.now(types=["Condition"], type_filters=["Condition?patient._id=p1"])
    assert [one["subject"]["reference"] for one in chained.resources] == ["Patient/p1"]
    for wrong, reason in (
        ("Observation?nonsense=1", "SEARCH_INVALID"),
        ("Observation?_sort=date", "EXPORT_INVALID"),
        ("Observation", "EXPORT_INVALID"),
        ("Nothing?code=1", "EXPORT_INVALID"),
    ):
        with pytest.raises(Refused) as caught:
            await exporting_of.plan(type_filters=[wrong])
        assert caught.value.reason == reason


async def test_elements_are_those_asked_for_and_the_mandatory(stage: Stage, exporting_of: Exporting) -> None:
    await populate(stage, 1)
    found = await exporting_of.now(types=["Observation", "Patient"], elements=["Patient.gender", "id"])
    (patient,), (observation,) = found.of("Patient"), found.of("Observation")
    assert patient.keys() == {"resourceType", "id", "meta", "gender"}
    assert observation.keys() == {"resourceType", "id", "meta", "status", "code"}
    assert patient["meta"]["tag"][0]["code"] == "SUBSETTED"


async def test_a_large_resource_does_not_make_a_large_page(
    stage: Stage, exporting_of: Exporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PAGE_BYTES", 1000)
    await stage.arrive("p1")
    for _ in range(3):
        await stage.create({**an_encounter("p1"), "text": a_text(5000)})
    found = await exporting_of.now(types=["Encounter"])
    assert (len(set(found.keys)), found.pages) == (3, 3)


def a_text(length: int) -> dict[str, str]:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{"ก" * length}</div>'}


async def test_an_export_waits_for_a_write_that_began_before_its_time(
    stage: Stage, exporting_of: Exporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.records.api.exporting.PATIENCE_SECONDS", 0.5)
    await populate(stage, 1)
    plan, as_of = await exporting_of.plan(), stage.now[0]
    stage.now[0] += timedelta(seconds=3)
    async with stage.running.database.writing() as writer:
        await writer.lock("something")
        await writer.execute(A_WRITE)
        with pytest.raises(Refused) as caught:
            await exporting_of.open(plan, as_of)
        assert caught.value.reason == "EXPORT_SETTLING"
    assert "Observation" in (await exporting_of.open(plan, as_of)).types


async def test_only_exchange_reads_and_only_by_a_plan_made_here(stage: Stage, exporting_of: Exporting) -> None:
    await populate(stage, 1)
    plan = await exporting_of.plan()
    request = exports_pb2.ReadExportRequest(plan=plan, type="Observation")
    request.transaction_time.FromDatetime(stage.now[0])
    with pytest.raises(Refused) as caught:
        await exporting_of.call("ReadExport", request, stage.token(scopes=READER))
    assert caught.value.reason == "SCOPE_MISSING"
    request.plan = plan[:-2] + ("AA" if plan[-2:] != "AA" else "BB")
    with pytest.raises(Refused) as caught:
        await exporting_of.call("ReadExport", request, exporting_of.worker)
    assert caught.value.reason == "PLAN_INVALID"


async def test_who_asked_is_who_looked(stage: Stage, exporting_of: Exporting) -> None:
    await populate(stage, 1)
    plan = await exporting_of.plan(stage.token(scopes=READER, subject="client/research"))
    await exporting_of.all(plan, stage.now[0])
    rows = await stage.running.database.pool.fetch("SELECT event FROM changes WHERE feed = 'access'")
    events = [events_pb2.AccessEvent.FromString(row["event"]) for row in rows]
    read = [one for one in events if one.method == "ReadExport" and one.registration_ids]
    assert read
    assert {one.caller_subject for one in read} == {"client/research"}
    assert {one.organization_id for one in read} == {A}
    assert {name for one in read for name in one.registration_ids} == {"p0"}
