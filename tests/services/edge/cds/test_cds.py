"""CDS Hooks over the real edge and real records: what a prescriber's program sends, and what it is shown."""

import uuid

import pytest

from libs.errors import UnavailableError
from tests.services.edge.fhir.operations.test_summary import ACTIVE, create
from tests.services.edge.fhir.stored import a_patient

FHIR = "/fhir/R4"
SIGN, SELECT, VIEW = (
    "/cds-services/nhip-order-sign",
    "/cds-services/nhip-order-select",
    "/cds-services/nhip-patient-view",
)


@pytest.fixture
async def patient(whole):
    return (await whole.post(f"{FHIR}/Patient", json=a_patient())).json()["id"]


async def allergic(client, patient, drug="Penicillin", **more):
    subject = {"reference": f"Patient/{patient}"}
    return await create(
        client, resourceType="AllergyIntolerance", clinicalStatus=ACTIVE, code={"text": drug}, patient=subject, **more
    )


def draft(patient, drug, number="1"):
    return {
        "resourceType": "MedicationRequest",
        "id": number,
        "status": "draft",
        "intent": "order",
        "medicationCodeableConcept": {"text": drug},
        "subject": {"reference": f"Patient/{patient}"},
    }


def bundle(*resources):
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources]}


def hook(name, patient, *orders, **more):
    context = {"userId": "Practitioner/1", "patientId": patient}
    if orders:
        context["draftOrders"] = bundle(*orders)
    context.update(more.pop("context", {}))
    return {"hookInstance": str(uuid.uuid4()), "hook": name, "context": context, **more}


async def test_discovery_is_open_and_a_browser_may_ask(edge):
    answer = await edge.client.get("/cds-services")
    assert {one["hook"] for one in answer.json()["services"]} == {"order-sign", "order-select", "patient-view"}
    assert answer.headers["access-control-allow-origin"] == "*"
    before = await edge.client.options(SIGN)
    assert before.status_code == 204
    assert "authorization" in before.headers["access-control-allow-headers"]


async def test_an_order_against_an_allergy_is_a_card_with_a_way_out_and_reasons(whole, patient):
    allergy = await allergic(whole, patient)
    answer = await whole.post(SIGN, json=hook("order-sign", patient, draft(patient, "Amoxicillin 500 mg")))
    assert answer.status_code == 200, answer.text
    (card,) = answer.json()["cards"]
    assert (card["indicator"], card["source"]["topic"]["code"]) == ("warning", "allergy")
    assert card["summary"].startswith("Amoxicillin 500 mg")
    assert len(card["summary"]) <= 140
    assert f"AllergyIntolerance/{allergy['id']}" in card["detail"]
    assert card["suggestions"][0]["actions"][0] == {
        "type": "delete",
        "description": card["suggestions"][0]["label"],
        "resourceId": "MedicationRequest/1",
    }
    assert len(card["overrideReasons"]) == 5
    harmless = await whole.post(SIGN, json=hook("order-sign", patient, draft(patient, "Paracetamol 500 mg")))
    assert harmless.json() == {"cards": []}


async def test_what_is_sent_along_is_not_read_again(whole, patient):
    await allergic(whole, patient)
    order = draft(patient, "Amoxicillin 500 mg")
    nothing = {name: bundle() for name in ("allergies", "medications", "statements")}
    assert (await whole.post(SIGN, json=hook("order-sign", patient, order, prefetch=nothing))).json() == {"cards": []}
    # What could not be prefetched is read.
    partly = {**nothing, "allergies": None}
    assert len((await whole.post(SIGN, json=hook("order-sign", patient, order, prefetch=partly))).json()["cards"]) == 1
    known = {"resourceType": "AllergyIntolerance", "id": "x", "clinicalStatus": ACTIVE, "code": {"text": "Amoxicillin"}}
    foreign = hook(
        "order-sign",
        "elsewhere",
        order,
        prefetch={**nothing, "allergies": bundle(known)},
        fhirServer="https://ehr.test/fhir",
    )
    assert len((await whole.post(SIGN, json=foreign)).json()["cards"]) == 1
    lacking = hook("order-sign", "elsewhere", order, prefetch={}, fhirServer="https://ehr.test/fhir")
    assert (await whole.post(SIGN, json=lacking)).status_code == 412


