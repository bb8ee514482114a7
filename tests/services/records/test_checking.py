"""What speaks against an order: allergies through maps, duplicates, interactions; and what an order may say against it."""

import json

import grpc
import pytest
from nhip.records.v1 import decisions_pb2, decisions_pb2_grpc
from nhip.records.v1 import terminology_pb2 as pb

from services.records.rules.allergies import ATC
from services.records.rules.checking import OVERRIDE, Interaction, Kind, Therapy, against, override_of, prefixes
from tests.services.records.stage import DENY, A, B, Refused, Stage, an_allergy, an_order, refusal, treating
from tests.services.records.test_terminology import ask as ask_terminology
from tests.services.records.test_terminology import part

TMT = "https://terms.sil-th.org/core/CodeSystem/cs-th-tmt"
DRUG24 = "https://terms.sil-th.org/core/CodeSystem/cs-th-24drug"


async def check(stage: Stage, registration: str, *orders: dict, token=None):
    stub = stage.running.stub(decisions_pb2_grpc.DecisionServiceStub)
    bodies = [json.dumps(one).encode() for one in orders]
    request = decisions_pb2.CheckOrdersRequest(registration_id=registration, orders=bodies)
    try:
        found = await stub.CheckOrders(request, metadata=token or stage.token(), timeout=20)
    except grpc.aio.AioRpcError as error:
        raise refusal(error) from None
    return [(one.kind, one.severity, one.is_refused, one.group) for one in found.findings]


def coded(patient: str, code: str, system: str = ATC, **more) -> dict:
    concept = {"coding": [{"system": system, "code": code}]}
    return {**an_order(patient, ""), "medicationCodeableConcept": concept, **more}


async def load_maps(stage: Stage) -> None:
    rows = [
        pb.Mapping(source_system=TMT, source_code="900001", target_system=ATC, target_code="J01CA04"),
        pb.Mapping(source_system=DRUG24, source_code="1" * 24, target_system=ATC, target_code="J01CE01"),
    ]
    await ask_terminology(stage, "LoadMappings", pb.LoadMappingsRequest(part=part("urn:drugs-atc", "1"), mappings=rows))


async def load_interactions(stage: Stage) -> None:
    rows = [
        pb.Interaction(
            atc_a="B01AA", atc_b="M01A", severity="major", direction="b-on-a", text_th="เลือดออกง่าย", text_en="bleeding"
        )
    ]
    request = pb.LoadInteractionsRequest(part=part("made-up", "1"), interactions=rows)
    await ask_terminology(stage, "LoadInteractions", request)


async def test_thai_codes_are_drugs_through_maps_and_the_order_is_refused(stage: Stage):
    await stage.arrive("reg-a")
    allergy = {"coding": [{"system": DRUG24, "code": "1" * 24}]}
    await stage.create({**an_allergy("reg-a", ""), "code": allergy})
    order = coded("reg-a", "900001", TMT)
    # Without maps nobody knows that the two have anything to do with each other.
    assert await check(stage, "reg-a", order) == []
    await load_maps(stage)
    assert await check(stage, "reg-a", order) == [(Kind.ALLERGY, "moderate", True, "penicillins")]
    with pytest.raises(Refused) as refused:
        await stage.create(order)
    assert refused.value.reason == "ALLERGY_CONFLICT"


async def test_an_order_that_says_why_it_stands_is_filed_with_the_reason(stage: Stage):
    await stage.arrive("reg-a")
    await stage.create(an_allergy("reg-a", "Penicillin"))
    order = an_order("reg-a", "Amoxicillin 500 mg")
    empty = {"url": OVERRIDE, "valueString": "  "}
    with pytest.raises(Refused):
        await stage.create({**order, "extension": [empty]})
    why = {"url": OVERRIDE, "valueCodeableConcept": {"text": "ทนยานี้ได้ ทดสอบแล้วเมื่อเดือนก่อน"}}
    stored = await stage.create({**order, "extension": [why]})
    assert (await stage.read(f"MedicationRequest/{stored.id}"))["extension"] == [why]


async def test_a_grave_reaction_makes_an_allergy_graver(stage: Stage):
    await stage.arrive("reg-a")
    await stage.create(an_allergy("reg-a", "Penicillin", criticality="high"))
    for drug, severity in (("Penicillin 250 mg", "contraindicated"), ("Amoxicillin 500 mg", "major")):
        found = await check(stage, "reg-a", an_order("reg-a", drug))
        assert found == [(Kind.ALLERGY, severity, True, "penicillins")]


