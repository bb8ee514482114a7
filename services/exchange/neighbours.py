"""The services that exchange calls: with tokens in the importing organisation's name, and patience.

A neighbour that is down, slow or restarting is asked again until it answers: a job waits, it does not fail. What a
neighbour refuses as a whole is taken apart until the one refused thing is found.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from nhip.claims.v1 import resources_pb2 as claim_nouns
from nhip.claims.v1 import service_pb2 as claims_pb2
from nhip.claims.v1 import service_pb2_grpc as claims_grpc
from nhip.identity.v1 import service_pb2 as identity_pb2
from nhip.identity.v1 import service_pb2_grpc as identity_grpc
from nhip.patient_index.v1 import resources_pb2 as index_nouns
from nhip.patient_index.v1 import service_pb2 as index_pb2
from nhip.patient_index.v1 import service_pb2_grpc as index_grpc
from nhip.records.v1 import exports_pb2, exports_pb2_grpc
from nhip.records.v1 import resources_pb2 as record_nouns
from nhip.records.v1 import service_pb2 as records_pb2
from nhip.records.v1 import service_pb2_grpc as records_grpc

from libs.access.caller import OPERATIONS
from libs.clock import Clock
from libs.ids import derived_id
from libs.runtime.channels import outgoing
from libs.runtime.service import Ground
from libs.runtime.settings import Settings
from services.exchange.model import Export
from services.exchange.rules import backoff

log = logging.getLogger(__name__)

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 the grant's name
BATCH_SECONDS = 30.0
CALL_SECONDS = 10.0
# Somebody waits for the answer, at an edge that waits ten seconds.
PLAN_SECONDS = 8.0
# The organisation that runs the platform.
PLATFORM = "nhip"
# A token is renewed when it has less than this left, so that none expires on its way.
RENEW_SECONDS = 30.0
_DETAILS = "grpc-status-details-bin"
# Passes by itself, or when somebody mends the deployment: asked again for as long as it takes.
_PASSING = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
# May be the neighbour's own trouble, or a thing that it cannot digest: asked for half a minute, then taken apart.
_DOUBTFUL = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS})
_DOUBTFUL_TRIES = 8
_DOUBTFUL_TRIES_APART = 2
# So many single things refused like this, and none taken: it is the neighbour, not the things.
_BROKEN_AFTER = 3
# Refusals of exchange itself, not of what it sends: they end when the deployment is mended.
_OURS = frozenset({"SCOPE_MISSING", "CALLER_REFUSED", "PURPOSE_MISSING", "CLIENT_MAY_NOT_ACT"})

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response")
Item = TypeVar("Item")
Result = TypeVar("Result")


class RefusedError(Exception):
    """A neighbour refused a request for good."""

    def __init__(self, reason: str, message: str, field: str = "", *, is_doubtful: bool = False) -> None:
        """`is_doubtful`: the neighbour did not say what is wrong, and may have been wrong itself."""
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field
        self.is_doubtful = is_doubtful


class _BrokenError(Exception):
    """A neighbour answers nothing that it is asked."""


@dataclass(slots=True)
class _Taking:
    """How a batch that was refused as a whole fares in parts."""

    taken: int = 0
    doubtful: int = 0
    is_apart: bool = False

    @property
    def tries(self) -> int:
        """How often a call is made whose failure may be the neighbour's own."""
        return _DOUBTFUL_TRIES_APART if self.is_apart else _DOUBTFUL_TRIES


class _Stub(Protocol):
    def __call__(self, request: Any, *, timeout: float, metadata: Any) -> Awaitable[Any]: ...


@dataclass(frozen=True, slots=True)
class Sender:
    """For whom a call is made: the importing organisation, and a name that is the same when the call is repeated."""

    organization_id: str
    import_id: str
    run: int

    def request_id(self, place: str, request: Message) -> str:
        """The same for the same request of the same place of the same run, and for nothing else."""
        digest = hashlib.blake2b(request.SerializeToString(deterministic=True), digest_size=16).hexdigest()
        return derived_id("exchange", self.import_id, str(self.run), place, digest)


