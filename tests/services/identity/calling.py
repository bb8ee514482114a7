"""A running identity with an administrator, and what tests ask of it again and again."""

import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from nhip.feed.v1 import service_pb2 as feed_pb2
from nhip.feed.v1 import service_pb2_grpc as feed_pb2_grpc
from nhip.identity.v1 import events_pb2, resources_pb2, service_pb2, service_pb2_grpc
from nhip.types.v1 import types_pb2

from libs.clock import Clock, system_clock
from libs.thai import citizen_id, identifiers
from services.identity.__main__ import build
from tests.support.serving import Running, make_secrets, serving

DEVELOPMENT_LOGIN = "urn:nhip:grant:development-login"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
SECRET = "a-secret-of-more-than-24-characters"
CITIZEN_ID = citizen_id.make("912345678901")
OTHER_CITIZEN_ID = citizen_id.make("998765432109")


@dataclass(frozen=True)
class Identity:
    """A running identity."""

    running: Running
    secrets: Path
    stub: Any

    async def call(self, method: str, request: Any, token: str = "", *, metadata: Any = None) -> Any:
        if metadata is None:
            metadata = (("authorization", f"Bearer {token}"),) if token else ()
        return await getattr(self.stub, method)(request, metadata=metadata, timeout=10)

    def secret(self, name: str) -> dict[str, str]:
        return json.loads((self.secrets / name).read_text(encoding="utf-8"))

    async def token(self, **request: Any) -> Any:
        """The answer of IssueToken; client credentials where nothing else is asked for."""
        request.setdefault("grant_type", "client_credentials")
        return await self.call("IssueToken", service_pb2.IssueTokenRequest(**request))

    async def admin(self) -> str:
        return (await self.token(**self.secret("bootstrap_client"))).access_token

    async def an_organization(self, organization_id: str = "10661", **content: Any) -> resources_pb2.Organization:
        content = {"name": "โรงพยาบาลตัวอย่าง", "kind": resources_pb2.ORGANIZATION_KIND_HOSPITAL, **content}
        organization = resources_pb2.Organization(organization_id=organization_id, **content)
        request = service_pb2.CreateOrganizationRequest(organization=organization)
        return (await self.call("CreateOrganization", request, await self.admin())).organization

    async def a_practitioner(
        self,
        licence: str = "ว12345",
        organization_id: str = "10661",
        role: int = resources_pb2.PRACTITIONER_ROLE_DOCTOR,
    ) -> resources_pb2.Practitioner:
        practitioner = resources_pb2.Practitioner(
            organization_id=organization_id,
            licence=licence,
            name=types_pb2.PersonName(language="th", given="สมมติ", family="ทดสอบ"),
            role=role,
        )
        request = service_pb2.CreatePractitionerRequest(practitioner=practitioner)
        return (await self.call("CreatePractitioner", request, await self.admin())).practitioner

    async def a_client(self, client_id: str = "hospital-a", **content: Any) -> resources_pb2.Client:
        secret = content.pop("secret", SECRET)
        content = {"organization_id": "10661", "scopes": ["system/*.rs", "imports.write"], **content}
        client = resources_pb2.Client(client_id=client_id, **content)
        request = service_pb2.CreateClientRequest(client=client, client_secret=secret)
        return (await self.call("CreateClient", request, await self.admin())).client

    async def an_account(self, number: str = CITIZEN_ID) -> resources_pb2.Account:
        identifier = types_pb2.Identifier(system=identifiers.CITIZEN_ID, value=number)
        request = service_pb2.CreateAccountRequest(identifier=identifier, display_name="นางสาวสมมติ")
        return (await self.call("CreateAccount", request, await self.admin())).account

    async def a_citizen(self, number: str = CITIZEN_ID) -> str:
        """The token of a citizen with an account."""
        await self.an_account(number)
        return (await self.token(grant_type=DEVELOPMENT_LOGIN, citizen_id=number)).access_token

    async def feed(self, name: str) -> list[tuple[str, Any]]:
        """What was announced on a feed until now."""
        kinds = {"keys": events_pb2.KeyEvent, "identity": events_pb2.IdentityEvent}
        stub = self.running.stub(feed_pb2_grpc.FeedServiceStub)
        stream = stub.Follow(feed_pb2.FollowRequest(feed=name), metadata=self.running.as_service("audit"))
        changes: list[tuple[str, Any]] = []
        async for response in stream:
            changes += [(change.key, kinds[name].FromString(change.event)) for change in response.changes]
            # A heartbeat: nothing committed waits behind the fence of another test's open transaction either.
            if response.caught_up and not response.changes:
                break
        stream.cancel()
        return changes

    async def snapshot(self, name: str) -> list[tuple[str, bytes]]:
        """The present state of a feed."""
        stub = self.running.stub(feed_pb2_grpc.FeedServiceStub)
        stream = stub.Snapshot(feed_pb2.SnapshotRequest(feed=name), metadata=self.running.as_service("audit"))
        return [(change.key, change.event) async for response in stream for change in response.changes]


@asynccontextmanager
async def an_identity(
    database_url: str, *, clock: Clock = system_clock, secrets: Path | None = None
) -> AsyncIterator[Identity]:
    """Serves identity until the block ends."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = secrets or make_secrets(Path(scratch, "secrets"))
        async with serving("identity", build, database_url, secrets=folder, clock=clock) as running:
            yield Identity(running, folder, running.stub(service_pb2_grpc.IdentityServiceStub))


def reason_of(error: grpc.aio.AioRpcError) -> tuple[str, str]:
    """Code and reason of a refusal."""
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(info)
    return error.code().name, info.reason


def retry_seconds(error: grpc.aio.AioRpcError) -> float:
    """What the refusal's RetryInfo says."""
    retry = error_details_pb2.RetryInfo()
    status = rpc_status.from_call(error)
    assert status is not None
    assert any(detail.Unpack(retry) for detail in status.details)
    return retry.retry_delay.ToNanoseconds() / 1e9