async def test_the_same_and_a_kindred_drug_are_told_of_and_hinder_nothing(stage: Stage):
    await stage.arrive("reg-a", A, person="p-1")
    await stage.arrive("reg-b", B, person="p-1")
    await stage.create(coded("reg-b", "C10AA05"), B)
    await stage.create(coded("reg-b", "C10AA01", status="stopped"), B)
    token = treating(stage, A)
    assert await check(stage, "reg-a", coded("reg-a", "C10AA05"), token=token) == [(Kind.DUPLICATE, "major", False, "")]
    assert await check(stage, "reg-a", coded("reg-a", "C10AA01"), token=token) == [
        (Kind.DUPLICATE, "moderate", False, "C10AA")
    ]
    assert await check(stage, "reg-a", coded("reg-a", "N02BE01"), token=token) == []
    await stage.create(coded("reg-a", "C10AA05"), A)


async def test_interactions_with_what_is_taken_and_among_the_orders(stage: Stage):
    await stage.arrive("reg-a")
    await load_interactions(stage)
    await stage.create(coded("reg-a", "B01AA03"))
    assert await check(stage, "reg-a", coded("reg-a", "M01AE01")) == [
        (Kind.INTERACTION, "major", False, "B01AA × M01A")
    ]
    both = await check(stage, "reg-a", coded("reg-a", "M01AE01"), coded("reg-a", "M01AB05"))
    assert [one[0] for one in both].count(Kind.INTERACTION) == 2
    assert (Kind.DUPLICATE, "moderate", False, "M01A") not in both


async def test_what_is_not_shared_speaks_against_nothing(stage: Stage):
    await stage.arrive("reg-a", A, person="p-1", key="k-1")
    await stage.arrive("reg-b", B, person="p-1", key="k-1")
    await stage.create(an_allergy("reg-a", "Penicillin"), A)
    order = an_order("reg-b", "Amoxicillin 500 mg")
    assert len(await check(stage, "reg-b", order, token=treating(stage, B))) == 1
    await stage.consent("k-1", B, DENY)
    assert await check(stage, "reg-b", order, token=treating(stage, B)) == []
    with pytest.raises(Refused) as refused:
        await check(stage, "reg-a", order, token=treating(stage, B))
    assert refused.value.reason == "RESOURCE_UNKNOWN"
    with pytest.raises(Refused) as refused:
        await check(stage, "reg-a", order, token=stage.token(scopes="user/Patient.r"))
    assert refused.value.reason == "SCOPE_MISSING"


async def test_what_is_no_order_is_named(stage: Stage):
    await stage.arrive("reg-a")
    with pytest.raises(Refused) as refused:
        await check(stage, "reg-a", an_order("reg-a", "Aspirin"), {"resourceType": "Patient"})
    assert refused.value.fields == [("orders[1]", "invalid")]


def test_a_new_version_of_an_order_is_no_duplicate_of_itself():
    drug = ({"text": "Metformin 500 mg"},)
    order, held = Therapy("MedicationRequest/1", drug), Therapy("MedicationRequest/1", drug)
    assert list(against(0, [order], [], [held], [])) == []
    assert len(list(against(0, [order], [], [Therapy("MedicationRequest/2", drug)], []))) == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "found"), [("B01AA03", "M01AE01", 1), ("M01AE01", "B01AA03", 1), ("M01AE01", "M01AB05", 0)]
)
def test_an_interaction_holds_whichever_drug_is_ordered(ours, theirs, found):
    line = Interaction("B01AA", "M01A", "major", "both", "", "", "t")

    def drug(code):
        return Therapy("", ({"coding": [{"system": ATC, "code": code}]},))

    told = [one for one in against(0, [drug(ours)], [], [drug(theirs)], [line]) if one.kind is Kind.INTERACTION]
    assert len(told) == found


def test_groups_above_a_code_are_its_beginnings_by_level():
    assert prefixes(["J01CA04"]) == ["J", "J01", "J01C", "J01CA", "J01CA04"]


@pytest.mark.parametrize(
    ("extension", "said"),
    [
        ({"url": OVERRIDE, "valueString": "why"}, "why"),
        (
            {"url": OVERRIDE, "valueCodeableConcept": {"coding": [{"display": "benefit outweighs risk"}]}},
            "benefit outweighs risk",
        ),
        ({"url": OVERRIDE, "valueCodeableConcept": {}}, ""),
        ({"url": "http://example.org/other", "valueString": "why"}, ""),
    ],
)
def test_what_an_order_says(extension, said):
    assert override_of({"extension": [extension]}) == said
