"""The index behind its real chain, and callers of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from nhip.audit.v1 import events_pb2 as audit_pb2
from nhip.feed.v1 import service_pb2 as feed_pb2
from nhip.feed.v1 import service_pb2_grpc as feed_grpc
from nhip.identity.v1 import events_pb2 as identity_pb2
from nhip.patient_index.v1 import events_pb2, service_pb2, service_pb2_grpc
from sqlalchemy import text

from libs.access.caller import PATIENT_REQUEST, TREATMENT, CallerKind
from libs.access.citizen_keys import CitizenKeys
from libs.clock import Clock, system_clock
from libs.database.statements import Statement
from libs.thai.identifiers import CITIZEN_ID
from services.patient_index import followers
from services.patient_index.__main__ import build
from tests.services.patient_index.people import HOSPITAL_A, a_message
from tests.support.postgres import DatabaseUrl
from tests.support.serving import Running, serving

SCOPES = "registrations.write registrations.read registrations.link"
STAND = Statement(
    "test.stand",
    text(
        "INSERT INTO feed_cursors (source, feed, group_number, cursor) VALUES ('identity', 'identity', 0, :cursor) "
        "ON CONFLICT (source, feed, group_number) DO UPDATE SET cursor = excluded.cursor"
    ),
)


@dataclass
class Index:
    """A running index, and what a hospital does with it."""

    running: Running

    @property
    def stub(self) -> service_pb2_grpc.PatientIndexServiceStub:
        """The RPCs."""
        return self.running.stub(service_pb2_grpc.PatientIndexServiceStub)

    def hospital(self, organization: str = HOSPITAL_A, scopes: str = SCOPES) -> dict[str, Any]:
        """Calls as a hospital's system, in treatment."""
        metadata = self.running.token(scopes=scopes, organization=organization, purpose=TREATMENT)
        return {"metadata": metadata, "timeout": 20}

    def citizen(self, number: str, scopes: str = "person.self") -> dict[str, Any]:
        """Calls as a citizen who looks at what is held about them."""
        metadata = self.running.token(
            scopes=scopes,
            purpose=PATIENT_REQUEST,
            kind=CallerKind.CITIZEN,
            subject="citizen/1",
            citizen_key=self.key_of(number) if number else "",
        )
        return {"metadata": metadata, "timeout": 20}

    def key_of(self, number: str) -> str:
        """The account key of a citizen id."""
        return CitizenKeys(self.running.process.ground.settings.secret("citizen_key")).key_of(CITIZEN_ID, number)

    async def register(self, *, request_id: str = "", validate_only: bool = False, **told):
        """Registers a person, as told to `a_filing`."""
        message = a_message(**told)
        request = service_pb2.RegisterRequest(registration=message, request_id=request_id, validate_only=validate_only)
        return await self.stub.Register(request, **self.hospital(message.organization_id))

    async def person(self, person_id: str, **call):
        """A person with all registrations."""
        response = await self.stub.GetPerson(
            service_pb2.GetPersonRequest(person_id=person_id), **(call or self.hospital())
        )
        return response.person

    async def link(self, registration_id: str, person_id: str):
        """Links by somebody's word."""
        request = service_pb2.LinkRegistrationRequest(
            registration_id=registration_id, person_id=person_id, reason="the same face"
        )
        return await self.stub.LinkRegistration(request, **self.hospital())

    async def unlink(self, registration_id: str):
        """Unlinks by somebody's word."""
        request = service_pb2.UnlinkRegistrationRequest(registration_id=registration_id, reason="two people")
        return await self.stub.UnlinkRegistration(request, **self.hospital())

    async def hear_identity(self, *events: identity_pb2.IdentityEvent, place: str = "1.1") -> None:
        """Hands events of identity to the follower as the feed would, and stands at the place that they lead to."""
        async with self.running.database.writing() as writer:
            changes = [feed_pb2.Change(event=one.SerializeToString()) for one in events]
            await followers.apply_identity(writer, changes)
            await writer.execute(STAND, cursor=place)

    async def consent(self, number: str, organization: str, decision: int, *, category: int = 1, **told: Any) -> None:
        """What a citizen decides: `version`, `expires_at` and `consent_id` may be told."""
        event = identity_pb2.IdentityEvent()
        one = event.consent_changed
        one.consent_id = told.get("consent_id", f"{number}/{organization}/{category}")
        one.citizen_key, one.organization_id, one.version = self.key_of(number), organization, told.get("version", 1)
        one.category, one.decision = category, decision  # type: ignore[assignment]  # numbers of enums
        if expires_at := told.get("expires_at"):
            one.expires_at.FromDatetime(expires_at)
        await self.hear_identity(event)

    async def announced(self) -> list[events_pb2.RegistrationPlaced]:
        """Everything on the feed, in its order."""
        events = await self._followed("patient_index", "records")
        return [events_pb2.PatientIndexEvent.FromString(event).registration_placed for event in events]

    async def accesses(self) -> list[audit_pb2.AccessEvent]:
        """What the audit log is told, in its order."""
        return [audit_pb2.AccessEvent.FromString(event) for event in await self._followed("access", "audit")]

    async def _followed(self, feed: str, follower: str) -> list[bytes]:
        stub = self.running.stub(feed_grpc.FeedServiceStub)
        stream = stub.Follow(feed_pb2.FollowRequest(feed=feed), metadata=self.running.as_service(follower), timeout=20)
        events: list[bytes] = []
        async for response in stream:
            events += [one.event for one in response.changes]
            if response.caught_up:
                stream.cancel()
                break
        return events

    async def snapshot(self) -> list[events_pb2.RegistrationPlaced]:
        """Where every registration stands, as a new follower learns it."""
        stub = self.running.stub(feed_grpc.FeedServiceStub)
        stream = stub.Snapshot(
            feed_pb2.SnapshotRequest(feed="patient_index"), metadata=self.running.as_service("records"), timeout=20
        )
        return [
            events_pb2.PatientIndexEvent.FromString(change.event).registration_placed
            async for response in stream
            for change in response.changes
        ]


@asynccontextmanager
async def an_index(database_url: DatabaseUrl, clock: Clock = system_clock) -> AsyncIterator[Index]:
    """An index that serves until the block ends."""
    async with serving("patient_index", build, database_url("patient_index"), clock=clock) as running:
        yield Index(running)


def refusal(error: grpc.aio.AioRpcError) -> tuple[str, str, list[str]]:
    """(status, reason, fields) of an error."""
    status = rpc_status.from_call(error)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info) or detail.Unpack(bad)
    return error.code().name, info.reason, [one.field for one in bad.field_violations]