class Tokens:
    """Access tokens of exchange for other organisations; kept until shortly before they expire."""

    def __init__(self, stub: Any, settings: Settings, clock: Clock) -> None:
        secret = json.loads(settings.secret_text("exchange_client"))
        self._stub = stub
        self._client_id = str(secret["client_id"])
        self._client_secret = str(secret["client_secret"])
        self._clock = clock
        self._known: dict[str, tuple[str, float]] = {}

    async def bearer(self, organization_id: str) -> str:
        """`Bearer …` for the organisation. Raises AioRpcError where identity does not give one."""
        now = self._clock().timestamp()
        token, expires = self._known.get(organization_id, ("", 0.0))
        if expires - RENEW_SECONDS > now:
            return token
        request = identity_pb2.IssueTokenRequest(
            grant_type=TOKEN_EXCHANGE,
            client_id=self._client_id,
            client_secret=self._client_secret,
            organization_id=organization_id,
            purpose=OPERATIONS,
        )
        answer = await self._stub.IssueToken(request, timeout=CALL_SECONDS, metadata=outgoing(""))
        token = f"Bearer {answer.access_token}"
        self._known[organization_id] = (token, now + answer.expires_in)
        return token

    def forget(self, organization_id: str) -> None:
        """Drops a token that was refused."""
        self._known.pop(organization_id, None)


