"""A drug order against a known allergy is refused, in the words of the ward."""

import json

import grpc
import pytest

from libs.fhir.references import LocalReference
from services.records.model import Allergy
from services.records.rules.allergies import conflict
from tests.services.records.stage import DENY, A, B, Refused, Stage, an_allergy, an_order, treating

TMT = "https://terms.sil-th.org/core/CodeSystem/cs-th-tmt"
ATC = "http://www.whocc.no/atc"


def known(text: str = "", code: tuple[str, str] = ("", ""), **more) -> Allergy:
    concept = {"text": text} if text else {"coding": [{"system": code[0], "code": code[1]}]}
    return Allergy("reg-1", "AllergyIntolerance/1", {**an_allergy("reg-1", ""), "code": concept, **more})


def drug(text: str = "", code: tuple[str, str] = ("", "")) -> dict:
    return {"text": text} if text else {"coding": [{"system": code[0], "code": code[1]}]}


@pytest.mark.parametrize(
    ("allergy", "ordered", "group"),
    [
        # The drug itself, by name without strength and form.
        (known("Paracetamol"), drug("PARACETAMOL 500 mg tablet"), ""),
        (known("Tramadol 50 mg cap"), drug("tramadol injection 100 mg/2 ml"), ""),
        # The drug itself, by its code in the same system.
        (known(code=(TMT, "684123")), drug(code=(TMT, "684123")), ""),
        # Penicillins among each other, in English, Thai, and by ATC.
        (known("Penicillin"), drug("Amoxicillin 500 mg capsule"), "penicillins"),
        (known("แพ้ยาเพนิซิลลิน"), drug("Dicloxacillin 250 mg"), "penicillins"),
        (known(code=(ATC, "J01CE01")), drug("Co-amoxiclav 1 g"), "penicillins"),
        (known("อะม็อกซีซิลลิน"), drug("อะม็อกซีซิลลิน 500 มก."), "penicillins"),
        # Cefalexin has the side chain of amoxicillin; ceftriaxone has not.
        (known("Amoxicillin"), drug("Cephalexin 500 mg"), "drugs with the side chain of aminopenicillins"),
        (known("Cefazolin"), drug("Ceftriaxone 1 g vial"), "cephalosporins"),
        # Aztreonam is no cephalosporin, and has the side chain of one of them.
        (known("Ceftazidime"), drug("Aztreonam 1 g"), "drugs with the side chain of ceftazidime"),
        (known("Ceftriaxone"), drug("Aztreonam 1 g"), None),
        (known("Sulfa"), drug("Co-trimoxazole 80/400"), None),
        (known("Sulfamethoxazole"), drug("Co-trimoxazole 80/400"), "sulfonamide antibacterials"),
        (known("ซัลฟา"), drug("Co-trimoxazole 80/400"), "sulfonamide antibacterials"),
        (known("Aspirin"), drug("Ibuprofen 400 mg"), "NSAIDs"),
        (known("NSAIDs"), drug("ไดโคลฟีแนค 25 มก."), "NSAIDs"),
        (known("Carbamazepine"), drug("Phenytoin 100 mg"), "aromatic anticonvulsants"),
        # No conflict.
        (known("Amoxicillin"), drug("Ceftriaxone 1 g vial"), None),
        (known("Penicillin"), drug("Paracetamol 500 mg"), None),
        (known("Penicillin"), drug("Penicillamine 250 mg"), None),
        (known("Shrimp"), drug("Amoxicillin 500 mg"), None),
        (known(code=(TMT, "684123")), drug(code=("urn:local", "684123")), None),
    ],
)
def test_what_speaks_against_an_order(allergy, ordered, group):
    found = conflict([ordered], [allergy])
    if group is None:
        assert found is None
    else:
        assert found is not None
        assert (found.allergy, found.group) == ("AllergyIntolerance/1", group)


def test_an_allergy_that_does_not_hold_speaks_against_nothing():
    system = "http://terminology.hl7.org/CodeSystem/allergyintolerance"
    resolved = {"coding": [{"system": f"{system}-clinical", "code": "resolved"}]}
    refuted = {"coding": [{"system": f"{system}-verification", "code": "refuted"}]}
    assert conflict([drug("Amoxicillin")], [known("Amoxicillin", clinicalStatus=resolved)]) is None
    assert conflict([drug("Amoxicillin")], [known("Amoxicillin", verificationStatus=refuted)]) is None


def test_the_substance_of_a_reaction_counts():
    reaction = [{"substance": {"text": "Ibuprofen"}, "manifestation": [{"text": "rash"}]}]
    assert conflict([drug("Ibuprofen 400 mg")], [known("unclear", reaction=reaction)])


async def test_the_order_is_refused_with_the_reason_then_corrected_and_accepted(stage: Stage):
    await stage.arrive("reg-a", A, person="p-1")
    await stage.arrive("reg-b", B, person="p-1")
    allergy = await stage.create(an_allergy("reg-a", "Amoxicillin"))
    with pytest.raises(Refused) as refused:
        await stage.create(an_order("reg-b", "Ampicillin 500 mg"), token=treating(stage, B))
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ALLERGY_CONFLICT")
    assert refused.value.metadata == {"allergy": f"AllergyIntolerance/{allergy.id}", "group": "penicillins"}
    assert refused.value.fields == [("MedicationRequest.medication.ofType(CodeableConcept)", "business-rule")]
    assert await stage.found("MedicationRequest?patient=reg-b", treating(stage, B)) == []
    assert await stage.create(an_order("reg-b", "Azithromycin 250 mg"), token=treating(stage, B))


async def test_an_order_that_is_not_given_is_not_refused(stage: Stage):
    await stage.arrive("reg-1")
    await stage.create(an_allergy("reg-1", "Amoxicillin"))
    made = await stage.create(an_order("reg-1", "Amoxicillin 500 mg", status="cancelled"))
    with pytest.raises(Refused) as refused:
        await stage.update({**json.loads(made.body), "status": "active"})
    assert refused.value.reason == "ALLERGY_CONFLICT"


async def test_an_allergy_that_the_caller_may_not_see_is_not_told_by_a_refusal(stage: Stage):
    await stage.arrive("reg-a", A, person="p-1", key="k-1")
    await stage.arrive("reg-b", B, person="p-1")
    await stage.create(an_allergy("reg-a", "Amoxicillin"))
    await stage.consent("k-1", B, DENY)
    assert await stage.create(an_order("reg-b", "Amoxicillin 500 mg"), token=treating(stage, B))


async def test_a_drug_named_by_another_resource_is_looked_up(stage: Stage):
    await stage.arrive("reg-1")
    await stage.create(an_allergy("reg-1", "Aspirin"))
    medication = await stage.create({"resourceType": "Medication", "code": {"text": "Diclofenac 25 mg"}})
    order = an_order("reg-1", "x")
    del order["medicationCodeableConcept"]
    local = LocalReference("Medication", medication.id)
    with pytest.raises(Refused) as refused:
        await stage.create({**order, "medicationReference": {"reference": str(local)}})
    assert refused.value.fields[0][0] == "MedicationRequest.medication.ofType(Reference)"
    inside = {"contained": [{"resourceType": "Medication", "id": "m", "code": {"text": "Naproxen"}}]}
    with pytest.raises(Refused):
        await stage.create({**order, **inside, "medicationReference": {"reference": "#m"}})
