"""A running claims service, and what tests ask of it again and again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from nhip.claims.v1 import resources_pb2, service_pb2, service_pb2_grpc
from nhip.feed.v1 import service_pb2 as feed_pb2

from services.claims.__main__ import build
from services.claims.followers import Followers
from tests.services.claims.telling import (
    HOSPITAL,
    NOW,
    a_placement,
    a_right,
    a_visit,
    tell_index,
    tell_records,
)
from tests.support.serving import Running, serving

RECEIVED, APPROVED, REJECTED, SCHEDULED, PAID, CANCELLED = range(1, 7)


@dataclass(frozen=True)
class Hub:
    """A running claims service, and what hospitals, payers and citizens ask of it."""

    running: Running
    followers: Followers

    async def call(self, method: str, request: Any, *, scopes: str, organization: str = HOSPITAL, **token: Any) -> Any:
        stub = self.running.stub(service_pb2_grpc.ClaimsServiceStub)
        metadata = self.running.token(scopes=scopes, organization=organization, **token)
        return await getattr(stub, method)(request, metadata=metadata, timeout=5)

    async def submit(self, claim: resources_pb2.Claim, *, organization: str = HOSPITAL, **options: Any):
        request = service_pb2.SubmitClaimRequest(claim=claim, **options)
        return (await self.call("SubmitClaim", request, scopes="claims.write", organization=organization)).claim

    async def get(self, claim_id: str, *, scopes: str = "claims.read", **token: Any) -> resources_pb2.Claim:
        request = service_pb2.GetClaimRequest(claim_id=claim_id)
        return (await self.call("GetClaim", request, scopes=scopes, **token)).claim

    async def pay(self, *claim_ids: str, **options: Any) -> service_pb2.PayClaimsResponse:
        request = service_pb2.PayClaimsRequest(scheme="UCS", claim_ids=claim_ids, **options)
        return await self.call("PayClaims", request, scopes="claims.pay", organization="NHSO", purpose=3)

    async def entries(self, *, scopes: str = "claims.read", organization: str = HOSPITAL, **query: Any):
        request = service_pb2.ListLedgerEntriesRequest(**query)
        return await self.call("ListLedgerEntries", request, scopes=scopes, organization=organization)

    async def grant(self, *rights: resources_pb2.Coverage) -> list[service_pb2.BatchItemResult]:
        request = service_pb2.BatchCreateCoveragesRequest(coverages=rights)
        return list((await self.call("BatchCreateCoverages", request, scopes="coverage.write")).results)

    async def visits(self, *changes: feed_pb2.Change) -> None:
        await tell_records(self.running.database, self.followers, *changes)

    async def places(self, *changes: feed_pb2.Change) -> None:
        await tell_index(self.running.database, self.followers, *changes)


@asynccontextmanager
async def a_hub(database_url, **options) -> AsyncIterator[Hub]:
    async with serving("claims", build, database_url("claims"), clock=lambda: NOW, **options) as running:
        yield Hub(running, Followers(lambda: NOW))


@asynccontextmanager
async def a_hub_with_a_visit(database_url) -> AsyncIterator[Hub]:
    """One person with a right, placed, who was seen at the hospital."""
    async with a_hub(database_url) as hub:
        await hub.places(a_placement("r1", "p1", citizen_key="key-1"))
        await hub.grant(a_right("r1"))
        await hub.visits(a_visit("e1", of="r1"))
        yield hub


async def refused(awaitable) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable
    info = error_details_pb2.ErrorInfo()
    for detail in rpc_status.from_call(caught.value).details:
        detail.Unpack(info)
    return caught.value.code().name, info.reason


def statuses(claim: resources_pb2.Claim) -> list[int]:
    return [change.status for change in claim.status_changes]


def reasons(claim: resources_pb2.Claim) -> list[str]:
    return [line.decision.reason for line in claim.lines]
