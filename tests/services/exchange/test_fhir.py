"""Bundles: Patients are registered, the rest is one transaction each."""

import json
from typing import Any

from services.exchange.model import Counts, Format, State
from tests.services.exchange.files import HCODE, a_zip
from tests.services.exchange.running import Exchange

HN = f"https://terms.sil-th.org/hcode/5/{HCODE}/HN"


def a_bundle(hn: str, **changes: Any) -> dict[str, Any]:
    """A person with a visit and a diagnosis."""
    patient = {
        "resourceType": "Patient",
        "identifier": [{"system": HN, "value": hn}],
        "name": [{"family": "ใจดี", "given": ["สมหญิง"], "prefix": ["นาง"]}],
        "gender": "female",
        "birthDate": "1975-05-01",
    }
    condition = {
        "resourceType": "Condition",
        "code": {"text": "ไข้เลือดออก"},
        "subject": {"reference": f"urn:uuid:p{hn}"},
    }
    entries = [
        {
            "fullUrl": f"urn:uuid:p{hn}",
            "resource": patient,
            "request": {"method": "POST", "url": "Patient", "ifNoneExist": f"identifier={HN}|{hn}"},
        },
        {
            "fullUrl": f"urn:uuid:c{hn}",
            "resource": condition,
            "request": {"method": "POST", "url": "Condition"},
        },
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries, **changes}


def bundles(*told: Any) -> bytes:
    """A zip of bundles."""
    return a_zip(
        {
            f"bundle-{number}.json": one if isinstance(one, bytes) else json.dumps(one)
            for number, one in enumerate(told, 1)
        }
    )


BUNDLES = bundles(a_bundle("1"), a_bundle("2"), b"{ no JSON", a_bundle("3"))


async def test_people_are_registered_and_their_bundles_stored(exchange: Exchange) -> None:
    finished = await exchange.take_in(bundles(a_bundle("1"), a_bundle("2")), Format.FHIR)
    assert finished.state is State.SUCCEEDED
    assert finished.counts("Bundle") == Counts(created=4)
    assert len(exchange.hood.registrations) == 2
    assert exchange.hood.calls.index("BatchRegister") < exchange.hood.calls.index("ExecuteTransaction")


async def test_the_same_bundles_in_another_zip_change_nothing(exchange: Exchange) -> None:
    await exchange.take_in(bundles(a_bundle("1"), a_bundle("2")), Format.FHIR)
    again = await exchange.take_in(bundles(a_bundle("2"), a_bundle("1")), Format.FHIR)
    assert again.counts("Bundle") == Counts(unchanged=4)


async def test_a_single_bundle_needs_no_zip(exchange: Exchange) -> None:
    finished = await exchange.take_in(json.dumps(a_bundle("1")).encode(), Format.FHIR)
    assert (finished.state, finished.counts("Bundle")) == (State.SUCCEEDED, Counts(created=2))


async def test_a_broken_bundle_is_rejected_and_the_others_are_taken(exchange: Exchange) -> None:
    finished = await exchange.take_in(BUNDLES, Format.FHIR)
    assert finished.reasons == [("bundle-3.json", 1, "", "JSON_INVALID")]
    assert finished.counts("Bundle") == Counts(created=6, rejected=1)


async def test_a_patient_whom_the_index_refuses_takes_the_bundle_along(exchange: Exchange) -> None:
    exchange.hood.refused["2"] = "CITIZEN_ID_INVALID"
    finished = await exchange.take_in(bundles(a_bundle("1"), a_bundle("2")), Format.FHIR)
    assert finished.reasons == [
        ("bundle-2.json", 1, "Bundle.entry[0].resource", "CITIZEN_ID_INVALID"),
        ("bundle-2.json", 2, "", "CITIZEN_ID_INVALID"),
    ]
    assert finished.counts("Bundle") == Counts(created=2, rejected=2)
    assert ("Condition", "2") not in exchange.hood.resources


async def test_a_patient_without_any_number_is_named(exchange: Exchange) -> None:
    nameless = a_bundle("1")
    del nameless["entry"][0]["resource"]["identifier"]
    finished = await exchange.take_in(bundles(nameless), Format.FHIR)
    assert finished.reasons[0] == (
        "bundle-1.json", 1, "Bundle.entry[0].resource.identifier", "LOCAL_NUMBER_MISSING",
    )  # fmt: skip


async def test_a_file_that_is_no_bundle_fails(exchange: Exchange) -> None:
    finished = await exchange.take_in(b'{"resourceType": "Patient"}', Format.FHIR)
    assert (finished.state, finished.found.error_reason) == (State.FAILED, "BUNDLE_EXPECTED")
    assert not exchange.hood.calls
