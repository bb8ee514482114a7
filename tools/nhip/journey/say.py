"""Steps 6 and 7: the citizen sees and decides, and identity is reversible."""

import base64
from collections.abc import Sequence
from typing import Any

import httpx

from services.audit.rules.merkle import leaf_hash, verify_inclusion
from tools.nhip.edge import Json
from tools.nhip.journey.care import SOON_SECONDS
from tools.nhip.journey.course import expect, require, until
from tools.nhip.journey.trip import Trip

OK, FORBIDDEN = httpx.codes.OK, httpx.codes.FORBIDDEN


def look_and_decide(trip: Trip) -> Sequence[str]:
    """The citizen reads their history, sees who looked, and refuses B; B is refused, and that is seen too."""
    citizen, hospital = trip.citizen_session, trip.population.hospital_b
    history = expect(citizen.get(f"/v1/persons/{trip.person_id}/summary"), OK).body
    sources = {visit["organizationId"] for visit in history.get("visits", [])}
    require({trip.population.hospital_a.hcode, hospital.hcode} <= sources, f"the history spans A and B: {sources}")
    look = until(lambda: _entry(trip, "ACCESS_OUTCOME_GRANTED"), SOON_SECONDS, "the citizen sees that B looked")
    require(look["purpose"] == "PURPOSE_OF_USE_TREATMENT", "the citizen sees why B looked")
    proof = _prove(trip, look)
    body = {"organizationId": hospital.hcode, "category": "CONSENT_CATEGORY_GENERAL"}
    expect(citizen.post("/v1/consents:revoke", body), OK)
    refused = until(lambda: _refused(trip), SOON_SECONDS, "B's next read is refused")
    until(lambda: _entry(trip, "ACCESS_OUTCOME_REFUSED"), SOON_SECONDS, "the refusal is in the log")
    return [
        f"history from {len(sources)} facilities; {look['callerSubject'].split('/')[0]} of {look['organizationId']} "
        f"looked at {look['occurredAt']} for {look['purpose'].removeprefix('PURPOSE_OF_USE_').lower()}; {proof}",
        f"after the refusal B is answered {refused}; the refusal is in the log",
    ]


def _entry(trip: Trip, outcome: str) -> Json | None:
    entries = expect(trip.citizen_session.get("/v1/accesses", page_size=500), OK).body.get("entries", [])
    return next(
        (
            entry
            for entry in entries
            if entry["method"] == "GetSummary"
            and entry.get("organizationId") == trip.population.hospital_b.hcode
            and entry["outcome"] == outcome
        ),
        None,
    )


def _prove(trip: Trip, entry: Json) -> str:
    """The entry stands in the tree of a signed checkpoint."""
    index = int(entry.get("index", 0))

    def covered() -> Json | None:
        found = trip.citizen_session.get("/v1/audit/checkpoint")
        checkpoint: Json = found.body.get("checkpoint", {}) if found.status == OK else {}
        return checkpoint if int(checkpoint.get("treeSize", 0)) > index else None

    checkpoint = until(covered, SOON_SECONDS, "a checkpoint covers the entry")
    size = int(checkpoint["treeSize"])
    proof = expect(trip.citizen_session.get("/v1/audit/inclusion-proof", index=index, tree_size=size), OK).body
    path = [base64.b64decode(node) for node in proof.get("path", [])]
    leaf, root = base64.b64decode(entry["leafHash"]), base64.b64decode(checkpoint["rootHash"])
    require(verify_inclusion(leaf_hash(leaf), index, size, path, root), "the entry is proven to stand in the log")
    return f"entry {index} proven in a log of {size}"


def _refused(trip: Trip) -> str | None:
    answer = trip.doctor.get(f"/v1/persons/{trip.person_id}/summary")
    if answer.status == OK:
        return None
    expect(answer, FORBIDDEN)
    require(answer.reason == "CONSENT_REFUSED", f"B is refused for want of consent, not {answer.reason}")
    return f"{answer.status} {answer.reason}"


def part_and_join(trip: Trip) -> Sequence[str]:
    """Unlinking separates the histories without moving a record; linking joins them again."""
    steward, hospital = trip.steward, trip.population.hospital_b
    placed = _registration(trip)
    require(placed["personId"] == trip.person_id, "the index knows the two registrations as one person")
    before = _visit(trip)
    require(hospital.hcode in _sources(trip), "A sees the visit at B")
    path = f"/v1/registrations/{trip.registration_id}"
    unlinked = expect(steward.post(f"{path}:unlink", {"reason": "the journey shows that it can be undone"}), OK)
    require(unlinked.body["registration"]["personId"] != trip.person_id, "the registration left the person")
    until(lambda: _without(trip, hospital.hcode), SOON_SECONDS, "the histories are separate")
    require(_visit(trip) == before, "no record moved")
    expect(steward.post(f"{path}:link", {"personId": trip.person_id, "reason": "the same person after all"}), OK)
    until(lambda: _with(trip, hospital.hcode), SOON_SECONDS, "the histories are joined again")
    require(_visit(trip) == before, "no record moved")
    require(_registration(trip)["personId"] == trip.person_id, "the person is what it was")
    decisions = expect(steward.get(f"{path}/decisions"), OK).body["decisions"]
    return [f"{len(decisions)} decisions about the registration, none overwritten; the visit stayed as it was filed"]


def _registration(trip: Trip) -> Json:
    found: Json = expect(trip.steward.get(f"/v1/registrations/{trip.registration_id}"), OK).body["registration"]
    return found


def _visit(trip: Trip) -> Any:
    hospital = trip.program_of(trip.population.hospital_b, "PURPOSE_OF_USE_OPERATIONS")
    return expect(hospital.get(f"/fhir/R4/Encounter/{trip.encounter_id}"), OK).body


def _sources(trip: Trip) -> set[str]:
    summary = expect(trip.doctor_at_a.get(f"/v1/persons/{trip.person_id}/summary"), OK).body
    return {visit["organizationId"] for visit in summary.get("visits", [])}


def _without(trip: Trip, hcode: str) -> bool | None:
    return True if hcode not in _sources(trip) else None


def _with(trip: Trip, hcode: str) -> bool | None:
    return True if hcode in _sources(trip) else None
