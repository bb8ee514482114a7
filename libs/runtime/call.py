"""One call in progress: who calls, what it touches, how long it may take."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Mapping
from functools import cached_property
from typing import Any, NoReturn, Protocol

import grpc
from google.protobuf.message import Message
from nhip.audit.v1 import events_pb2, resources_pb2
from opentelemetry import trace
from sqlalchemy import text

from libs.access.caller import ANONYMOUS, Caller
from libs.database.statements import Statement
from libs.database.transactions import Writer
from libs.errors import AlreadyExistsError
from libs.ids import new_id
from libs.runtime.policy import Method, value_at

ACCESS_FEED = "access"
# An entry names at most so many resources; the count tells the rest.
MAX_NAMED = 100
# A call about more registrations is told of in several events: nobody whose data it touched is left out.
MAX_REGISTRATIONS = 200
OUTCOME = resources_pb2.AccessOutcome

FIND_ANSWER = Statement(
    "requests.find",
    text(
        "SELECT method, request_hash, response FROM remembered_requests "
        "WHERE subject = :subject AND request_id = :request_id"
    ),
)
REMEMBER_ANSWER = Statement(
    "requests.remember",
    text(
        "INSERT INTO remembered_requests (subject, request_id, method, request_hash, response) "
        "VALUES (:subject, :request_id, :method, :request_hash, :response)"
    ),
)


class ReplayedAnswer(Exception):  # noqa: N818 it is no error: the request was carried out before
    """The answer that an earlier request with the same id was given."""

    def __init__(self, response: bytes) -> None:
        super().__init__()
        self.response = response


class Context(Protocol):
    """What the stages ask of the way that a call came: gRPC's own context, or that of a call that came with others."""

    def invocation_metadata(self) -> Any:
        """Pairs of names and values."""

    def peer_identities(self) -> Any:
        """The names in the certificate of the connection; None where it has none."""

    def time_remaining(self) -> float | None:
        """Seconds; None for a call without a deadline."""

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        """Sent with the answer."""

    def code(self) -> Any:
        """How the call ended."""

    async def write(self, message: Any) -> None:
        """A message of an answer that is a stream."""

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """Ends the call. Raises AbortError."""


