"""Two registrations become one person and two again: everybody who follows the index goes along, and comes back exactly."""

from collections.abc import Callable, Iterator
from datetime import datetime
from io import StringIO
from typing import Any

import httpx
import pytest
from rich.console import Console

from libs.clock import BANGKOK
from tests.support.whole import platform, sample_of
from tools.nhip.journey import resources
from tools.nhip.journey.course import expect, until
from tools.nhip.journey.session import Session
from tools.nhip.journey.trip import Trip
from tools.nhip.tariff import SCHEME
from tools.population import Facility

OK, CREATED, NOT_FOUND = httpx.codes.OK, httpx.codes.CREATED, httpx.codes.NOT_FOUND
# Followers are there in a moment; a busy machine takes longer.
PATIENCE_SECONDS = 20.0
# What counts changes, beside what is so.
COUNTERS = ("version", "recordedAt")
Json = dict[str, Any]


class Stay:
    """What one hospital filed of somebody: a visit with dengue, and a claim for it."""

    def __init__(self, trip: Trip, hospital: Facility, doctor: Session, *, family: str, born: str) -> None:
        """Registers without a number, so that nothing but somebody's word makes this and another one person."""
        self.hospital, self.doctor = hospital, doctor
        self.program = trip.program_of(hospital, "PURPOSE_OF_USE_PAYMENT")
        now, number = datetime.now(BANGKOK), f"{trip.number}-{hospital.hcode}"
        patient = resources.patient(trip.citizen, hospital, number)
        patient["identifier"] = patient["identifier"][1:]
        patient["name"][0]["family"], patient["birthDate"] = family, born
        self.registration_id = self._file(patient)["id"]
        self.encounter_id = self._file(resources.encounter(self.registration_id, hospital, number, now))["id"]
        self._file(resources.dengue(self.registration_id, self.encounter_id, number, now))
        self.program.follow(doctor)
        claim = {
            "invoiceNumber": number,
            "organizationId": hospital.hcode,
            "registrationId": self.registration_id,
            "encounterId": self.encounter_id,
            "scheme": SCHEME,
            "serviceDate": now.date().isoformat(),
            "diagnoses": ["A970"],
            "lines": [
                {
                    "number": 1,
                    "chargeGroup": "C1",
                    "code": "55020",
                    "description": "out-patient service",
                    "quantity": 1,
                    "unitPrice": {"satang": "5000"},
                }
            ],
        }
        self.claim_id = expect(self.program.post("/v1/claims", claim), OK).body["claim"]["claimId"]

    def _file(self, resource: Json) -> Json:
        body: Json = expect(self.doctor.post(f"/fhir/R4/{resource['resourceType']}", resource), OK, CREATED).body
        return body

    def claim(self) -> Json:
        """The claim as it stands."""
        found: Json = expect(self.program.get(f"/v1/claims/{self.claim_id}"), OK).body["claim"]
        return found


class Chain:
    """Two stays, and how each service tells of them."""

    def __init__(self, trip: Trip) -> None:
        self.trip = trip
        at_a, at_b = trip.population.hospital_a, trip.population.hospital_b
        self.stays = (
            Stay(trip, at_a, trip.doctor_at_a, family="มั่งมีสุข", born="1971-03-04"),
            Stay(trip, at_b, trip.doctor, family="เจริญพร", born="1988-11-20"),
        )

    def persons(self) -> list[str]:
        """Whom the index says each registration stands for."""
        steward = self.trip.steward
        paths = [f"/v1/registrations/{stay.registration_id}" for stay in self.stays]
        return [expect(steward.get(path), OK).body["registration"]["personId"] for path in paths]

    def cases(self) -> list[Json]:
        """The line list, on which is nobody else."""
        found = expect(self.trip.epidemiologist.get("/v1/surveillance/cases"), OK).body
        return sorted(map(_lasting, found.get("cases", [])), key=lambda case: str(case["caseId"]))

    def told(self, persons: list[str]) -> Json:
        """Everything that anybody tells of the two: what counts changes is left out."""
        visits, places = {}, {}
        for stay in self.stays:
            for person in persons:
                summary = stay.doctor.get(f"/v1/persons/{person}/summary")
                visits[stay.hospital.hcode, person] = sorted(
                    visit["resourceId"] for visit in summary.body.get("visits", [])
                )
                located = expect(stay.doctor.get(f"/v1/persons/{person}/facilities"), OK, NOT_FOUND)
                places[stay.hospital.hcode, person] = sorted(
                    (one["organizationId"], *one["registrationIds"]) for one in located.body.get("facilities", [])
                )
        return {
            "persons": self.persons(),
            "visits": visits,
            "places": places,
            "claims": [_lasting(stay.claim()) for stay in self.stays],
            "cases": self.cases(),
        }

    def until_told(self, is_so: Callable[[Json], bool], persons: list[str], expectation: str) -> Json:
        """What is told as soon as it is so. Raises StepError."""

        def look() -> Json | None:
            told = self.told(persons)
            return told if is_so(told) else None

        return until(look, PATIENCE_SECONDS, expectation)


def _lasting(told: Json) -> Json:
    return {name: value for name, value in told.items() if name not in COUNTERS}


def claimants(told: Json) -> list[str]:
    """Whom the claims stand for; empty while one is not decided."""
    return [claim.get("personId", "") for claim in told["claims"]]


def patients(told: Json) -> list[str]:
    """Whom the line list counts."""
    return sorted(case.get("personId", "") for case in told["cases"])


@pytest.fixture
def chain(home_path) -> Iterator[Chain]:
    with platform(home_path) as running:
        trip = Trip(running, sample_of(running, seed=31, people=4), Console(file=StringIO()), number="merge")
        try:
            yield Chain(trip)
        finally:
            trip.close()


@pytest.mark.xdist_group("whole")
def test_records_claims_and_surveillance_follow_a_merge_and_come_back_with_it_exactly(chain: Chain):
    one, other = chain.persons()
    assert one != other
    a, b = chain.stays
    at_a, at_b = a.hospital.hcode, b.hospital.hcode
    before = chain.until_told(
        lambda told: (
            claimants(told) == [one, other]
            and patients(told) == sorted([one, other])
            and told["visits"][at_b, one] == told["visits"][at_a, one] == [a.encounter_id]
            and told["visits"][at_a, other] == told["visits"][at_b, other] == [b.encounter_id]
            and all(claim["status"] != "CLAIM_STATUS_RECEIVED" for claim in told["claims"])
        ),
        [one, other],
        "each person has the visit, the claim and the case of one hospital",
    )
    merge = {"fromPersonId": other, "reason": "the same face"}
    merged = expect(chain.trip.steward.post(f"/v1/persons/{one}:merge", merge), OK).body
    after = chain.until_told(
        lambda told: (
            claimants(told) == [one, one]
            # One person who falls ill once is one case, wherever they went with it.
            and patients(told) == [one]
            and all(told["visits"][hcode, one] == sorted([a.encounter_id, b.encounter_id]) for hcode in (at_a, at_b))
        ),
        [one, other],
        "visits, claims and the case are the one person's",
    )
    assert after["persons"] == [one, one]
    for hcode in (at_a, at_b):
        assert after["visits"][hcode, other] == []
        assert after["places"][hcode, one] == sorted([(at_a, a.registration_id), (at_b, b.registration_id)])

    decision = merged["decisions"][0]["decisionId"]
    expect(chain.trip.steward.post(f"/v1/decisions/{decision}:revert", {"reason": "two people after all"}), OK)
    chain.until_told(lambda told: told == before, [one, other], "everything is told as before the merge")
    assert chain.told([one, other]) == before
