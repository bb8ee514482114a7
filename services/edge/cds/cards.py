"""Cards (https://cds-hooks.hl7.org/2.0/#card-attributes)."""

import uuid
from typing import Any

from nhip.records.v1 import decisions_pb2

Json = dict[str, Any]
MAX_SUMMARY = 140
REASONS = "https://nhip.th/fhir/CodeSystem/order-override-reason"
OVERRIDE_REASONS = (
    ("benefit-outweighs-risk", "ประโยชน์มากกว่าความเสี่ยง / benefit outweighs the risk"),
    ("tolerated-before", "เคยใช้ได้โดยไม่มีอาการ / tolerated before"),
    ("monitored", "จะติดตามอาการใกล้ชิด / will be monitored"),
    ("no-alternative", "ไม่มียาอื่นแทน / there is no alternative"),
    ("record-wrong", "ข้อมูลในระเบียนไม่ถูกต้อง / the record is wrong"),
)
_INDICATORS = {"contraindicated": "critical", "major": "critical", "moderate": "warning", "minor": "info"}
_TOPICS = {
    decisions_pb2.FINDING_KIND_ALLERGY: ("allergy", "การแพ้ยา / drug allergy"),
    decisions_pb2.FINDING_KIND_DUPLICATE: ("duplicate", "การใช้ยาซ้ำซ้อน / duplicate therapy"),
    decisions_pb2.FINDING_KIND_INTERACTION: ("interaction", "ปฏิกิริยาระหว่างยา / drug interaction"),
}


def card(summary: str, indicator: str, topic: tuple[str, str], *, detail: str = "", label: str = "NHIP") -> Json:
    """A card; a summary that is too long is cut."""
    code, display = topic
    found: Json = {
        "uuid": str(uuid.uuid4()),
        "summary": summary if len(summary) <= MAX_SUMMARY else summary[: MAX_SUMMARY - 1] + "…",
        "indicator": indicator,
        "source": {
            "label": label,
            "topic": {"system": "https://nhip.th/fhir/CodeSystem/decision-topic", "code": code, "display": display},
        },
    }
    if detail:
        found["detail"] = detail
    return found


def card_of(finding: decisions_pb2.Finding, order: Json) -> Json:
    """What speaks against an order: with the way out (take the order back) and the reasons to go on."""
    topic = _TOPICS[finding.kind]
    words = " / ".join(filter(None, (finding.text_th, finding.text_en))) or topic[1]
    summary = f"{_drug(order)}: {words}" if _drug(order) else words
    detail = "\n\n".join(
        (
            words,
            f"ความรุนแรง / severity: **{finding.severity}**",
            *((f"ข้อมูลอ้างอิง / on record: {finding.resource}",) if finding.resource else ()),
        )
    )
    found = card(summary, _INDICATORS[finding.severity], topic, detail=detail, label=f"NHIP {finding.source}".strip())
    if order.get("id"):
        action = {
            "type": "delete",
            "description": "ยกเลิกคำสั่งใช้ยานี้ / take the order back",
            "resourceId": f"MedicationRequest/{order['id']}",
        }
        found["suggestions"] = [
            {"label": "ยกเลิกคำสั่งใช้ยานี้ / take the order back", "uuid": str(uuid.uuid4()), "actions": [action]}
        ]
        found["selectionBehavior"] = "any"
    found["overrideReasons"] = [
        {"system": REASONS, "code": code, "display": display} for code, display in OVERRIDE_REASONS
    ]
    return found


def _drug(order: Json) -> str:
    concept = order.get("medicationCodeableConcept")
    if not isinstance(concept, dict):
        reference = order.get("medicationReference")
        return str(reference.get("display", "")) if isinstance(reference, dict) else ""
    codings = [one for one in concept.get("coding", ()) if isinstance(one, dict)]
    return str(concept.get("text") or next((one["display"] for one in codings if one.get("display")), ""))
