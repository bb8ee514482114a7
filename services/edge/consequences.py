"""What changes person with a decision of the patient index: asked of the services that file under registrations.

The index calls nobody, so that a dry run of it says which registrations would move, and the edge adds what is filed under
those. A service that does not answer is named, and what the others said stands.
"""

import asyncio
from typing import Any

import grpc
from google.protobuf.message import Message
from nhip.claims.v1 import service_pb2 as claims_pb2
from nhip.patient_index.v1 import resources_pb2
from nhip.records.v1 import service_pb2 as records_pb2
from nhip.surveillance.v1 import service_pb2 as surveillance_pb2

from services.edge.asgi import Request
from services.edge.upstream import Upstream

# So many registrations are asked about in one call, and so many things named of each sort.
ASKED_AT_ONCE, NAMED = 500, 100
# Field of the answer → the type of things, the RPC that counts them, its request.
_ASKED: tuple[tuple[str, str, str, type[Any]], ...] = (
    ("encounters", "Encounter", "records.CountEncounters", records_pb2.CountEncountersRequest),
    ("claims", "Claim", "claims.CountClaims", claims_pb2.CountClaimsRequest),
    ("cases", "Case", "surveillance.CountCases", surveillance_pb2.CountCasesRequest),
)


def is_foreseen(request: Message, response: Message) -> bool:
    """True for a dry run whose answer has room for consequences."""
    return bool(getattr(request, "validate_only", False)) and "consequences" in response.DESCRIPTOR.fields_by_name


async def foresee(upstream: Upstream, response: Any, request: Request) -> None:
    """Adds to the answer of a dry run what would change person, asked in the name of the request's caller."""
    moved = [one.registration_id for one in response.moves]
    told = resources_pb2.Consequences()
    parts = [moved[start : start + ASKED_AT_ONCE] for start in range(0, len(moved), ASKED_AT_ONCE)]
    for part in parts:
        calls = (upstream[label](asked(registration_ids=part, limit=NAMED), request) for _, _, label, asked in _ASKED)
        answers = await asyncio.gather(*calls, return_exceptions=True)
        for (field, kind, label, _), answer in zip(_ASKED, answers, strict=True):
            _add(told, field, kind, label, answer)
    response.consequences.CopyFrom(told)


def _add(told: resources_pb2.Consequences, field: str, kind: str, label: str, answer: Any) -> None:
    if isinstance(answer, BaseException):
        if not isinstance(answer, grpc.aio.AioRpcError):
            raise answer
        service = label.partition(".")[0]
        if service not in told.unanswered:
            told.unanswered.append(service)
        return
    setattr(told, field, getattr(told, field) + answer.count)
    for item in answer.items:
        told.things.add(type=kind, id=item.id, registration_id=item.registration_id)
