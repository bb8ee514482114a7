"""patient-view (https://cds-hooks.hl7.org/hooks/patient-view/2020May/patient-view/): what to know on opening a chart."""

import orjson
from nhip.records.v1 import person_pb2

from services.edge.asgi import Request
from services.edge.cds.asking import Asked, Json
from services.edge.cds.cards import card
from services.edge.fhir.interaction import require_id
from services.edge.fhir.operations.summary.narrative import called
from services.edge.fhir.operations.summary.sections import codes
from services.edge.upstream import Upstream

PREFETCH = {"allergies": "AllergyIntolerance?patient={{context.patientId}}"}
_IDLE = frozenset({"inactive", "resolved", "refuted", "entered-in-error"})


async def patient_view(upstream: Upstream, request: Request, asked: Asked) -> list[Json]:
    """A card with the allergies that hold, of all the organisations that filed one."""
    allergies = asked.bundled("allergies")
    if allergies is None:
        asked.require_ours("allergies")
        message = person_pb2.ListEverythingRequest(
            registration_id=require_id("Patient", asked.patient_id), types=["AllergyIntolerance"]
        )
        response = await upstream["records.ListEverything"](message, request)
        allergies = [orjson.loads(one.body) for one in response.resources]
    held = [
        one
        for one in allergies
        if one["resourceType"] == "AllergyIntolerance"
        and not (codes(one.get("clinicalStatus")) | codes(one.get("verificationStatus"))) & _IDLE
    ]
    if not held:
        return []
    names = list(dict.fromkeys(filter(None, (called(one.get("code", {})) for one in held))))
    is_grave = any(one.get("criticality") == "high" for one in held)
    detail = "\n".join(f"- {_line(one)}" for one in held)
    summary = f"แพ้ยา / allergies: {', '.join(names)}"
    return [card(summary, "warning" if is_grave else "info", ("allergy", "การแพ้ยา / drug allergy"), detail=detail)]


def _line(allergy: Json) -> str:
    source = str(allergy.get("meta", {}).get("source", "")).rpartition("/")[2]
    shown = [called(allergy.get("code", {})), str(allergy.get("criticality", "")), source]
    return _plain(" · ".join(filter(None, shown)))


def _plain(text: str) -> str:
    """Text within Markdown: what would mark up or link is escaped."""
    return "".join(f"\\{one}" if one in "\\`*_{}[]()<>#+-!|" else one for one in text).replace("\n", " ")
