"""Transactions that contradict themselves: refused as a whole, at the entry that is wrong, and nothing is stored."""

import uuid
from typing import Any

from tests.services.edge.fhir.bad_input.refusing import FHIR_JSON, Hospital, a_hospital, told
from tests.services.edge.fhir.stored import HN, a_patient, bundle_of


def entry(method: str, url: str, resource: Any = None, full_url: str = "", **request: str) -> dict[str, Any]:
    """One entry; what is not given is left out."""
    made: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        made["resource"] = resource
    return {"fullUrl": full_url, **made} if full_url else made


def a_urn() -> str:
    return uuid.uuid4().urn


async def sent(hospital: Hospital, *entries: Any, kind: str = "transaction") -> Any:
    return await hospital.client.post("/fhir/R4", content=bundle_of(kind, *entries), headers=FHIR_JSON)


async def test_a_transaction_that_contradicts_itself_is_refused_at_its_entry(whole):
    hospital = await a_hospital(whole)
    filed = await hospital.file()
    plain, urn = hospital.observation(), a_urn()
    own = {**plain, "id": filed, "status": "amended"}

    def referring(reference: str) -> dict[str, Any]:
        return hospital.observation(subject={"reference": reference})

    def having(reference: str) -> dict[str, Any]:
        return hospital.observation(hasMember=[{"reference": reference}])

    before = await hospital.versions()
    first = entry("POST", "Observation", plain, a_urn())
    subject = "Bundle.entry[1].resource.subject.reference"
    for second, expected in (
        (
            entry("POST", "Observation", having(urn)),
            (400, "not-found", "Bundle.entry[1].resource.hasMember[0].reference"),
        ),
        (
            entry("POST", "Observation", having("Observation/none")),
            (422, "not-found", "Bundle.entry[1].resource.hasMember[0]"),
        ),
        (entry("POST", "Observation", referring(f"Patient?identifier={HN}|none")), (422, "not-found", subject)),
        (entry("POST", "Observation", referring("Practitioner?name=none")), (422, "not-found", subject)),
        (entry("POST", "Observation", referring("Patient?brithdate=2020")), (400, "invalid", subject)),
        (
            entry("POST", "Observation", plain, ifNoneExist="nothing=1"),
            (400, "invalid", "Bundle.entry[1].request.ifNoneExist"),
        ),
        (entry("PUT", f"Observation/{filed}", own, ifMatch='W/"7"'), (412, "conflict", "Bundle.entry[1].resource")),
        (entry("DELETE", f"Observation/{filed}", ifMatch='W/"7"'), (412, "conflict", "Bundle.entry[1].request")),
        (
            entry("PUT", f"Observation/{filed}", own, ifMatch="seven"),
            (400, "invalid", "Bundle.entry[1].request.ifMatch"),
        ),
        (entry("PUT", f"Observation/{filed}", {**own, "id": "a"}), (400, "invalid", "Bundle.entry[1].resource.id")),
        (entry("PUT", "Observation/none", {**own, "id": "none"}), (404, "not-found", "Bundle.entry[1].resource")),
        (entry("GET", "Observation/none"), (404, "not-found", "Bundle.entry[1].request.url")),
        (entry("POST", "Observation", a_patient()), (400, "structure", "Bundle.entry[1].resource.resourceType")),
        (entry("POST", "Observation/x", plain), (400, "invalid", "Bundle.entry[1].request.url")),
        (entry("POST", "Thing", {"resourceType": "Thing"}), (400, "invalid", "Bundle.entry[1].request.url")),
        (entry("POST", "http://elsewhere.example/Observation", plain), (400, "invalid", "Bundle.entry[1].request.url")),
        (entry("DELETE", f"Observation/{filed}/../../Patient/x"), (400, "invalid", "Bundle.entry[1].request.url")),
        (entry("BREW", "Observation", plain), (400, "invalid", "Bundle.entry[1].request.method")),
        (entry("POST", "Observation"), (400, "invalid", "Bundle.entry[1].resource")),
        ({"resource": plain}, (400, "invalid", "Bundle.entry[1].request")),
        (None, (400, "invalid", "Bundle.entry[1]")),
        ("entry", (400, "invalid", "Bundle.entry[1]")),
    ):
        assert told(await sent(hospital, first, second)) == expected, second
    assert await hospital.versions() == before