class Neighbours:
    """What exchange asks of the domain services."""

    def __init__(self, tokens: Tokens, index: Any, records: Any, claims: Any, exports: Any) -> None:
        self._tokens = tokens
        self._index = index
        self._records = records
        self._claims = claims
        self._exports = exports

    @classmethod
    def of(cls, ground: Ground) -> "Neighbours":
        """Opens the channels. Raises SettingsError."""

        def channel(name: str, descriptor: Any) -> grpc.aio.Channel:
            return ground.channel(name, next(iter(descriptor.services_by_name.values())))

        identity = identity_grpc.IdentityServiceStub(channel("identity", identity_pb2.DESCRIPTOR))
        return cls(
            Tokens(identity, ground.settings, ground.clock),
            index_grpc.PatientIndexServiceStub(channel("patient_index", index_pb2.DESCRIPTOR)),
            records_grpc.RecordsServiceStub(channel("records", records_pb2.DESCRIPTOR)),
            claims_grpc.ClaimsServiceStub(channel("claims", claims_pb2.DESCRIPTOR)),
            exports_pb2_grpc.ExportRecordsServiceStub(channel("records", exports_pb2.DESCRIPTOR)),
        )

    async def register(
        self, sender: Sender, place: str, registrations: Sequence[index_nouns.Registration]
    ) -> list[index_pb2.BatchRegisterResult]:
        """Registers people; the answers stand in the order of the registrations."""

        async def send(
            items: Sequence[index_nouns.Registration], tries: int
        ) -> Sequence[index_pb2.BatchRegisterResult]:
            request = index_pb2.BatchRegisterRequest(registrations=items)
            request.request_id = sender.request_id(place, request)
            answer: index_pb2.BatchRegisterResponse = await self._patiently(
                self._index.BatchRegister, sender, request, BATCH_SECONDS, tries
            )
            return answer.results

        def refused(error: RefusedError) -> index_pb2.BatchRegisterResult:
            return index_pb2.BatchRegisterResult(
                error_reason=error.reason, error_field=error.field, error_message=error.message
            )

        return await _taken_apart(registrations, send, refused)

    async def import_resources(
        self,
        sender: Sender,
        place: str,
        resources: Sequence[records_pb2.ImportResource],
        *,
        aliases: Mapping[str, str] | None = None,
        base_url: str = "",
    ) -> list[records_pb2.ImportResult]:
        """Stores resources; the answers stand in the order of the resources.

        `aliases` says what references mean, and `base_url` is the address of the source that they are written for.
        """

        async def send(items: Sequence[records_pb2.ImportResource], tries: int) -> Sequence[records_pb2.ImportResult]:
            request = records_pb2.ImportResourcesRequest(resources=items, aliases=aliases, base_url=base_url)
            request.request_id = sender.request_id(place, request)
            answer: records_pb2.ImportResourcesResponse = await self._patiently(
                self._records.ImportResources, sender, request, BATCH_SECONDS, tries
            )
            return answer.results

        def refused(error: RefusedError) -> records_pb2.ImportResult:
            return records_pb2.ImportResult(
                outcome=record_nouns.WRITE_OUTCOME_REJECTED,
                error_reason=error.reason,
                error_expression=error.field,
                error_message=error.message,
            )

        return await _taken_apart(resources, send, refused)

    async def create_coverages(
        self, sender: Sender, place: str, coverages: Sequence[claim_nouns.Coverage]
    ) -> list[claims_pb2.BatchItemResult]:
        """Records rights; the answers stand in the order of the rights."""

        async def send(items: Sequence[claim_nouns.Coverage], tries: int) -> Sequence[claims_pb2.BatchItemResult]:
            request = claims_pb2.BatchCreateCoveragesRequest(coverages=items)
            request.request_id = sender.request_id(place, request)
            answer: claims_pb2.BatchCreateCoveragesResponse = await self._patiently(
                self._claims.BatchCreateCoverages, sender, request, BATCH_SECONDS, tries
            )
            return answer.results

        def refused(error: RefusedError) -> claims_pb2.BatchItemResult:
            return claims_pb2.BatchItemResult(
                error_reason=error.reason, error_field=error.field, error_message=error.message
            )

        return await _taken_apart(coverages, send, refused)

    async def submit_claim(self, sender: Sender, place: str, claim: claim_nouns.Claim) -> bool:
        """Submits a claim; True when it was not there before. Raises RefusedError."""
        request = claims_pb2.SubmitClaimRequest(claim=claim)
        request.request_id = sender.request_id(place, request)
        answer = await self._patiently(self._claims.SubmitClaim, sender, request, CALL_SECONDS)
        return bool(answer.is_created)

    async def execute_transaction(
        self, sender: Sender, place: str, entries: Sequence[records_pb2.TransactionEntry]
    ) -> Sequence[records_pb2.TransactionResult]:
        """Carries out a bundle, all or nothing. Raises RefusedError."""
        request = records_pb2.ExecuteTransactionRequest(entries=entries)
        request.request_id = sender.request_id(place, request)
        answer = await self._patiently(self._records.ExecuteTransaction, sender, request, BATCH_SECONDS)
        results: Sequence[records_pb2.TransactionResult] = answer.results
        return results

    async def plan_export(
        self, authorization: str, request: exports_pb2.PlanExportRequest
    ) -> exports_pb2.PlanExportResponse:
        """What an export means to its caller, by the caller's own token. Raises AioRpcError."""
        metadata = outgoing(authorization)
        answer: exports_pb2.PlanExportResponse = await self._exports.PlanExport(
            request, timeout=PLAN_SECONDS, metadata=metadata
        )
        return answer

    async def open_export(self, found: Export) -> exports_pb2.OpenExportResponse:
        """What there is to walk of an export. Raises RefusedError."""
        request = exports_pb2.OpenExportRequest(plan=found.plan)
        request.transaction_time.FromDatetime(found.transaction_time)
        answer: exports_pb2.OpenExportResponse = await self._patiently(
            self._exports.OpenExport, _reader(found), request, BATCH_SECONDS
        )
        return answer

    async def read_export(self, found: Export, walk: str | Sequence[str], place: str) -> exports_pb2.ReadExportResponse:
        """A page of an export: of a type, or of registrations. Raises RefusedError."""
        request = exports_pb2.ReadExportRequest(plan=found.plan, after=place)
        if isinstance(walk, str):
            request.type = walk
        else:
            request.registration_ids.extend(walk)
        request.transaction_time.FromDatetime(found.transaction_time)
        answer: exports_pb2.ReadExportResponse = await self._patiently(
            self._exports.ReadExport, _reader(found), request, BATCH_SECONDS
        )
        return answer

    async def _patiently(
        self, stub: _Stub, sender: Sender, request: Message, seconds: float, tries: int = _DOUBTFUL_TRIES
    ) -> Any:
        """Asks until there is an answer. Raises RefusedError for a refusal that asking again does not change."""
        failures = 0
        while True:
            try:
                bearer = await self._tokens.bearer(sender.organization_id)
            except grpc.aio.AioRpcError as error:
                failures += 1
                _note("identity gives no token", error, failures)
                await asyncio.sleep(backoff(failures))
                continue
            try:
                return await stub(request, timeout=seconds, metadata=outgoing(bearer))
            except grpc.aio.AioRpcError as error:
                failures += 1
                code = error.code()
                if code is grpc.StatusCode.UNAUTHENTICATED:
                    self._tokens.forget(sender.organization_id)
                refusal = _refusal(error)
                is_passing = code in _PASSING or refusal.reason in _OURS
                if not is_passing and (code not in _DOUBTFUL or failures >= tries):
                    raise refusal from error
                _note(f"{type(request).__name__} was not answered", error, failures)
                await asyncio.sleep(backoff(failures))


