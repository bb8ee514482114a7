"""The RPCs of claims."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date

from google.protobuf.message import Message
from nhip.claims.v1 import resources_pb2, service_pb2
from nhip.types.v1.types_pb2 import Money

from libs.access.caller import Caller
from libs.clock import BANGKOK, Clock
from libs.database.engine import Database
from libs.database.transactions import Reader
from libs.errors import AlreadyExistsError, NhipError, NotFoundError, PermissionDeniedError
from libs.ids import new_id
from libs.pages import PageTokens
from libs.runtime.call import Call
from libs.runtime.interceptors.validation import require_valid
from services.claims import wire
from services.claims.decisions import announce, post_and_announce
from services.claims.model import Claim, Coverage, Status
from services.claims.rules import adjudication
from services.claims.rules import ledger as ledger_rules
from services.claims.rules import tariffs as tariff_rules
from services.claims.store import claims, ledger, tariffs

_PAYER = frozenset({"claims.pay"})
_CLAIMS_PER_PAGE = 50
_ITEMS_PER_PAGE = 200
_ENTRIES_PER_PAGE = 200


class ClaimsApi:
    """ClaimsService over one database."""

    def __init__(self, database: Database, clock: Clock, pages: PageTokens) -> None:
        self._database = database
        self._clock = clock
        self._pages = pages

    async def BatchCreateCoverages(
        self, request: service_pb2.BatchCreateCoveragesRequest, call: Call
    ) -> service_pb2.BatchCreateCoveragesResponse:
        """Each right is stored or rejected by itself."""
        now = self._clock()
        rights: dict[str, Coverage] = {}
        outcomes: list[str | NhipError] = []
        for message in request.coverages:
            try:
                require_valid(message)
                coverage = wire.coverage_of(message, now)
            except NhipError as error:
                outcomes.append(error)
                continue
            rights[coverage.coverage_id] = coverage
            outcomes.append(coverage.coverage_id)
            call.touch(registration=coverage.registration_id, resource=f"Coverage/{coverage.coverage_id}")
        async with self._database.writing(call) as writer:
            created = await tariffs.record_coverages(writer, list(rights.values())) if rights else set()
            response = service_pb2.BatchCreateCoveragesResponse()
            for outcome in outcomes:
                response.results.append(_batch_result(outcome, created))
            return await writer.answer(response)

    async def ListCoverages(
        self, request: service_pb2.ListCoveragesRequest, call: Call
    ) -> service_pb2.ListCoveragesResponse:
        """The rights of the person, of whichever registration they were recorded."""
        day = wire.day_of("on", request.on) if request.on else self._today()
        async with self._database.reading() as reader:
            found = await tariffs.coverages_of(reader, request.registration_id, day)
        for coverage in found:
            call.touch(registration=coverage.registration_id, resource=f"Coverage/{coverage.coverage_id}")
        return service_pb2.ListCoveragesResponse(coverages=map(wire.coverage_to_wire, found))

    async def BatchCreateTariffItems(
        self, request: service_pb2.BatchCreateTariffItemsRequest, call: Call
    ) -> service_pb2.BatchCreateTariffItemsResponse:
        """All items or none."""
        told = [wire.tariff_item_of(index, message) for index, message in enumerate(request.items)]
        async with self._database.writing(call) as writer:
            await tariffs.lock(writer, {item.scheme for item in told})
            held = await tariffs.items_of_codes(writer, ((item.scheme, item.code) for item in told))
            growth = tariff_rules.grow(held, told)
            await tariffs.store(writer, growth.created, growth.closed)
            return await writer.answer(
                service_pb2.BatchCreateTariffItemsResponse(created=len(growth.created), unchanged=growth.unchanged)
            )

    async def ListTariffItems(
        self, request: service_pb2.ListTariffItemsRequest, call: Call
    ) -> service_pb2.ListTariffItemsResponse:
        """The items that hold on the day, by code."""
        del call
        day = wire.day_of("on", request.on) if request.on else self._today()
        after = self._pages.read(request.page_token, "tariff", request.scheme, day) or ""
        size = request.page_size or _ITEMS_PER_PAGE
        async with self._database.reading() as reader:
            found = await tariffs.list_items(reader, request.scheme, day, after, size + 1)
        response = service_pb2.ListTariffItemsResponse(items=map(wire.tariff_item_to_wire, found[:size]))
        if len(found) > size:
            response.next_page_token = self._pages.write(found[size - 1].code, "tariff", request.scheme, day)
        return response

    async def SubmitClaim(self, request: service_pb2.SubmitClaimRequest, call: Call) -> service_pb2.SubmitClaimResponse:
        """Stores the claim, and decides it at once where everything is known."""
        if not call.caller.organization_id or request.claim.organization_id != call.caller.organization_id:
            raise PermissionDeniedError("ORGANIZATION_FOREIGN", "an organisation claims for itself only")
        if request.validate_only:
            return await self._try_claim(request.claim)
        claim = wire.claim_of(request.claim, new_id(), self._clock())
        async with self._database.writing(call) as writer:
            await claims.hold(writer, [claim.organization_id])
            stored = await _same_claim(writer, claim)
            is_new = stored is None
            if stored is None:
                stored = await self._decided(writer, claim)
                await claims.insert_claim(writer, stored, wire.content_hash(claim))
                # What is posted differs from nothing: the claim as received has approved nothing.
                await post_and_announce(writer, [(replace(claim, version=0), stored)], self._clock())
            elif stored.status is Status.RECEIVED:
                decided = await self._decided(writer, stored)
                if decided.status is not Status.RECEIVED:
                    await claims.store_decisions(writer, [decided])
                    await post_and_announce(writer, [(stored, decided)], self._clock())
                    stored = decided
            call.touch(
                person=stored.person_id, registration=stored.registration_id, resource=f"Claim/{stored.claim_id}"
            )
            return await writer.answer(
                service_pb2.SubmitClaimResponse(claim=wire.claim_to_wire(stored), is_created=is_new)
            )

    async def _try_claim(self, message: resources_pb2.Claim) -> service_pb2.SubmitClaimResponse:
        """What would come of the claim; nothing is written, and it has no id."""
        claim = wire.claim_of(message, "", self._clock())
        async with self._database.reading(snapshot=True) as reader:
            decided = await _same_claim(reader, claim) or await self._decided(reader, claim)
        return service_pb2.SubmitClaimResponse(claim=wire.claim_to_wire(decided))

    async def _decided(self, reader: Reader, claim: Claim) -> Claim:
        """The claim as decided; where it has to wait, its present status says for what."""
        situation = (await claims.situations(reader, [claim]))[claim.claim_id]
        decided = adjudication.decide(claim, situation, self._clock())
        waits_for = adjudication.waits_for(situation)
        if decided is claim and waits_for and claim.version == 1:
            received = replace(claim.status_changes[0], reason=waits_for)
            return replace(claim, status_changes=(received,))
        return decided

    async def GetClaim(self, request: service_pb2.GetClaimRequest, call: Call) -> service_pb2.GetClaimResponse:
        """The claim, for those who may see it; for all others it does not exist."""
        async with self._database.reading() as reader:
            claim = await claims.get(reader, viewer_of(call.caller), request.claim_id)
        if claim is None:
            raise NotFoundError("CLAIM_UNKNOWN", "there is no such claim, or none that you may see")
        _touch(call, claim)
        return service_pb2.GetClaimResponse(claim=wire.claim_to_wire(claim))

    async def ListClaims(self, request: service_pb2.ListClaimsRequest, call: Call) -> service_pb2.ListClaimsResponse:
        """The claims that the caller may see, newest first."""
        viewer = viewer_of(call.caller)
        after = self._pages.read(request.page_token, "claims", viewer, request.status) or ""
        size = request.page_size or _CLAIMS_PER_PAGE
        status = Status(request.status) if request.status else None
        async with self._database.reading() as reader:
            found = await claims.list_claims(reader, viewer, status, after, size + 1)
        response = service_pb2.ListClaimsResponse()
        for claim in found[:size]:
            _touch(call, claim)
            response.claims.append(wire.claim_to_wire(claim))
        if len(found) > size:
            response.next_page_token = self._pages.write(found[size - 1].claim_id, "claims", viewer, request.status)
        return response

    async def CountClaims(self, request: service_pb2.CountClaimsRequest, call: Call) -> service_pb2.CountClaimsResponse:
        """Counts all about the registrations, names those that the caller may see."""
        for one in request.registration_ids:
            call.touch(registration=one)
        async with self._database.reading(snapshot=True) as reader:
            count, found = await claims.filed(reader, viewer_of(call.caller), request.registration_ids, request.limit)
        items = [service_pb2.FiledClaim(id=one, registration_id=about) for one, about in found]
        return service_pb2.CountClaimsResponse(count=count, items=items)

    async def PayClaims(self, request: service_pb2.PayClaimsRequest, call: Call) -> service_pb2.PayClaimsResponse:
        """Pays what is approved and not paid; those that were paid before are passed over."""
        now, claim_ids = self._clock(), sorted(set(request.claim_ids)) or None
        async with self._database.writing(call) as writer:
            organizations, found = await claims.organizations_to_pay(writer, request.scheme, claim_ids)
            if claim_ids is not None and found != len(claim_ids):
                raise NotFoundError("CLAIM_UNKNOWN", "some of the claims named do not exist in this scheme")
            await claims.hold(writer, organizations)
            approved = await claims.to_pay(writer, request.scheme, organizations, claim_ids)
            response = service_pb2.PayClaimsResponse(paid_claims=len(approved), paid=Money(satang=0))
            if approved:
                paid = [adjudication.paid(claim, now) for claim in approved]
                await claims.store_decisions(writer, paid)
                transaction_id = new_id()
                entries = list(ledger_rules.payment_entries(approved, transaction_id))
                if entries:
                    await ledger.post(writer, entries, now)
                    response.transaction_id = transaction_id
                for before, after in zip(approved, paid, strict=True):
                    announce(writer, before.version, after)
                    _touch(call, after)
                response.paid.satang = sum(claim.approved for claim in approved)
            return await writer.answer(response)

    async def ListLedgerEntries(
        self, request: service_pb2.ListLedgerEntriesRequest, call: Call
    ) -> service_pb2.ListLedgerEntriesResponse:
        """Entries of a claim or an account that the caller may see, with their balance."""
        if not request.claim_id and not request.account:
            raise wire.invalid("account", "ACCOUNT_MISSING", "name a claim or an account")
        viewer = viewer_of(call.caller)
        organization_id = None if viewer.sight is claims.Sight.ALL else call.caller.organization_id or "-"
        query = ledger.EntryQuery(request.claim_id, request.account, organization_id)
        after = self._pages.read(request.page_token, "ledger", query) or 0
        size = request.page_size or _ENTRIES_PER_PAGE
        async with self._database.reading() as reader:
            page = await ledger.list_entries(reader, query, after, size + 1)
        response = service_pb2.ListLedgerEntriesResponse(
            entries=map(wire.entry_to_wire, page.entries[:size]), balance=Money(satang=page.balance)
        )
        if len(page.entries) > size:
            response.next_page_token = self._pages.write(page.entries[size - 1].number, "ledger", query)
        return response

    def _today(self) -> date:
        return self._clock().astimezone(BANGKOK).date()


def viewer_of(caller: Caller) -> claims.Viewer:
    """A citizen sees claims about themselves, the payer all, anybody else those of their organisation."""
    if caller.is_citizen:
        return claims.Viewer(claims.Sight.CITIZEN, caller.citizen_key)
    if caller.scopes.has_any(_PAYER):
        return claims.Viewer(claims.Sight.ALL)
    return claims.Viewer(claims.Sight.ORGANIZATION, caller.organization_id)


async def snapshot(reader: Reader) -> AsyncIterator[tuple[str, Message]]:
    """The present state as feed `claims` would tell it."""
    async for claim in claims.all_claims(reader):
        yield claim.claim_id, wire.claim_event(claim, claim.status, claim.version, claim.approved)


async def _same_claim(reader: Reader, claim: Claim) -> Claim | None:
    """The claim that was submitted under this invoice number before; None where there is none.

    Raises AlreadyExistsError, reason INVOICE_EXISTS, where that one had other content.
    """
    found = await claims.find_invoice(reader, claim.organization_id, claim.invoice_number)
    if found is None:
        return None
    stored, stored_hash = found
    if stored_hash != wire.content_hash(claim):
        raise AlreadyExistsError("INVOICE_EXISTS", "another claim was submitted under this invoice number")
    return stored


def _batch_result(outcome: str | NhipError, created: set[str]) -> service_pb2.BatchItemResult:
    if isinstance(outcome, str):
        is_created = outcome in created
        # The same right twice in one batch is created once.
        created.discard(outcome)
        return service_pb2.BatchItemResult(id=outcome, is_created=is_created)
    field = outcome.fields[0].field if outcome.fields else ""
    return service_pb2.BatchItemResult(error_reason=outcome.reason, error_field=field, error_message=outcome.message)


def _touch(call: Call, claim: Claim) -> None:
    call.touch(person=claim.person_id, registration=claim.registration_id, resource=f"Claim/{claim.claim_id}")