async def test_two_entries_of_one_transaction_are_not_one_resource(whole):
    hospital = await a_hospital(whole)
    filed = await hospital.file(identifier=[{"system": "urn:x", "value": "1"}])
    plain, urn = hospital.observation(), a_urn()
    own = hospital.observation(id=filed, status="amended")
    before = await hospital.versions()
    put = entry("PUT", f"Observation/{filed}", own)
    for first, second, place in (
        (entry("POST", "Observation", plain, urn), entry("POST", "Observation", plain, urn), ".fullUrl"),
        (put, put, ""),
        (put, entry("DELETE", f"Observation/{filed}"), ""),
        (put, entry("PUT", "Observation?identifier=urn:x|1", {**own, "status": "corrected"}), ""),
    ):
        status, code, where = told(await sent(hospital, first, second))
        assert (status, code, where) == (400, "duplicate", f"Bundle.entry[1]{place}")
    assert await hospital.versions() == before


async def test_a_condition_that_means_several_or_nothing_refuses_the_whole(whole):
    hospital = await a_hospital(whole)
    await hospital.file()
    await hospital.file()
    other = a_patient(identifier=[{"system": HN, "value": "HN-8"}], birthDate="1950-01-01")
    assert (await whole.post("/fhir/R4/Patient", json=other, headers=FHIR_JSON)).status_code == 201
    before = await hospital.versions()
    plain = hospital.observation()
    referring = hospital.observation(subject={"reference": "Patient?gender=male"})
    for one, place in (
        (entry("POST", "Observation", referring), "Bundle.entry[0].resource.subject.reference"),
        (entry("POST", "Observation", plain, ifNoneExist="status=final"), "Bundle.entry[0].request.ifNoneExist"),
        (entry("PUT", "Observation?status=final", plain), "Bundle.entry[0].request.url"),
        (entry("DELETE", "Observation?status=final"), "Bundle.entry[0].request.url"),
    ):
        assert told(await sent(hospital, one)) == (412, "multiple-matches", place)
    for answer, expected in (
        (
            await hospital.post(hospital.text(), **{"if-none-exist": "status=final"}),
            (412, "multiple-matches", "If-None-Exist"),
        ),
        (await hospital.post(hospital.text(), **{"if-none-exist": "nothing=1"}), (400, "invalid", "If-None-Exist")),
        (
            await whole.put("/fhir/R4/Observation?status=final", json=plain, headers=FHIR_JSON),
            (412, "multiple-matches", ""),
        ),
        (await whole.put("/fhir/R4/Observation", json=plain, headers=FHIR_JSON), (400, "invalid", "")),
        (await whole.delete("/fhir/R4/Observation?status=final"), (412, "multiple-matches", "")),
        (await whole.delete("/fhir/R4/Observation"), (400, "invalid", "")),
        (await whole.delete("/fhir/R4/Observation?nothing=1"), (400, "invalid", "")),
    ):
        assert told(answer) == expected
    assert await hospital.versions() == before


async def test_entries_of_a_batch_do_not_lean_on_each_other(whole):
    hospital = await a_hospital(whole)
    urn = a_urn()
    leaning = hospital.observation(hasMember=[{"reference": urn}])
    answer = await sent(
        hospital,
        entry("POST", "Observation", hospital.observation(), urn),
        entry("POST", "Observation", leaning, a_urn()),
        kind="batch",
    )
    first, second = answer.json()["entry"]
    assert first["response"]["status"] == "201 Created"
    assert second["response"]["status"] == "400 Bad Request"
    assert second["response"]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[1].resource"]
    assert len(await hospital.versions()) == 2


async def test_a_bundle_is_of_a_kind_that_is_carried_out_and_not_endless(whole):
    hospital = await a_hospital(whole)
    before = await hospital.versions()
    for kind in ("history", "collection", "Transaction", ""):
        assert told(await sent(hospital, kind=kind)) == (400, "invalid", "Bundle.type")
    endless = [entry("POST", "Observation", hospital.observation())] * 5001
    assert told(await sent(hospital, *endless)) == (400, "invalid", "Bundle.entry")
    assert await hospital.versions() == before