class Call:
    """What a handler knows of the call that it answers. Also what the transaction does around itself for the call."""

    def __init__(self, method: Method, context: Context, host: Host) -> None:
        self.method = method
        self.context = context
        self.caller: Caller = ANONYMOUS
        # The request of a unary call; None while a client streams.
        self.request: Message | None = None
        self.requests: AsyncIterator[Message] | None = None
        self._started_at = time.time_ns()
        self.is_recorded = False
        self.positions: dict[str, tuple[int, int]] = {}
        self._host = host
        self._persons: dict[str, None] = {}
        self._registrations: dict[str, None] = {}
        self._resources: list[str] = []
        self._resource_count = 0
        self.citizen_key = ""

    @property
    def is_draining(self) -> bool:
        """True when the process is about to stop: long streams end."""
        return self._host.is_draining

    @cached_property
    def metadata(self) -> Mapping[str, str]:
        """The call's metadata; the last value of a repeated key."""
        pairs = self.context.invocation_metadata() or ()
        return {str(key): value if isinstance(value, str) else "" for key, value in pairs}

    def touch(self, *, person: str = "", registration: str = "", resource: str = "", citizen_key: str = "") -> None:
        """Notes whose data the call reads or writes, for the audit log."""
        if person:
            self._persons[person] = None
        if registration:
            self._registrations[registration] = None
        if resource:
            self._resource_count += 1
            if len(self._resources) < MAX_NAMED:
                self._resources.append(resource)
        if citizen_key:
            self.citizen_key = citizen_key

    def look_at_nothing(self) -> None:
        """The call has neither read nor written what is stored about anybody: there is no access to record."""
        self.is_recorded = True

    def part(self) -> Call:
        """A call for a part of a stream that has a transaction of its own, which records whose data that part touched."""
        part = Call(self.method, self.context, self._host)
        part.caller = self.caller
        return part

    def join(self, part: Call) -> None:
        """Takes over where the feeds stand after a part, whose accesses are recorded."""
        self.is_recorded = self.is_recorded or part.is_recorded
        self.positions.update(part.positions)

    def access_events(self, outcome: int, reason: str = "") -> list[events_pb2.AccessEvent]:
        """What the audit log is told of this call: one event, or several where it touched many registrations."""
        request, method = self.request, self.method
        if request is not None:
            self.touch(
                person=value_at(request, method.person_field),
                registration=value_at(request, method.registration_field),
            )
        registrations = list(self._registrations)
        first = self._access_event(outcome, reason, registrations[:MAX_REGISTRATIONS])
        first.person_ids.extend(self._persons)
        first.resources.extend(self._resources)
        starts = range(MAX_REGISTRATIONS, len(registrations), MAX_REGISTRATIONS)
        more = (registrations[start : start + MAX_REGISTRATIONS] for start in starts)
        return [first, *(self._access_event(outcome, reason, chunk) for chunk in more)]

    def _access_event(self, outcome: int, reason: str, registrations: list[str]) -> events_pb2.AccessEvent:
        method, caller = self.method, self.caller
        event = events_pb2.AccessEvent(
            event_id=new_id(),
            service=method.service,
            method=method.name,
            action=method.audit_action,  # type: ignore[arg-type]  # an enum's number
            outcome=outcome,  # type: ignore[arg-type]  # an enum's number
            reason=reason,
            caller_subject=caller.subject,
            caller_kind=caller.kind.value,
            organization_id=caller.organization_id,
            purpose=caller.purpose,  # type: ignore[arg-type]  # an enum's number
            break_glass_reason=caller.break_glass_reason,
            citizen_key=self.citizen_key or caller.citizen_key,
            registration_ids=registrations,
            resource_count=self._resource_count,
            trace_id=_trace_id(),
        )
        event.occurred_at.seconds, event.occurred_at.nanos = divmod(self._started_at // 1000 * 1000, 1_000_000_000)
        return event

    async def opened(self, writer: Writer) -> None:
        """Answers a repeated request with what it was answered before."""
        request_id = self._request_id
        if not request_id:
            return
        await writer.lock(f"request/{self.caller.subject}/{request_id}")
        row = await writer.fetch_one(FIND_ANSWER, subject=self.caller.subject, request_id=request_id)
        if row is None:
            return
        if row["method"] != self.method.path or row["request_hash"] != self._request_hash:
            raise AlreadyExistsError("REQUEST_ID_REUSED", "this request_id was used for a different request")
        raise ReplayedAnswer(row["response"])

    async def committing(self, writer: Writer) -> None:
        """Announces the access in the transaction that makes it."""
        if self.method.is_audited and not self.is_recorded:
            for event in self.access_events(OUTCOME.ACCESS_OUTCOME_GRANTED):
                writer.announce(ACCESS_FEED, event.event_id, event, is_new=True)

    def committed(self, positions: dict[str, tuple[int, int]]) -> None:
        """Notes where the feeds stand now, for readers who want to be as fresh."""
        if self.method.is_audited:
            self.is_recorded = True
        self.positions.update(positions)

    async def remember(self, writer: Writer, response: Message) -> None:
        """Stores the answer under the request's id."""
        if self._request_id:
            await writer.execute(
                REMEMBER_ANSWER,
                subject=self.caller.subject,
                request_id=self._request_id,
                method=self.method.path,
                request_hash=self._request_hash,
                response=response.SerializeToString(),
            )

    @property
    def _request_id(self) -> str:
        if not self.method.has_request_id or self.request is None:
            return ""
        return str(self.request.request_id)  # type: ignore[attr-defined]  # the policy says that it has the field

    @property
    def _request_hash(self) -> bytes:
        assert self.request is not None  # noqa: S101 only unary requests carry a request_id
        # Keyed: a request may hold a citizen id and little else, which a plain hash would give away.
        content = self.request.SerializeToString(deterministic=True)
        return hmac.new(self._host.request_key, content, hashlib.sha256).digest()


class Host:
    """What calls know of the process that serves them."""

    def __init__(self, secret: bytes) -> None:
        """`secret` keys the hashes of remembered requests."""
        self.request_key = hashlib.sha256(b"remembered-requests" + secret).digest()
        # True when the process has begun to stop.
        self.is_draining = False


def _trace_id() -> str:
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""