async def test_of_a_choice_only_what_was_chosen_is_spoken_of(whole, patient):
    await allergic(whole, patient)
    orders = (draft(patient, "Amoxicillin 500 mg", "1"), draft(patient, "Ampicillin 1 g", "2"))
    chosen = hook("order-select", patient, *orders, context={"selections": ["MedicationRequest/2"]})
    cards = (await whole.post(SELECT, json=chosen)).json()["cards"]
    assert {one["suggestions"][0]["actions"][0]["resourceId"] for one in cards} == {"MedicationRequest/2"}


async def test_opening_a_chart_shows_the_allergies_that_hold(whole, patient):
    assert (await whole.post(VIEW, json=hook("patient-view", patient))).json() == {"cards": []}
    await allergic(whole, patient, "กุ้ง [x](http://evil.test)", criticality="high")
    (card,) = (await whole.post(VIEW, json=hook("patient-view", patient))).json()["cards"]
    assert card["indicator"] == "warning"
    assert "กุ้ง" in card["summary"]
    assert "[x](" not in card["detail"]


async def test_nobody_is_advised_without_a_token_and_whatever_fails_is_no_empty_list(edge, whole, patient):
    asked = hook("order-sign", patient, draft(patient, "Amoxicillin"))
    stranger = await whole.post(SIGN, json=asked, headers={"authorization": ""})
    assert stranger.status_code == 401
    assert stranger.headers["access-control-allow-origin"] == "*"
    unknown = await whole.post(SIGN, json=hook("order-sign", "nobody", draft("nobody", "Amoxicillin")))
    assert unknown.status_code == 404
    forged = {**asked, "fhirAuthorization": {"access_token": "no.real.token", "token_type": "Bearer"}}
    assert (await whole.post(SIGN, json=forged)).status_code == 401
    edge.platform.answers["records.CheckOrders"] = UnavailableError("STORAGE_UNAVAILABLE", "m")
    assert (await edge.client.post(SIGN, json=asked)).status_code == 503


async def test_the_token_may_come_as_authorization_for_fhir(whole, patient):
    await allergic(whole, patient)
    token = whole.headers["authorization"].removeprefix("Bearer ")
    asked = hook("order-sign", patient, draft(patient, "Amoxicillin"))
    asked["fhirAuthorization"] = {"access_token": token, "token_type": "Bearer", "expires_in": 300}
    answer = await whole.post(SIGN, json=asked, headers={"authorization": ""})
    assert len(answer.json()["cards"]) == 1


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"hookInstance": "no-uuid"}, "hookInstance"),
        ({"hook": "patient-view"}, "hook"),
        ({"context": []}, "context"),
        ({"context": {"userId": "Practitioner/1"}}, "context.patientId"),
        ({"context": {"userId": "Practitioner/1", "patientId": "1"}}, "context.draftOrders"),
        ({"prefetch": {"allergies": 1}}, "prefetch"),
        ({"prefetch": {"allergies": {"resourceType": "Patient"}}}, "prefetch.allergies"),
        ({"fhirAuthorization": {"access_token": 1}}, "fhirAuthorization"),
    ],
)
async def test_a_mistaken_call_is_told_where_it_is_mistaken(edge, change, place):
    asked = {**hook("order-sign", "1", draft("1", "Aspirin")), **change}
    answer = await edge.client.post(SIGN, json=asked)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == place
    assert edge.platform.labels == []


async def test_feedback_is_kept_once_for_each_card(whole):
    card = {"card": str(uuid.uuid4()), "outcome": "overridden", "outcomeTimestamp": "2024-06-01T10:00:00Z"}
    card["overrideReason"] = {"reason": {"code": "tolerated-before"}, "userComment": "เคยใช้ได้"}
    for _ in range(2):
        assert (await whole.post(f"{SIGN}/feedback", json={"feedback": [card]})).status_code == 200
    wrong = await whole.post(f"{SIGN}/feedback", json={"feedback": [{**card, "outcome": "ignored"}]})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "feedback[0].outcome")
    assert (await whole.post("/cds-services/none/feedback", json={"feedback": [card]})).status_code == 404
    assert (await whole.get(SIGN)).status_code == 405
