"""A records service on its feet, and the words in which tests speak to it."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from nhip.feed.v1 import service_pb2 as feed_pb2
from nhip.identity.v1 import events_pb2 as identity_pb2
from nhip.patient_index.v1 import events_pb2 as index_pb2
from nhip.records.v1 import service_pb2, service_pb2_grpc

from libs.access.caller import TREATMENT, CallerKind
from services.records import followers
from services.records.__main__ import build
from tests.support.serving import Running, serving

A, B, C = "10661", "10662", "10663"
EVERYTHING = "user/*.cruds system/*.cruds records.import summary.read"
ICD10 = "http://hl7.org/fhir/sid/icd-10"
PERMIT, DENY = 1, 2
GENERAL, SENSITIVE = 1, 2
TIMEOUT = 20


@dataclass
class Refused(Exception):  # noqa: N818 what a test expects is no error of its own
    """What a caller learns of an error."""

    code: grpc.StatusCode
    reason: str
    message: str
    fields: list[tuple[str, str]]
    metadata: dict[str, str]


def refusal(error: grpc.aio.AioRpcError) -> Refused:
    """The facts of a status."""
    status = rpc_status.from_call(error)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details if status else ():
        detail.Unpack(info) if detail.Is(info.DESCRIPTOR) else detail.Unpack(bad)
    fields = [(one.field, one.reason) for one in bad.field_violations]
    return Refused(error.code(), info.reason, error.details() or "", fields, dict(info.metadata))


@dataclass
class Stage:
    """The service, its stub, and a clock that stands until it is moved."""

    running: Running
    stub: Any
    now: list[datetime]
    versions: dict[str, int] = field(default_factory=dict)

    def token(self, organization: str = A, *, purpose: int = 0, scopes: str = EVERYTHING, **more: Any) -> Any:
        return self.running.token(scopes=scopes, organization=organization, purpose=purpose, **more)

    def citizen(self, key: str) -> Any:
        return self.running.token(
            scopes="patient/*.rs person.self",
            kind=CallerKind.CITIZEN,
            subject=f"citizen/{key}",
            citizen_key=key,
            purpose=7,
        )

    async def call(self, method: str, request: Message, token: Any = None) -> Any:
        """Calls as hospital A unless told otherwise; raises Refused."""
        try:
            return await getattr(self.stub, method)(request, metadata=token or self.token(), timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            raise refusal(error) from None

    async def register(self, registration: str, organization: str = A, *, person: str = "", key: str = "") -> None:
        """Places a registration, as the patient index announces it."""
        version = self.versions[registration] = self.versions.get(registration, 0) + 1
        event = index_pb2.PatientIndexEvent()
        event.registration_placed.registration_id = registration
        event.registration_placed.organization_id = organization
        event.registration_placed.person_id = person or f"person-of-{registration}"
        event.registration_placed.citizen_key = key
        event.registration_placed.version = version
        await self.deliver(followers.apply_patient_index, event)

    async def consent(
        self,
        key: str,
        organization: str,
        decision: int,
        *,
        category: int = GENERAL,
        version: int = 1,
        days: int | None = None,
        consent_id: str = "",
    ) -> None:
        """A citizen's decision, as identity announces it."""
        event = identity_pb2.IdentityEvent()
        one = event.consent_changed
        one.consent_id = consent_id or f"{key}/{organization}/{category}"
        one.citizen_key, one.organization_id, one.version = key, organization, version
        one.category, one.decision = category, decision  # type: ignore[assignment]  # numbers of enums
        if days is not None:
            one.expires_at.FromDatetime(self.now[0] + timedelta(days=days))
        await self.deliver(followers.apply_identity, event)

    async def deliver(self, apply: Callable[..., Any], *events: Message) -> None:
        """Hands events to a follower as the feed would."""
        async with self.running.database.writing() as writer:
            await apply(writer, [feed_pb2.Change(event=one.SerializeToString()) for one in events])

    async def file_patient(self, registration: str, organization: str = A, **more: Any) -> Any:
        body = a_patient(registration, **more)
        request = service_pb2.CreateResourceRequest(type="Patient", id=registration, body=json.dumps(body).encode())
        return (await self.call("CreateResource", request, self.token(organization))).resource

    async def arrive(self, registration: str, organization: str = A, *, person: str = "", key: str = "") -> None:
        """A person is registered, and filed as a Patient."""
        await self.register(registration, organization, person=person, key=key)
        await self.file_patient(registration, organization)

    async def create(self, body: dict[str, Any], organization: str = A, token: Any = None, **more: Any) -> Any:
        request = service_pb2.CreateResourceRequest(type=body["resourceType"], body=json.dumps(body).encode(), **more)
        return (await self.call("CreateResource", request, token or self.token(organization))).resource

    async def update(self, body: dict[str, Any], organization: str = A, **more: Any) -> Any:
        request = service_pb2.UpdateResourceRequest(
            type=body["resourceType"], id=body["id"], body=json.dumps(body).encode(), **more
        )
        return await self.call("UpdateResource", request, self.token(organization))

    async def read(self, key: str, token: Any = None) -> dict[str, Any]:
        resource_type, resource_id = key.split("/")
        request = service_pb2.ReadResourceRequest(type=resource_type, id=resource_id)
        return json.loads((await self.call("ReadResource", request, token)).resource.body)

    async def search(self, query: str, token: Any = None, **more: Any) -> Any:
        """`Observation?code=…&date=…`."""
        resource_type, _, text = query.partition("?")
        pairs = [one.partition("=") for one in text.split("&") if one]
        parameters = [service_pb2.SearchParameter(name=name, value=value) for name, _, value in pairs]
        request = service_pb2.SearchResourcesRequest(type=resource_type, parameters=parameters, **more)
        return await self.call("SearchResources", request, token)

    async def found(self, query: str, token: Any = None) -> list[str]:
        """The keys of the matches."""
        return [f"{one.type}/{one.id}" for one in (await self.search(query, token)).matches]


