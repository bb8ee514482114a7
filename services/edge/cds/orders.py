"""order-sign and order-select (https://cds-hooks.hl7.org/hooks/order-sign/2020May/order-sign/): drugs as they are ordered."""

from nhip.records.v1 import decisions_pb2

from services.edge.asgi import Request
from services.edge.cds.asking import Asked, Json, body_of, refused, resources_of
from services.edge.cds.cards import card_of
from services.edge.upstream import Upstream

MAX_ORDERS = 50
PREFETCH = {
    "allergies": "AllergyIntolerance?patient={{context.patientId}}",
    "medications": "MedicationRequest?patient={{context.patientId}}&status=active",
    "statements": "MedicationStatement?patient={{context.patientId}}&status=active",
}
_TYPES = {"allergies": "AllergyIntolerance", "medications": "MedicationRequest", "statements": "MedicationStatement"}


async def order_sign(upstream: Upstream, request: Request, asked: Asked) -> list[Json]:
    """A card for each thing that speaks against an order that is about to be signed."""
    return await _advise(upstream, request, asked, None)


async def order_select(upstream: Upstream, request: Request, asked: Asked) -> list[Json]:
    """As order-sign, for the orders that are being chosen; the others of the draft count beside them."""
    selections = asked.context.get("selections")
    if not isinstance(selections, list) or not all(isinstance(one, str) for one in selections):
        raise refused("context.selections", "a list of Type/id belongs here")
    return await _advise(upstream, request, asked, frozenset(selections))


async def _advise(upstream: Upstream, request: Request, asked: Asked, selected: frozenset[str] | None) -> list[Json]:
    drafts = asked.context.get("draftOrders")
    if not isinstance(drafts, dict) or drafts.get("resourceType") != "Bundle":
        raise refused("context.draftOrders", "a Bundle belongs here")
    drafted = resources_of(drafts, "context.draftOrders")
    orders = [one for one in drafted if one["resourceType"] == "MedicationRequest"]
    if len(orders) > MAX_ORDERS:
        raise refused("context.draftOrders", f"at most {MAX_ORDERS} drug orders at once")
    if not orders:
        return []
    given = [one for one in drafted if one["resourceType"] == "Medication"]
    sent = {key: bundled for key in _TYPES if (bundled := asked.bundled(key)) is not None}
    asked.require_ours(*(key for key in _TYPES if key not in sent))
    for key, resources in sent.items():
        given += [one for one in resources if one["resourceType"] in {_TYPES[key], "Medication"}]
    message = decisions_pb2.CheckOrdersRequest(
        registration_id=asked.patient_id if len(sent) < len(_TYPES) else "",
        orders=[body_of(one) for one in orders],
        given=[body_of(one) for one in given],
        given_types=[_TYPES[key] for key in sent],
    )
    response = await upstream["records.CheckOrders"](message, request)
    return [
        card_of(one, orders[one.order])
        for one in response.findings
        if selected is None or f"MedicationRequest/{orders[one.order].get('id', '')}" in selected
    ]
