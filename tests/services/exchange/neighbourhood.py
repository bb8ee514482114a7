"""Neighbours that a test can take down, make refuse, or have die with exchange in the middle of a call.

They keep what the contracts promise of a repeated request: the same request_id is answered as the first time, the same
content changes nothing, an older writing never replaces a newer one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import grpc
from nhip.claims.v1 import service_pb2 as claims_pb2
from nhip.identity.v1 import service_pb2 as identity_pb2
from nhip.patient_index.v1 import service_pb2 as index_pb2
from nhip.records.v1 import exports_pb2
from nhip.records.v1 import resources_pb2 as record_nouns
from nhip.records.v1 import service_pb2 as records_pb2

from libs.errors import FieldViolation, InvalidArgumentError
from libs.ids import derived_id
from libs.runtime.interceptors.errors import to_status
from services.exchange.neighbours import Neighbours, Tokens


def failure(
    code: grpc.StatusCode, details: str = "", trailing: tuple[tuple[str, bytes], ...] = ()
) -> grpc.aio.AioRpcError:
    """The error that a stub raises."""
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), details)


def refusal(code: grpc.StatusCode, reason: str, field: str) -> grpc.aio.AioRpcError:
    """The error that a stub raises when the service says why, and where."""
    error = InvalidArgumentError(reason, "it is refused", fields=[FieldViolation(field, reason, "here")])
    return failure(code, "it is refused", (("grpc-status-details-bin", to_status(error).SerializeToString()),))


@dataclass
class Neighbourhood:
    """Identity, the index, records and claims, over plain dictionaries."""

    registrations: dict[str, bytes] = field(default_factory=dict)
    resources: dict[tuple[str, str], tuple[int, bytes | None, int]] = field(default_factory=dict)
    coverages: dict[str, bytes] = field(default_factory=dict)
    claims: dict[tuple[str, str], Any] = field(default_factory=dict)
    remembered: dict[str, Any] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    tokens_issued: list[identity_pb2.IssueTokenRequest] = field(default_factory=list)
    # Called with the method's name before and after each call; what it raises the caller gets.
    before: Callable[[str], None] = lambda _: None
    after: Callable[[str], None] = lambda _: None
    # Refuses a resource of a batch: id → reason; or the whole call that holds it, when poisoned.
    refused: dict[str, str] = field(default_factory=dict)
    poisoned: set[str] = field(default_factory=set)
    # What an export walks: type → lines; person → (type, line); and what was deleted, told with the last page.
    lines: dict[str, list[bytes]] = field(default_factory=dict)
    persons: dict[str, list[tuple[str, bytes]]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    page: int = 3

    def neighbours(self, settings: Any) -> Neighbours:
        """What exchange calls."""
        tokens = Tokens(self, settings, lambda: datetime.now(UTC))
        return Neighbours(tokens, self, self, self, self)

    def _called(self, name: str, request: Any, answer: Callable[[], Any]) -> Any:
        self.before(name)
        self.calls.append(name)
        request_id = getattr(request, "request_id", "")
        if request_id and request_id in self.remembered:
            response = self.remembered[request_id]
        else:
            response = answer()
            if request_id:
                self.remembered[request_id] = response
        self.after(name)
        return response

    async def IssueToken(self, request: Any, *, timeout: float, metadata: Any) -> Any:
        def answer() -> Any:
            self.tokens_issued.append(request)
            token = f"token-of-{request.organization_id}-{len(self.tokens_issued)}"
            return identity_pb2.IssueTokenResponse(access_token=token, expires_in=600)

        return self._called("IssueToken", request, answer)

    async def BatchRegister(self, request: Any, *, timeout: float, metadata: Any) -> Any:
        def answer() -> Any:
            response = index_pb2.BatchRegisterResponse()
            for one in request.registrations:
                identity = derived_id("registration", one.organization_id, one.local_number)
                reason = self.refused.get(one.local_number, "")
                if reason:
                    response.results.add(error_reason=reason, error_field="identifiers[0].value", error_message="no")
                    continue
                content, before = one.SerializeToString(deterministic=True), self.registrations.get(identity)
                outcome = 1 if before is None else 3 if before == content else 2
                self.registrations[identity] = content
                response.results.add(registration_id=identity, person_id=identity, outcome=outcome)
            return response

        return self._called("BatchRegister", request, answer)

    async def ImportResources(self, request: Any, *, timeout: float, metadata: Any) -> Any:
        def answer() -> Any:
            if any(one.id in self.poisoned for one in request.resources):
                raise failure(grpc.StatusCode.INVALID_ARGUMENT, "something in it cannot be read")
            response = records_pb2.ImportResourcesResponse()
            for one in request.resources:
                response.results.add(**self._store(one))
            return response

        return self._called("ImportResources", request, answer)

    def _store(self, one: Any) -> dict[str, Any]:
        if one.id in self.refused:
            reason = self.refused[one.id]
            return {"outcome": 5, "error_reason": reason, "error_expression": f"{one.type}.code", "error_message": "no"}
        key = (one.type, one.id)
        version, body, written = self.resources.get(key, (0, None, 0))
        told = None if one.is_deleted else one.body
        updated = one.source_updated_at.seconds
        if body == told or updated < written:
            return {"outcome": record_nouns.WRITE_OUTCOME_UNCHANGED, "version": version}
        self.resources[key] = (version + 1, told, updated)
        if told is None:
            return {"outcome": record_nouns.WRITE_OUTCOME_DELETED, "version": version + 1}
        outcome = record_nouns.WRITE_OUTCOME_UPDATED if version else record_nouns.WRITE_OUTCOME_CREATED
        return {"outcome": outcome, "version": version + 1}

    async def ExecuteTransaction(self, request: Any, *, timeout: float, metadata: Any) -> Any:
        def answer() -> Any:
            response = records_pb2.ExecuteTransactionResponse()
            for position, entry in enumerate(request.entries):
                kind, _, identity = entry.url.partition("/")
                assert not entry.id or kind == "Patient", "records gives every other id itself"
                key = identity or entry.id or entry.if_none_exist
                known = self.resources.get((kind, key))
                if entry.method == "POST" and kind == "Patient" and known and not entry.if_none_exist:
                    raise refusal(
                        grpc.StatusCode.ALREADY_EXISTS, "RESOURCE_EXISTS", f"Bundle.entry[{position}].resource"
                    )
                if entry.method == "PUT" and known is None:
                    raise refusal(grpc.StatusCode.NOT_FOUND, "RESOURCE_UNKNOWN", f"Bundle.entry[{position}].request")
                if known is not None and (entry.method == "POST" or known[1] == entry.body):
                    response.results.add(outcome=record_nouns.WRITE_OUTCOME_UNCHANGED)
                    continue
                self.resources[kind, key] = ((known[0] if known else 0) + 1, entry.body, 0)
                response.results.add(outcome=2 if known else 1)
            return response

        return self._called("ExecuteTransaction", request, answer)

    async def BatchCreateCoverages(self, request: Any, *, timeout: float, metadata: Any) -> Any:
        def answer() -> Any:
            response = claims_pb2.BatchCreateCoveragesResponse()
            for one in request.coverages:
                content = one.SerializeToString(deterministic=True)
                identity = derived_id("coverage", content.hex())
                response.results.add(id=identity, is_created=identity not in self.coverages)
                self.coverages[identity] = content
            return response

        return self._called("BatchCreateCoverages", request, answer)

    async def SubmitClaim(self, request: Any, *, timeout: float, metadata: Any) -> Any:
        def answer() -> Any:
            key = (request.claim.organization_id, request.claim.invoice_number)
            is_new = key not in self.claims
            self.claims[key] = request.claim
            return claims_pb2.SubmitClaimResponse(claim=request.claim, is_created=is_new)

        return self._called("SubmitClaim", request, answer)

    async def PlanExport(self, request: Any, *, timeout: float, metadata: Any) -> Any:
        return self._called("PlanExport", request, lambda: exports_pb2.PlanExportResponse(plan="sealed"))

    async def OpenExport(self, request: Any, *, timeout: float, metadata: Any) -> Any:
        def answer() -> Any:
            return exports_pb2.OpenExportResponse(types=sorted(self.lines), registration_ids=sorted(self.persons))

        return self._called("OpenExport", request, answer)

    async def ReadExport(self, request: Any, *, timeout: float, metadata: Any) -> Any:
        def answer() -> Any:
            held = [(request.type, line) for line in self.lines.get(request.type, [])]
            held += [one for person in request.registration_ids for one in self.persons[person]]
            start = int(request.after or 0)
            end = start + self.page
            response = exports_pb2.ReadExportResponse(next=str(end) if end < len(held) else "")
            for kind, line in held[start:end]:
                response.lines.add(type=kind, count=1, ndjson=line + b"\n")
            if request.type == max(self.lines, default="") and end >= len(held):
                response.deleted.extend(self.deleted)
            return response

        return self._called("ReadExport", request, answer)
