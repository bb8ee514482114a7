"""Imports: each resource decided by itself, and the same again changes nothing."""

import json
from datetime import UTC, datetime

import pytest
from nhip.records.v1 import service_pb2
from sqlalchemy import text

from libs.database.statements import Statement
from tests.services.records.stage import (
    A,
    B,
    Refused,
    Stage,
    a_patient,
    an_allergy,
    an_encounter,
    an_observation,
    an_order,
)

CREATED, UPDATED, UNCHANGED, DELETED, REJECTED = 1, 2, 3, 4, 5


def item(body, at: int = 1, **more):
    one = service_pb2.ImportResource(type=body["resourceType"], id=body["id"], body=json.dumps(body).encode(), **more)
    one.source_updated_at.FromDatetime(datetime(2024, 5, at, tzinfo=UTC))
    return one


def finding(number: int, value: float = 1, **more):
    return {**an_observation("reg-1", value=value), "id": f"o-{number}", **more}


async def run(stage: Stage, *items, organization=A):
    request = service_pb2.ImportResourcesRequest(resources=items)
    return list((await stage.call("ImportResources", request, stage.token(organization))).results)


def outcomes(results):
    return [one.outcome for one in results]


async def test_a_file_comes_in_whatever_its_order_and_again_changes_nothing(stage: Stage):
    await stage.register("reg-1")
    visit = {**an_encounter("reg-1"), "id": "e-1"}
    items = [item(finding(1, encounter={"reference": "Encounter/e-1"})), item(visit), item(a_patient("reg-1"))]
    assert outcomes(await run(stage, *items)) == [CREATED] * 3
    count = Statement("test.count", text("SELECT count(*) FROM changes WHERE feed = 'records'"))
    async with stage.running.database.reading() as reader:
        before = await reader.fetch_value(count)
    again = await run(stage, *items)
    assert (outcomes(again), [one.version for one in again]) == ([UNCHANGED] * 3, [1, 1, 1])
    async with stage.running.database.reading() as reader:
        assert (before, await reader.fetch_value(count)) == (3, 3)
    assert (await stage.read("Observation/o-1"))["encounter"]["reference"] == "Encounter/e-1"


async def test_what_changed_makes_a_version_and_what_is_older_none(stage: Stage):
    await stage.arrive("reg-1")
    await run(stage, item(finding(1, 1), at=2))
    assert outcomes(await run(stage, item(finding(1, 2), at=3))) == [UPDATED]
    assert outcomes(await run(stage, item(finding(1, 9), at=1))) == [UNCHANGED]
    assert (await stage.read("Observation/o-1"))["valueQuantity"]["value"] == 2


async def test_a_removal_is_a_version_and_an_older_writing_brings_nothing_back(stage: Stage):
    await stage.arrive("reg-1")
    await run(stage, item(finding(1), at=2))
    assert outcomes(await run(stage, item(finding(1), at=3, is_deleted=True))) == [DELETED]
    assert outcomes(await run(stage, item(finding(1), at=3, is_deleted=True))) == [UNCHANGED]
    assert outcomes(await run(stage, item(finding(1), at=1))) == [UNCHANGED]
    assert outcomes(await run(stage, item(finding(1), at=4))) == [CREATED]
    assert outcomes(await run(stage, item(finding(2), is_deleted=True))) == [UNCHANGED]


async def test_what_is_wrong_is_rejected_by_itself_with_its_place(stage: Stage):
    await stage.arrive("reg-1")
    broken = item(finding(2, status="done"))
    dangling = item(finding(3, encounter={"reference": "Encounter/rejected"}))
    visit = item({**an_encounter("nobody"), "id": "rejected"})
    no_json = service_pb2.ImportResource(type="Observation", id="o-4", body=b"{")
    results = await run(stage, item(finding(1)), broken, dangling, visit, no_json, item(finding(1)))
    assert outcomes(results) == [CREATED, REJECTED, REJECTED, REJECTED, REJECTED, REJECTED]
    assert [(one.error_reason, one.error_expression) for one in results[1:]] == [
        ("RESOURCE_INVALID", "Observation.status"),
        ("REFERENCE_UNKNOWN", "Observation.encounter"),
        ("REFERENCE_UNKNOWN", "Encounter.subject"),
        ("RESOURCE_INVALID", "Observation"),
        ("RESOURCE_INVALID", "Observation.id"),
    ]


async def test_nobody_imports_over_another_organisations_resources(stage: Stage):
    await stage.arrive("reg-1", A)
    await run(stage, item(finding(1)))
    (taken,) = await run(stage, item(finding(1)), organization=B)
    assert (taken.outcome, taken.error_reason) == (REJECTED, "ORGANIZATION_FOREIGN")


async def test_history_is_imported_though_it_held_a_mistake(stage: Stage):
    await stage.arrive("reg-1")
    await stage.create(an_allergy("reg-1", "Amoxicillin"))
    given = {**an_order("reg-1", "Amoxicillin 500 mg"), "id": "m-1"}
    assert outcomes(await run(stage, item(given))) == [CREATED]


async def test_imports_need_the_scope_and_an_organisation(stage: Stage):
    for token in (stage.token(A, scopes="user/*.cruds"), stage.token("", scopes="records.import")):
        with pytest.raises(Refused):
            await stage.call("ImportResources", service_pb2.ImportResourcesRequest(resources=[item(finding(1))]), token)


async def test_a_sources_own_ids_and_references_become_those_of_this_server(stage: Stage):
    await stage.register("reg-1")
    person = item({**a_patient("reg-1"), "id": "1"}, is_renamed=True)
    person.id = "reg-1"
    visit = {**an_encounter("reg-1"), "id": "v1", "subject": {"reference": "Patient/1"}}
    seen = item(
        finding(
            7,
            subject={"reference": "https://old.example.org/fhir/Patient/1"},
            encounter={"reference": "Encounter/v1"},
        ),
        is_renamed=True,
    )
    seen.id = "new-7"
    request = service_pb2.ImportResourcesRequest(
        resources=[person, item(visit), seen],
        aliases={"Patient/1": "Patient/reg-1", "Encounter/v1": "Encounter/nowhere"},
        base_url="https://old.example.org/fhir",
    )
    results = (await stage.call("ImportResources", request, stage.token(A))).results
    assert outcomes(results) == [CREATED] * 3
    stored = await stage.read("Observation/new-7")
    assert (stored["id"], stored["subject"]["reference"]) == ("new-7", "Patient/reg-1")
    assert stored["encounter"]["reference"] == "Encounter/v1", "an alias that leads nowhere changes nothing"


async def test_every_defect_of_a_rejected_resource_is_told(stage: Stage):
    await stage.arrive("reg-1")
    (result,) = await run(stage, item({**finding(1), "status": "done", "nonsense": 1}))
    assert result.outcome == REJECTED
    assert {"Observation.status", "Observation.nonsense"} <= {one.expression for one in result.issues}
    assert all(one.code and one.description for one in result.issues)