def _reader(found: Export) -> Sender:
    """Exchange's own token reads: whose eyes a page is for stands in the plan."""
    return Sender(PLATFORM, found.export_id, 0)


Send = Callable[[Sequence[Item], int], Awaitable[Sequence[Result]]]


async def _taken_apart(
    items: Sequence[Item], send: Send[Item, Result], refused: Callable[[RefusedError], Result]
) -> list[Result]:
    """The results of all items; what is refused as a whole is halved until single items are refused."""
    failures = 0
    while True:
        try:
            told = await _halved(items, send, _Taking())
            break
        except _BrokenError:
            failures += 1
            log.warning("a neighbour refuses whatever it is asked; trying again")
            await asyncio.sleep(backoff(failures))
    results = []
    for item, one in zip(items, told, strict=True):
        if not isinstance(one, RefusedError):
            results.append(one)
        elif one.is_doubtful and len(items) > 1:
            # It may have been refused while the neighbour was about to recover.
            results.extend(await _taken_apart([item], send, refused))
        else:
            results.append(refused(one))
    return results


async def _halved(items: Sequence[Item], send: Send[Item, Result], taking: _Taking) -> list[Result | RefusedError]:
    if not items:
        return []
    try:
        results = list(await send(items, taking.tries))
    except RefusedError as error:
        taking.is_apart = True
        if len(items) == 1:
            taking.doubtful += error.is_doubtful
            if not taking.taken and taking.doubtful >= _BROKEN_AFTER:
                raise _BrokenError from error
            return [error]
    else:
        taking.taken += len(items)
        return [*results]
    middle = len(items) // 2
    first = await _halved(items[:middle], send, taking)
    return [*first, *await _halved(items[middle:], send, taking)]


def _refusal(error: grpc.aio.AioRpcError) -> RefusedError:
    """What a status says: reason and field, where the neighbour tells them."""
    reason, field = error.code().name, ""
    details = next((value for key, value in error.trailing_metadata() or () if key == _DETAILS), b"")
    if isinstance(details, bytes) and details:
        for detail in status_pb2.Status.FromString(details).details:
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if detail.Unpack(info):
                reason = info.reason or reason
            elif detail.Unpack(bad) and bad.field_violations:
                field = bad.field_violations[0].field
    return RefusedError(
        reason, error.details() or "the platform refused it", field, is_doubtful=error.code() in _DOUBTFUL
    )


def _note(what: str, error: grpc.aio.AioRpcError, failures: int) -> None:
    # Each power of two, so that a neighbour that is down for an hour does not fill the log.
    if failures & (failures - 1) == 0:
        log.warning("%s (%s), %d times in a row; trying again", what, error.code().name, failures)
