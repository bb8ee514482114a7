"""Everything under /cds-services: discovery, the services, feedback; for browsers too."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from nhip.records.v1 import decisions_pb2

from services.edge.asgi import Reply, Request
from services.edge.cds import orders, patient_view
from services.edge.cds.asking import Asked, Json, asked, json_of, refused
from services.edge.faults import Refusal
from services.edge.upstream import Upstream

PATH = "/cds-services"
# Advice is given by a token that is sent along, and by no cookie: which page asks says nothing.
CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"authorization, content-type"),
    (b"access-control-expose-headers", b"location"),
    (b"access-control-max-age", b"600"),
)


@dataclass(frozen=True, slots=True)
class Service:
    """One CDS service."""

    id: str
    hook: str
    title: str
    description: str
    prefetch: dict[str, str]
    run: Callable[[Upstream, Request, Asked], Awaitable[list[Json]]]


_CHECKS = "Allergies of all organisations that the person shares, duplicate therapy, and loaded interactions."
SERVICES = {
    one.id: one
    for one in (
        Service("nhip-order-sign", "order-sign", "Drug orders", _CHECKS, orders.PREFETCH, orders.order_sign),
        Service("nhip-order-select", "order-select", "Drug orders", _CHECKS, orders.PREFETCH, orders.order_select),
        Service(
            "nhip-patient-view",
            "patient-view",
            "Allergies",
            "The allergies that hold, of all organisations that the person shares.",
            patient_view.PREFETCH,
            patient_view.patient_view,
        ),
    )
}


async def answer(upstream: Upstream, request: Request, segments: list[str]) -> Reply:
    """Answers `/cds-services…`; `segments` are those after it. Raises as the services do."""
    reply = Reply(204) if request.method == "OPTIONS" else await _answer(upstream, request, segments)
    reply.headers.extend(CORS)
    return reply


async def _answer(upstream: Upstream, request: Request, segments: list[str]) -> Reply:
    match segments:
        case []:
            request.route = PATH
            _require(request, "GET", "HEAD")
            return _json({"services": [_told(one) for one in SERVICES.values()]})
        case [name]:
            request.route = f"{PATH}/{{id}}"
            service = _service(name)
            _require(request, "POST")
            cards = await service.run(upstream, request, await asked(request, service.hook))
            return _json({"cards": cards})
        case [name, "feedback"]:
            request.route = f"{PATH}/{{id}}/feedback"
            service = _service(name)
            _require(request, "POST")
            return await _feedback(upstream, request, service)
        case _:
            raise Refusal("NOT_FOUND", "ROUTE_UNKNOWN", "there is nothing at this path", status=404)


def _told(service: Service) -> Json:
    return {
        "hook": service.hook,
        "id": service.id,
        "title": service.title,
        "description": service.description,
        "prefetch": service.prefetch,
        "usageRequirements": "An access token of this platform with read scopes, and a stated purpose of use.",
    }


async def _feedback(upstream: Upstream, request: Request, service: Service) -> Reply:
    """https://cds-hooks.hl7.org/2.0/#feedback."""
    document = await json_of(request)
    listed = document.get("feedback")
    if not isinstance(listed, list) or not listed:
        raise refused("feedback", "a list belongs here")
    message = decisions_pb2.RecordFeedbackRequest(service=service.id)
    for index, one in enumerate(listed):
        message.feedback.append(_read(one, f"feedback[{index}]"))
    await upstream["records.RecordFeedback"](message, request)
    return Reply(200)


def _read(one: Any, place: str) -> decisions_pb2.Feedback:
    if not isinstance(one, dict):
        raise refused(place, "an object belongs here")
    for name in ("card", "outcome", "outcomeTimestamp"):
        if not isinstance(one.get(name), str):
            raise refused(f"{place}.{name}", "a text belongs here")
    if one["outcome"] not in {"accepted", "overridden"}:
        raise refused(f"{place}.outcome", "accepted or overridden")
    accepted = one.get("acceptedSuggestions", [])
    if not isinstance(accepted, list) or not all(
        isinstance(part, dict) and isinstance(part.get("id"), str) for part in accepted
    ):
        raise refused(f"{place}.acceptedSuggestions", "a list of ids belongs here")
    if one["outcome"] == "accepted" and not accepted:
        raise refused(f"{place}.acceptedSuggestions", "what was accepted belongs here")
    override = one.get("overrideReason") or {}
    reason = override.get("reason") or {} if isinstance(override, dict) else None
    if not isinstance(reason, dict):
        raise refused(f"{place}.overrideReason", "a reason belongs here")
    code, comment = reason.get("code", ""), override.get("userComment", "")
    if not isinstance(code, str) or not isinstance(comment, str):
        raise refused(f"{place}.overrideReason", "a code and a comment belong here")
    return decisions_pb2.Feedback(
        card=one["card"],
        outcome=one["outcome"],
        suggestions=[part["id"] for part in accepted],
        reason=code,
        comment=comment,
        occurred_at=one["outcomeTimestamp"],
    )


def _service(name: str) -> Service:
    found = SERVICES.get(name)
    if found is None:
        raise Refusal("NOT_FOUND", "SERVICE_UNKNOWN", "there is no such CDS service", status=404)
    return found


def _require(request: Request, *verbs: str) -> None:
    if request.method not in verbs:
        allowed = ", ".join((*verbs, "OPTIONS"))
        raise Refusal(
            "INVALID_ARGUMENT",
            "METHOD_NOT_ALLOWED",
            f"this path takes {allowed}",
            status=405,
            headers=((b"allow", allowed.encode()),),
        )


def _json(document: Json) -> Reply:
    return Reply(200, orjson.dumps(document), b"application/json; charset=utf-8", [(b"cache-control", b"no-store")])
