"""What the citizen allows."""

from datetime import datetime

from nhip.identity.v1 import service_pb2
from prometheus_client import Counter

from libs.access.caller import Caller
from libs.database.transactions import Writer
from libs.ids import derived_id
from libs.runtime.call import Call
from services.identity import wire
from services.identity.api.ground import Section
from services.identity.bootstrap import FEED
from services.identity.model import Consent, ConsentCategory, ConsentDecision
from services.identity.rules import directory as rules
from services.identity.store import consents

CONSENTS = Counter("nhip_consents_total", "Decisions of citizens about their records.", ["decision"])
Request = service_pb2.GrantConsentRequest | service_pb2.RevokeConsentRequest


class Consents(Section):
    """Decisions of citizens, each about themself."""

    async def GrantConsent(
        self, request: service_pb2.GrantConsentRequest, call: Call
    ) -> service_pb2.GrantConsentResponse:
        """Permits an organisation, or all, to read a category; until `expires_at` where it is told."""
        expires_at = wire.expiry_from(request.expires_at) if request.HasField("expires_at") else None
        rules.require_future(expires_at, self.means.clock())
        asked = _asked(call.caller, request, ConsentDecision.PERMIT, expires_at)
        async with self.database.writing(call) as writer:
            consent = await _decide(writer, asked)
            return await writer.answer(service_pb2.GrantConsentResponse(consent=wire.consent(consent)))

    async def RevokeConsent(
        self, request: service_pb2.RevokeConsentRequest, call: Call
    ) -> service_pb2.RevokeConsentResponse:
        """Refuses an organisation, or all, a category from now on."""
        asked = _asked(call.caller, request, ConsentDecision.DENY)
        async with self.database.writing(call) as writer:
            consent = await _decide(writer, asked)
            return await writer.answer(service_pb2.RevokeConsentResponse(consent=wire.consent(consent)))

    async def ListConsents(
        self, request: service_pb2.ListConsentsRequest, call: Call
    ) -> service_pb2.ListConsentsResponse:
        """The citizen's decisions that have not ended."""
        del request
        citizen_key = rules.require_citizen(call.caller)
        call.touch(citizen_key=citizen_key)
        async with self.database.reading() as reader:
            in_force = await consents.list_in_force(reader, citizen_key, self.means.clock())
        return service_pb2.ListConsentsResponse(consents=[wire.consent(consent) for consent in in_force])


def _asked(caller: Caller, request: Request, decision: ConsentDecision, expires_at: datetime | None = None) -> Consent:
    citizen_key = rules.require_citizen(caller)
    category = ConsentCategory(request.category)
    consent_id = derived_id("consent", citizen_key, request.organization_id, category.name)
    return Consent(consent_id, citizen_key, request.organization_id, category, decision, expires_at=expires_at)


async def _decide(writer: Writer, asked: Consent) -> Consent:
    """The decision as it now stands, announced if it is new."""
    await writer.lock(asked.consent_id)
    standing = await consents.find(writer, asked.citizen_key, asked.organization_id, asked.category)
    if not standing.is_organization_known:
        raise rules.organization_unknown()
    if standing.consent is not None and rules.is_same_decision(standing.consent, asked):
        return standing.consent
    decided = await consents.store(writer, asked)
    writer.announce(FEED, decided.consent_id, wire.consent_event(decided))
    CONSENTS.labels(decided.decision.name.lower()).inc()
    return decided
