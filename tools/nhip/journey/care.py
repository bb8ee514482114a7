"""Steps 1 to 3: the file of hospital A, the doctor at hospital B, the visit."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import httpx

from libs.clock import BANGKOK
from tools.nhip import importing
from tools.nhip.edge import EdgeClient, Json
from tools.nhip.enrol import client_id
from tools.nhip.journey import resources
from tools.nhip.journey.course import StepError, expect, require, until
from tools.nhip.journey.session import Answer, Session
from tools.nhip.journey.trip import Trip

OK, CREATED = httpx.codes.OK, httpx.codes.CREATED
# A projection catches up within this time in health; revocation is promised within it.
SOON_SECONDS = 5.0
_GLANCE_SECONDS = 0.02


def send_the_file(trip: Trip) -> Sequence[str]:
    """Hospital A uploads its 43 files; the same zip again changes nothing."""
    facility, path = trip.population.hospital_a, trip.sample.file("f43", trip.population.hospital_a.hcode)
    credentials = trip.target.home.client(client_id(facility))
    with EdgeClient(trip.target.edge_url, credentials, purpose="PURPOSE_OF_USE_OPERATIONS") as edge:
        first = importing.send(edge, path, "f43", trip.console)
        require(first.get("state") == "IMPORT_STATE_SUCCEEDED", f"the import succeeds, not {first.get('state')}")
        importing.show(edge, first, trip.console)
        rejected = [(row["file"], int(row["line"]), row["reason"]) for row in edge.rejected_rows(first["importId"])]
        spoiled = [(file, line, reason) for file, line, reason in trip.sample.spoiled("f43", facility.hcode)]
        require(sorted(rejected) == sorted(spoiled), f"exactly the spoiled rows are rejected, not {rejected}")
        before = _counts(trip)
        again = importing.send(edge, path, "f43", trip.console)
    require(again["importId"] == first["importId"], "the same file again is the same import")
    require(_counts(trip) == before, "the same file again changes no resource")
    rows, people = int(first["rowsTotal"]), _rows_of(first, "PERSON")
    return [
        f"{rows} rows of {path.name} taken, {people} persons; {len(rejected)} rows rejected, each with line and reason",
        "the same file again changed nothing",
    ]


def _rows_of(found: Json, file: str) -> int:
    return sum(int(count.get("rows", 0)) for count in found["files"] if count["file"] == file)


def _counts(trip: Trip) -> dict[str, int]:
    """How many resources of each kind hospital A sees of its own."""
    session = trip.program_of(trip.population.hospital_a, "PURPOSE_OF_USE_OPERATIONS")
    kinds = (
        "Patient",
        "Encounter",
        "Condition",
        "MedicationRequest",
        "AllergyIntolerance",
        "Observation",
        "Immunization",
    )
    counts = {}
    for kind in kinds:
        answer = expect(session.get(f"/fhir/R4/{kind}", _summary="count"), OK)
        counts[kind] = int(answer.body["total"])
    require(min(counts.values()) > 0, f"each kind of record has come with the file: {counts}")
    return counts


def meet_the_doctor(trip: Trip) -> Sequence[str]:
    """A doctor at B finds the citizen by the card, states the purpose, and reads the summary."""
    citizen = trip.citizen
    expect(
        trip.citizen_session.post(
            "/v1/consents:grant",
            {"organizationId": trip.population.hospital_b.hcode, "category": "CONSENT_CATEGORY_GENERAL"},
        ),
        OK,
    )
    trip.doctor.follow(trip.citizen_session)
    identifier = {"system": resources.CITIZEN_ID, "value": citizen.citizen_id}
    found = expect(trip.doctor.post("/v1/persons:search", {"identifier": identifier}), OK)
    trip.person_id = _the_one(found.body.get("persons", []), "one person has this citizen id")["personId"]
    summary = until(lambda: _with_history(trip), SOON_SECONDS, "the summary shows what A sent")
    allergies = _codes(summary, "allergies")
    require(citizen.allergy.code in allergies, f"the allergy to {citizen.allergy.name} is shown")
    conditions = _codes(summary, "conditions")
    for code in citizen.chronic:
        require(any(_plain(shown).startswith(_plain(code)) for shown in conditions), f"{code} is among the conditions")
    require(bool(summary.get("medications")), "medication is shown")
    hospital_a = trip.population.hospital_a.hcode
    visits = [visit for visit in summary.get("visits", []) if visit["organizationId"] == hospital_a]
    require(len(visits) > 0, "the visits at A are shown")
    return [
        f"{len(summary['allergies'])} allergies ({citizen.allergy.ingredient}), {len(conditions)} condition codes, "
        f"{len(summary['medications'])} drugs, {len(visits)} visits at hospital A"
    ]


def _with_history(trip: Trip) -> Json | None:
    answer = expect(trip.doctor.get(f"/v1/persons/{trip.person_id}/summary"), OK)
    return answer.body if answer.body.get("allergies") else None


def _codes(summary: Json, part: str) -> set[str]:
    return {code["code"] for item in summary.get(part, []) for code in item.get("codes", [])}


def _plain(code: str) -> str:
    return code.replace(".", "")


def _the_one(found: Sequence[Any], expectation: str) -> Any:
    require(len(found) == 1, f"{expectation}, not {len(found)}")
    return found[0]


def record_the_visit(trip: Trip) -> Sequence[str]:
    """B registers the citizen, records dengue, and is stopped from ordering the drug that harms."""
    citizen, doctor = trip.citizen, trip.doctor
    now = datetime.now(BANGKOK)
    written = expect(
        doctor.post("/fhir/R4/Patient", resources.patient(citizen, trip.population.hospital_b, trip.hn_at_b)),
        OK,
        CREATED,
    )
    trip.registration_id = written.body["id"]
    visit = resources.encounter(trip.registration_id, trip.population.hospital_b, trip.number, now)
    trip.encounter_id = _write(doctor, visit)["id"]
    diagnosis = _write(doctor, resources.dengue(trip.registration_id, trip.encounter_id, trip.number, now))
    trip.condition_id, trip.case_seen_after = diagnosis["id"], _watch(trip)
    refused = until(lambda: _refused(trip), SOON_SECONDS, f"the order of {citizen.allergy.name} is refused")
    safe = citizen.safe_drug
    accepted = _write(doctor, _order(trip, safe.code, safe.name))
    outcome = refused.body["issue"][0]
    return [
        f"order of {citizen.allergy.name} refused: {refused.status} {refused.reason}: {outcome.get('diagnostics', '')}",
        f"order of {safe.name} accepted as MedicationRequest/{accepted['id']}",
    ]


def _watch(trip: Trip) -> float:
    """Looks from the diagnosis on until the case stands on the line list; how long that took."""
    began = time.monotonic()
    query = {"registration_id": trip.registration_id}
    deadline = began + SOON_SECONDS
    while time.monotonic() < deadline:
        if expect(trip.epidemiologist.get("/v1/surveillance/cases", **query), OK).body.get("cases"):
            return time.monotonic() - began
        time.sleep(_GLANCE_SECONDS)
    return -1.0


def _write(session: Session, resource: Json) -> Json:
    """Creates a resource unless it is there already: doing the step again changes nothing."""
    identifier = resource["identifier"][0]
    condition = f"identifier={identifier['system']}|{identifier['value']}"
    path = f"/fhir/R4/{resource['resourceType']}"
    answer = expect(session.post(path, resource, **{"if-none-exist": condition}), OK, CREATED)
    require(isinstance(answer.body, dict) and "id" in answer.body, "the resource written is answered")
    body: Json = answer.body
    return body


def _order(trip: Trip, code: str, name: str) -> Json:
    return resources.order(trip.registration_id, trip.encounter_id, trip.number, code, name)


def _refused(trip: Trip) -> Answer | None:
    citizen = trip.citizen
    order = _order(trip, citizen.allergy.code, citizen.allergy.name)
    # Never conditional: were it accepted once, it must not be taken for the safe one of an earlier walk.
    order["identifier"] = [{"system": "urn:nhip:journey", "value": f"{trip.number}-refused"}]
    answer = trip.doctor.post("/fhir/R4/MedicationRequest", order)
    if answer.status in {OK, CREATED}:
        raise StepError(f"an order of {citizen.allergy.name} was accepted although the person is allergic to it")
    return answer if answer.reason == "ALLERGY_CONFLICT" else expect(answer, httpx.codes.UNPROCESSABLE_ENTITY)
