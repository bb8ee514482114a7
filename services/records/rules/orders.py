"""Which drugs a change orders, and where each is named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from libs.fhir.body import Json
from libs.fhir.references import LocalReference, parse_local
from services.records.model import Decision
from services.records.rules.allergies import is_order


@dataclass(frozen=True, slots=True)
class Order:
    """A drug order within a change."""

    decision: Decision
    registration_id: str
    # `medication.ofType(CodeableConcept)` or `medication.ofType(Reference)`.
    expression: str
    # The drug, as far as the order itself says it.
    drugs: tuple[Json, ...]
    # The Medication that says it, where another resource does.
    medication: LocalReference | None = None


def orders_of(decisions: Sequence[Decision]) -> list[Order]:
    """The orders that a change would write."""
    return [
        _order(one, one.intent.body)
        for one in decisions
        if one.writes and one.intent.body and is_order(one.intent.body)
    ]


def _order(decision: Decision, body: Json) -> Order:
    registration = decision.filed_under
    concept = body.get("medicationCodeableConcept")
    if concept is not None:
        return Order(decision, registration, "medication.ofType(CodeableConcept)", (concept,))
    text = body.get("medicationReference", {}).get("reference", "")
    expression = "medication.ofType(Reference)"
    if text.startswith("#"):
        inside = [one for one in body.get("contained", ()) if one.get("id") == text[1:]]
        return Order(decision, registration, expression, tuple(drug for one in inside for drug in drugs_of(one)))
    local = parse_local(text)
    return Order(decision, registration, expression, (), local)


def drugs_of(medication: Json) -> list[Json]:
    """What a Medication says that it is: its code and its ingredients."""
    concepts = [medication["code"]] if "code" in medication else []
    concepts += [one["itemCodeableConcept"] for one in medication.get("ingredient", ()) if "itemCodeableConcept" in one]
    return concepts


def medications_wanted(orders: Sequence[Order], coming: Mapping[str, Json]) -> list[LocalReference]:
    """The Medications to be read: those that the change does not bring itself."""
    wanted = {one.medication for one in orders if one.medication is not None and str(one.medication) not in coming}
    return sorted(wanted, key=str)
