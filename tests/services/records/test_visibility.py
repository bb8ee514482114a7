"""The condition on visible rows against two other judges: row-level security, and a store without the hidden rows."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from libs.access.caller import EMERGENCY, PAYMENT, TREATMENT, Caller, CallerKind, Scopes
from libs.database.engine import Database
from libs.database.statements import Statement
from libs.fhir.references import LocalReference
from libs.ids import new_id
from services.records.model import Decision, Intent, Operation, Outcome, Sensitivity
from services.records.rules.filing import finished
from services.records.rules.index_entries import WITH_SYSTEM, entries_of, reference, token
from services.records.rules.queries import parse_query
from services.records.store import allergies, histories, resources, searching, summaries
from services.records.visibility import parameters, view_of, visible
from tests.services.records.stage import A, B, C, a_patient, an_allergy, an_encounter, an_observation
from tests.support.postgres import DatabaseUrl

NOW = datetime(2024, 6, 1, tzinfo=UTC)
PERSONS, KEYS, ORGANIZATIONS = ("p-1", "p-2"), ("k-1", "k-2"), (A, B, C)
REGISTRATIONS = ("r-1", "r-2", "r-3", "r-4")
SCOPES = Scopes.parse("user/*.cruds")
CALLERS = (
    *(
        Caller(CallerKind.CLIENT, "c", one, SCOPES, purpose)
        for one in (A, B)
        for purpose in (TREATMENT, EMERGENCY, PAYMENT, 0)
    ),
    Caller(CallerKind.CLIENT, "c", "", SCOPES, TREATMENT),
    *(Caller(CallerKind.CITIZEN, "c", "", SCOPES, 7, key) for key in (*KEYS, "k-none", "")),
)

# Written apart from the condition that it judges: a policy for each ground on which a row is seen.
ORACLE = """
    CREATE FUNCTION standing(person text, kind smallint) RETURNS text LANGUAGE sql STABLE AS $$
        SELECT CASE
            WHEN bool_or(organization_id <> '' AND decision = 2) THEN 'refused'
            WHEN bool_or(organization_id <> '' AND decision = 1) THEN 'permitted'
            WHEN bool_or(organization_id = '' AND decision = 2) THEN 'refused'
            WHEN bool_or(organization_id = '' AND decision = 1) THEN 'permitted'
            ELSE 'silent' END
        FROM person_consents
        WHERE person_id = person AND category = kind AND expires_at > CAST(current_setting('nhip.now') AS timestamptz)
          AND organization_id IN ('', current_setting('nhip.organization'))
    $$;
    CREATE FUNCTION person_of(registration text) RETURNS text LANGUAGE sql STABLE AS $$
        SELECT person_id FROM registrations WHERE registration_id = registration
    $$;
    ALTER TABLE resources ENABLE ROW LEVEL SECURITY;
    CREATE POLICY about_nobody ON resources FOR SELECT TO {role} USING (NOT is_personal);
    CREATE POLICY own ON resources FOR SELECT TO {role}
        USING (organization_id = current_setting('nhip.organization') AND current_setting('nhip.kind') <> 'citizen');
    CREATE POLICY of_the_citizen ON resources FOR SELECT TO {role} USING (
        current_setting('nhip.kind') = 'citizen' AND current_setting('nhip.citizen_key') <> ''
        AND person_of(filed_under) IN
            (SELECT person_id FROM registrations WHERE citizen_key = current_setting('nhip.citizen_key')));
    CREATE POLICY emergency ON resources FOR SELECT TO {role}
        USING (current_setting('nhip.purpose') = 'emergency' AND person_of(filed_under) IS NOT NULL);
    CREATE POLICY treatment ON resources FOR SELECT TO {role} USING (
        current_setting('nhip.purpose') = 'treatment' AND person_of(filed_under) IS NOT NULL
        AND standing(person_of(filed_under), 1::smallint) <> 'refused'
        AND (sensitivity = 0 OR standing(person_of(filed_under), 2::smallint) = 'permitted'));
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};
"""


@dataclass(frozen=True)
class Filed:
    """A resource of a generated store."""

    kind: str
    registration: str
    sensitivity: int
    is_deleted: bool
    past: int


@dataclass(frozen=True)
class Store:
    """A generated store."""

    organizations: tuple[str, ...]
    # Per registration: the person (empty: not placed) and the citizen's key.
    placed: tuple[tuple[str, str], ...]
    # person, category, organisation, decision, days until it ends.
    consents: tuple[tuple[str, int, str, int, int], ...]
    filed: tuple[Filed, ...]


filed = st.builds(
    Filed,
    st.sampled_from(["Observation", "Encounter", "AllergyIntolerance", "Medication"]),
    st.sampled_from(REGISTRATIONS),
    st.sampled_from([0, 0, 1]),
    st.sampled_from([False, False, False, True]),
    st.integers(0, 2),
)
stores = st.builds(
    Store,
    st.tuples(*[st.sampled_from(ORGANIZATIONS)] * 4),
    st.tuples(*[st.tuples(st.sampled_from([*PERSONS, ""]), st.sampled_from([*KEYS, ""]))] * 4),
    st.lists(
        st.tuples(
            st.sampled_from(PERSONS),
            st.sampled_from([1, 1, 2]),
            st.sampled_from(["", A, B]),
            st.sampled_from([1, 2]),
            st.sampled_from([-5, 5]),
        ),
        max_size=5,
        unique_by=lambda one: one[:4],
    ).map(tuple),
    st.lists(filed, max_size=9).map(tuple),
)
generated = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def url(database_url: DatabaseUrl) -> str:
    """A database for all examples of a test: each leaves nothing behind."""
    return database_url("records")


class Undo(Exception):  # noqa: N818 no error: the end of an example
    """Rolls an example back."""


def within(url: str, play: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    """Plays an example in a transaction that leaves nothing behind."""

    async def run() -> None:
        database = await Database.connect(url, name="test", min_size=1, max_size=1)
        try:
            with pytest.raises(Undo):
                async with database.writing() as writer:
                    await play(writer)
                    raise Undo
        finally:
            await database.close()

    asyncio.run(run())


async def fill(writer, store: Store) -> None:
    """Writes a generated store."""
    connection = writer._connection
    rows = [
        (registration, organization, person, key, 1)
        for registration, organization, (person, key) in zip(
            REGISTRATIONS, store.organizations, store.placed, strict=True
        )
        if person
    ]
    await connection.copy_records_to_table("registrations", records=rows)
    consents = [(*one[:4], NOW + timedelta(days=one[4])) for one in store.consents]
    await connection.copy_records_to_table("person_consents", records=consents)
    visit: dict[str, str] = {}
    for number, one in enumerate(store.filed):
        organization = store.organizations[REGISTRATIONS.index(one.registration)]
        body, identity = body_of(one, number, visit), f"x-{number}"
        if one.kind == "Encounter":
            visit[one.registration] = identity
        decision = Decision(
            Intent(Operation.CREATE, one.kind, identity, body),
            Outcome.CREATED,
            filed_under=one.registration if one.kind != "Medication" else f"Medication/{identity}",
            is_personal=one.kind != "Medication",
            organization_id=organization,
            sensitivity=Sensitivity(one.sensitivity),
            entries=entries_of(body, one.kind),
        )
        await put(writer, decision, organization, number)
        for _ in range(one.past):
            await again(writer, decision, organization, number, Outcome.UPDATED)
        if one.is_deleted:
            await again(writer, decision, organization, number, Outcome.DELETED)
    for registration, organization in zip(REGISTRATIONS, store.organizations, strict=True):
        body = a_patient(registration)
        decision = Decision(
            Intent(Operation.CREATE, "Patient", registration, body),
            Outcome.CREATED, filed_under=registration, organization_id=organization, entries=entries_of(body, "Patient"),
        )  # fmt: skip
        await put(writer, decision, organization, 0)


def body_of(one: Filed, number: int, visit: dict[str, str]) -> dict[str, Any]:
    if one.kind == "Encounter":
        return an_encounter(one.registration)
    if one.kind == "AllergyIntolerance":
        return an_allergy(one.registration, "Amoxicillin")
    if one.kind == "Medication":
        return {"resourceType": "Medication", "code": {"text": "x"}}
    body = an_observation(one.registration, on=f"2024-05-{number + 1:02}")
    if one.registration in visit:
        body["encounter"] = {"reference": f"Encounter/{visit[one.registration]}"}
    return body


async def put(writer, decision: Decision, organization: str, number: int) -> None:
    # Long enough ago to be settled: within its own transaction a later page would not know it from what is still to come.
    at = NOW - timedelta(hours=number + 1)
    raw = (
        b""
        if decision.outcome is Outcome.DELETED
        else finished(decision.intent.body or {}, decision.intent.id, decision.version, at, organization)
    )
    await resources.write(writer, organization, at, [(decision, raw)])


async def again(writer, decision: Decision, organization: str, number: int, outcome: Outcome) -> None:
    caller = Caller(CallerKind.CLIENT, "c", organization, SCOPES)
    key = (decision.intent.type, decision.intent.id)
    found = await resources.currents(writer, caller, NOW, [key], with_bodies=True)
    decision.current, decision.outcome = found["/".join(key)], outcome
    # The past of a sensitive record was general once; the past of any was sensitive once.
    decision.sensitivity = Sensitivity(1 - decision.sensitivity) if outcome is Outcome.UPDATED else decision.sensitivity
    await put(writer, decision, organization, number)


def all_rows(caller: Caller) -> Statement:
    sql = f"SELECT r.type || '/' || r.id AS key FROM resources AS r WHERE {visible('r', view_of(caller))} ORDER BY 1"
    return Statement("test.visible", text(sql))


@generated
@given(store=stores)
def test_the_condition_and_row_level_security_see_the_same(url: str, store: Store):
    role = f"oracle_{new_id().replace('-', '')}"

    async def play(writer) -> None:
        connection: asyncpg.Connection = writer._connection
        await fill(writer, store)
        await connection.execute(f"CREATE ROLE {role}")
        await connection.execute(ORACLE.format(role=role))
        for caller in CALLERS:
            mine = [row["key"] for row in await writer.fetch(all_rows(caller), **parameters(caller, NOW))]
            purpose = {TREATMENT: "treatment", EMERGENCY: "emergency"}.get(caller.purpose, "other")
            # A purpose is an organisation's; without one there is nobody who treats.
            facts = {
                "organization": caller.organization_id,
                "kind": caller.kind.value,
                "citizen_key": caller.citizen_key,
                "purpose": purpose if caller.organization_id else "other",
                "now": NOW.isoformat(),
            }
            for name, value in facts.items():
                await connection.execute("SELECT set_config($1, $2, true)", f"nhip.{name}", value)
            await connection.execute(f"SET LOCAL ROLE {role}")
            theirs = await connection.fetch("SELECT type || '/' || id AS key FROM resources ORDER BY 1")
            await connection.execute("RESET ROLE")
            assert mine == [row["key"] for row in theirs], caller

    within(url, play)


QUERIES = (
    "Observation?",
    "Observation?patient=r-1,r-2&_total=accurate",
    "Observation?patient=r-1",
    "Observation?patient=r-2",
    "Observation?patient=r-3&code=718-7&_sort=-date&_total=accurate",
    "Observation?code=http://loinc.org|718-7&_count=1&_total=accurate",
    "Observation?date=ge2024-05-03&_sort=date&_total=accurate",
    "Observation?encounter=Encounter/x-0&_total=accurate",
    "Observation?_id=x-0,x-1,x-2",
    "Encounter?status=finished&_summary=count",
    "Patient?name=สม&_total=accurate",
    "Patient?birthdate=1984-02-29&_sort=_id&_count=2&_total=accurate",
    "Observation?patient.name=สม&_total=accurate",
    "Observation?encounter.status=finished&_sort=-date&_total=accurate",
    "Observation?encounter:Encounter.patient.family=ใจดี",
    "Patient?_has:Observation:patient:code=718-7&_total=accurate",
    "Encounter?_has:Observation:encounter:code=718-7&_total=accurate",
    "Patient?_has:Encounter:patient:_has:Observation:encounter:code=718-7&_total=accurate",
    "Observation?value-quantity=gt10&_total=accurate",
    "Observation?code-value-quantity=718-7$lt14&_sort=value-quantity&_total=accurate",
    "Observation?encounter:missing=true&_total=accurate",
    "Observation?code:not=718-7&_total=accurate",
    "AllergyIntolerance?code:text=amoxi&_sort=code,-_id&_total=accurate",
    "AllergyIntolerance?_content=amoxicillin&_total=accurate",
)


async def answers(writer, caller: Caller) -> str:
    """Everything that a caller can ask for, and what they are told."""
    told: list[Any] = []
    for one in QUERIES:
        resource_type, _, rest = one.partition("?")
        query = parse_query(resource_type, [tuple(pair.split("=", 1)) for pair in rest.split("&") if pair])
        page = await searching.search(writer, caller, NOW, query, None)
        told.append((page.total, page.matches, page.last and (page.last.values, page.last.id)))
        if page.last is not None:
            told.append((await searching.search(writer, caller, NOW, query, page.last)).matches)
    keys = [
        LocalReference(kind, f"x-{n}")
        for n in range(9)
        for kind in ("Observation", "Encounter", "AllergyIntolerance", "Medication")
    ]
    patients = [LocalReference("Patient", one) for one in REGISTRATIONS]
    told.append(sorted((await resources.targets(writer, caller, NOW, [*keys, *patients])).items(), key=str))
    told.append(sorted((await resources.bodies(writer, caller, NOW, [*keys, *patients])).items(), key=str))
    told.append(await searching.included(writer, caller, NOW, keys))
    hashes = [reference("Observation", "encounter", f"Encounter/x-{n}") for n in range(9)]
    told.append(await searching.referring(writer, caller, NOW, ["Observation"], hashes))
    amb = token("Encounter", "class", WITH_SYSTEM, "http://terminology.hl7.org/CodeSystem/v3-ActCode", "AMB")
    # Which of many is not said, only whether there are none, one or several.
    told.append([len(one) for one in await searching.by_tokens(writer, caller, NOW, [("Encounter", amb)])])
    told.append(await allergies.on_record(writer, caller, NOW, REGISTRATIONS, []))
    told.append(await summaries.newest(writer, caller, NOW, REGISTRATIONS, ["Encounter", "AllergyIntolerance"]))
    told.append(await histories.history(writer, caller, NOW, histories.Asked("", "", None, None, 50, None)))
    for kind in ("Observation", "Encounter"):
        told.append(await histories.history(writer, caller, NOW, histories.Asked(kind, "", None, None, 50, None)))
        for number in range(9):
            told.append(
                await histories.history(writer, caller, NOW, histories.Asked(kind, f"x-{number}", None, None, 2, None))
            )
            for version in (1, 2):
                found = await resources.read_version(writer, caller, NOW, kind, f"x-{number}", version)
                told.append(found if found is not None and found.is_visible else None)
    return json.dumps(told, default=str)


@generated
@given(store=stores, caller=st.sampled_from(CALLERS))
def test_what_may_not_be_seen_changes_no_answer(url: str, store: Store, caller: Caller):

    async def play(writer) -> None:
        connection: asyncpg.Connection = writer._connection
        await fill(writer, store)
        before = await answers(writer, caller)
        seen = [row["key"] for row in await writer.fetch(all_rows(caller), **parameters(caller, NOW))]
        for table in ("resource_versions", "search_dates", "search_numbers", "search_orders", "locators", "resources"):
            await connection.execute(f"DELETE FROM {table} WHERE NOT type || '/' || id = ANY($1)", seen)
        assert await answers(writer, caller) == before

    within(url, play)
