"""A source says that a Patient stands for itself again, whom it once said to be replaced: an unmerge.

PMIR leaves to a registry's policy whether a Patient that comes without its replaced-by link is taken apart or refused with
405 (https://profiles.ihe.net/ITI/PMIR/ITI-93.html, 2:3.93.4.1.3). Here it is taken apart: decisions of the index can be taken
back, and then everything stands exactly as it stood. Only the source's own merge is, and only while nobody has decided
otherwise about the Patient since.
"""

import grpc
from nhip.patient_index.v1 import decisions_pb2, resources_pb2, service_pb2

from services.edge.asgi import Request
from services.edge.faults import fault_of
from services.edge.fhir.ihe.merging import REASON
from services.edge.upstream import Upstream

UNMERGED = "the source says that this Patient is not replaced by another any more"


async def unmerge_if_restored(upstream: Upstream, request: Request, registration_id: str) -> None:
    """Takes back the source's merge of a registration, where that is the last that was decided about it.

    Does nothing for any other, so that it is harmless when done again. Raises AioRpcError as RevertDecision does, as for a
    caller who may not link.
    """
    decision = await _last_decision(upstream, request, registration_id)
    if decision is None or decision.kind != resources_pb2.DECISION_KIND_LINK or decision.reason != REASON:
        return
    await upstream["patient_index.RevertDecision"](
        decisions_pb2.RevertDecisionRequest(decision_id=decision.decision_id, reason=UNMERGED), request
    )


async def _last_decision(upstream: Upstream, request: Request, registration_id: str) -> resources_pb2.Decision | None:
    try:
        told = await upstream["patient_index.ListDecisions"](
            service_pb2.ListDecisionsRequest(registration_id=registration_id), request
        )
    except grpc.aio.AioRpcError as error:
        fault = fault_of(error)
        if fault is None or fault.reason != "REGISTRATION_UNKNOWN":
            raise
        return None
    return told.decisions[-1] if told.decisions else None
