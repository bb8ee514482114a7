"""Steps 4 and 5: the claim is paid, and the case is seen."""

from collections.abc import Sequence
from typing import Any

import httpx

from tools.nhip.edge import Json
from tools.nhip.journey.care import SOON_SECONDS
from tools.nhip.journey.course import expect, require, until
from tools.nhip.journey.trip import Trip
from tools.nhip.tariff import SCHEME

OK = httpx.codes.OK
# The out-patient service fee in office hours, by its e-Claim code.
_SERVICE_FEE = "55020"
_UNKNOWN_ITEM = "99999"
# Dengue's three groups of the 506 report: fever, haemorrhagic fever, shock syndrome.
_DENGUE_GROUPS = frozenset({"26", "27", "66"})


def be_paid(trip: Trip) -> Sequence[str]:
    """B submits the claim: right checked, each line decided with a reason, posted, paid."""
    hospital = trip.program_of(trip.population.hospital_b, "PURPOSE_OF_USE_PAYMENT")
    hospital.follow(trip.doctor)
    rights = until(lambda: _rights(trip), SOON_SECONDS, "the person's right is known at B")
    claim = expect(hospital.post("/v1/claims", _claim(trip)), OK).body["claim"]
    trip.claim_id = claim["claimId"]
    decided = until(lambda: _decided(trip), SOON_SECONDS, "the claim is decided once the visit is announced")
    reasons = {line["code"]: line["decision"]["reason"] for line in decided["lines"]}
    require(reasons[_SERVICE_FEE] == "APPROVED", f"the service fee is approved, not {reasons[_SERVICE_FEE]}")
    drug = trip.citizen.safe_drug.code
    require(reasons[drug] == "ABOVE_TARIFF", f"the drug is paid at the tariff's price, not {reasons[drug]}")
    require(reasons[_UNKNOWN_ITEM] == "NOT_COVERED", f"an item without tariff is not covered: {reasons[_UNKNOWN_ITEM]}")
    body = {"scheme": SCHEME, "claimIds": [trip.claim_id]}
    expect(trip.payer.post("/v1/claims:pay", body), OK)
    paid = expect(hospital.get(f"/v1/claims/{trip.claim_id}"), OK).body["claim"]
    course = [change["status"].removeprefix("CLAIM_STATUS_") for change in paid["statusChanges"]]
    require(course[-1] == "PAID", f"the claim is paid: {course}")
    entries = expect(trip.payer.get("/v1/ledger", claim_id=trip.claim_id), OK).body["entries"]
    balances: dict[str, int] = {}
    for entry in entries:
        balances[entry["account"]] = balances.get(entry["account"], 0) + int(entry["amount"].get("satang", 0))
    owed, spent = balances.get(_payable(trip)), balances.get(f"scheme:{SCHEME}:expense")
    require(owed == 0, f"nothing is owed to B any more: {balances}")
    require(spent == int(paid["approved"]["satang"]), f"the scheme spent what was approved: {balances}")
    return [
        f"{len(rights)} right of {SCHEME}; {_lines(decided)}",
        f"{_baht(paid['approved'])} approved of {_baht(paid['claimed'])} baht; {' → '.join(course)}",
    ]


def _payable(trip: Trip) -> str:
    return f"organization:{trip.population.hospital_b.hcode}:payable"


def _rights(trip: Trip) -> list[Json] | None:
    hospital = trip.program_of(trip.population.hospital_b, "PURPOSE_OF_USE_PAYMENT")
    found = expect(hospital.get(f"/v1/registrations/{trip.registration_id}/coverages"), OK).body.get("coverages", [])
    return [right for right in found if right["scheme"] == SCHEME] or None


def _claim(trip: Trip) -> Json:
    drug = trip.citizen.safe_drug
    return {
        "invoiceNumber": trip.number,
        "organizationId": trip.population.hospital_b.hcode,
        "registrationId": trip.registration_id,
        "encounterId": trip.encounter_id,
        "scheme": SCHEME,
        "serviceDate": _service_date(trip),
        "diagnoses": ["A970"],
        "lines": [
            _line(1, "C1", _SERVICE_FEE, "out-patient service", 1, 5000),
            # Ten times what the tariff pays.
            _line(2, "41", drug.code, drug.name, 10, drug.price * 10),
            _line(3, "J1", _UNKNOWN_ITEM, "item that no tariff knows", 1, 10000),
        ],
    }


def _line(number: int, group: str, code: str, description: str, quantity: int, satang: int) -> Json:
    return {
        "number": number,
        "chargeGroup": group,
        "code": code,
        "description": description,
        "quantity": quantity,
        "unitPrice": {"satang": str(satang)},
    }


def _service_date(trip: Trip) -> str:
    """The visit's day, as the visit says: a walk that is repeated after midnight still claims for the same day."""
    visit = expect(trip.doctor.get(f"/fhir/R4/Encounter/{trip.encounter_id}"), OK).body
    return str(visit["period"]["start"][:10])


def _decided(trip: Trip) -> Json | None:
    hospital = trip.program_of(trip.population.hospital_b, "PURPOSE_OF_USE_PAYMENT")
    claim: Json = expect(hospital.get(f"/v1/claims/{trip.claim_id}"), OK).body["claim"]
    return None if claim["status"] == "CLAIM_STATUS_RECEIVED" else claim


def _lines(claim: Json) -> str:
    return ", ".join(f"line {line['number']} {line['decision']['reason']}" for line in claim["lines"])


def _baht(money: Any) -> str:
    satang = int(money.get("satang", 0))
    return f"{satang // 100}.{satang % 100:02d}"


def be_counted(trip: Trip) -> Sequence[str]:
    """The case stands on the line list and in its district's week, within seconds of the diagnosis."""
    require(trip.case_seen_after >= 0, f"the case stands within {SOON_SECONDS:.0f} s of the diagnosis")
    case = until(lambda: _case(trip), SOON_SECONDS, "the case is on the line list of dengue, in the home's district")
    district = trip.citizen.place_code[:4]
    require(case["placeCode"].startswith(district), f"the case is counted in district {district}")
    series = expect(
        trip.epidemiologist.get("/v1/surveillance/series", disease_code=case["diseaseCode"], place_code=district), OK
    ).body["weeks"]
    week = next(week for week in series if week["week"] == case["week"])
    require(int(week.get("cases", 0)) >= 1, f"week {case['week']} counts the case")
    return [
        f"case of {case['diseaseName']} in {case['placeCode']}, seen {trip.case_seen_after:.2f} s after the diagnosis",
        f"week {case['week']} of district {district}: {week['cases']} cases",
    ]


def _case(trip: Trip) -> Json | None:
    found = expect(trip.epidemiologist.get("/v1/surveillance/cases", registration_id=trip.registration_id), OK)
    cases = [
        case
        for case in found.body.get("cases", [])
        if case["diseaseCode"] in _DENGUE_GROUPS and case.get("placeCode", "").startswith(trip.citizen.place_code[:4])
    ]
    return cases[0] if cases else None