@asynccontextmanager
async def records(url: str) -> AsyncIterator[Stage]:
    """Serves records until the block ends."""
    now = [datetime(2024, 6, 1, 3, 0, tzinfo=UTC)]
    async with serving("records", build, url, clock=lambda: now[0]) as running:
        yield Stage(running, running.stub(service_pb2_grpc.RecordsServiceStub), now)


def a_patient(
    registration: str, *, family: str = "ใจดี", given: str = "สมศรี", born: str = "1984-02-29"
) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": registration,
        "identifier": [{"system": "https://terms.sil-th.org/hcode/5/10661/HN", "value": f"HN-{registration}"}],
        "name": [{"family": family, "given": [given], "prefix": ["นาง"]}, {"family": "Jaidee", "given": ["Somsri"]}],
        "gender": "female",
        "birthDate": born,
    }


def an_observation(patient: str, *, code: str = "718-7", on: str = "2024-05-01", value: float = 13.2) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": on,
        "valueQuantity": {"value": value, "unit": "g/dL"},
    }


def a_condition(patient: str, code: str, *, on: str = "2024-05-02", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
        },
        "code": {"coding": [{"system": ICD10, "code": code}]},
        "subject": {"reference": f"Patient/{patient}"},
        "recordedDate": on,
        **more,
    }


def an_encounter(patient: str, *, on: str = "2024-05-02T09:00:00+07:00") -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/{patient}"},
        "period": {"start": on, "end": on},
    }


def an_allergy(patient: str, drug: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}
            ]
        },
        "code": {"text": drug},
        "patient": {"reference": f"Patient/{patient}"},
        **more,
    }


def an_order(patient: str, drug: str, *, status: str = "active") -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "status": status,
        "intent": "order",
        "medicationCodeableConcept": {"text": drug},
        "subject": {"reference": f"Patient/{patient}"},
        "authoredOn": "2024-05-03",
    }


def treating(stage: Stage, organization: str = B) -> Any:
    return stage.token(organization, purpose=TREATMENT)
