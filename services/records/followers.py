"""What records does with the feeds that it follows: who is one person, and what they consented to.

Both feeds change what holds for a person, so that each ends by making `person_consents` anew for the persons concerned. The
two followers take the same lock first: of two that commit at the same time, neither could see the other's part.
"""

import time
from collections.abc import Sequence
from datetime import UTC

from nhip.feed.v1 import service_pb2 as feed_pb2
from nhip.identity.v1 import events_pb2 as identity_pb2
from nhip.identity.v1 import resources_pb2
from nhip.patient_index.v1 import events_pb2 as index_pb2
from prometheus_client import Histogram

from libs.database.transactions import Writer
from libs.fhir.moments import END
from services.records.store import projections

ENFORCED = Histogram(
    "nhip_consent_enforced_seconds",
    "From the citizen's decision to its enforcement here.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
_LOCK = "projection/person_consents"


async def apply_patient_index(writer: Writer, changes: Sequence[feed_pb2.Change]) -> None:
    """Registrations as the patient index places them. A version that is not newer than what is held changes nothing."""
    placed: dict[str, index_pb2.RegistrationPlaced] = {}
    for change in changes:
        event = index_pb2.PatientIndexEvent.FromString(change.event)
        if event.WhichOneof("event") == "registration_placed":
            one = event.registration_placed
            known = placed.get(one.registration_id)
            if known is None or known.version < one.version:
                placed[one.registration_id] = one
    if placed:
        await writer.lock(_LOCK)
        await projections.place(writer, list(placed.values()))


async def apply_identity(writer: Writer, changes: Sequence[feed_pb2.Change]) -> None:
    """Consents. A version that is not newer than what is held changes nothing; organisations are not kept."""
    decided: dict[str, resources_pb2.Consent] = {}
    for change in changes:
        event = identity_pb2.IdentityEvent.FromString(change.event)
        if event.WhichOneof("event") == "consent_changed":
            one = event.consent_changed
            known = decided.get(one.consent_id)
            if known is None or known.version < one.version:
                decided[one.consent_id] = one
    if decided:
        await writer.lock(_LOCK)
        expiries = [one.expires_at.ToDatetime(UTC) if one.HasField("expires_at") else END for one in decided.values()]
        await projections.decide(writer, list(decided.values()), expiries)


async def observe_enforcement(changes: Sequence[feed_pb2.Change]) -> None:
    """Times each decision that holds here from now on, from the citizen's word: revocation is promised within seconds."""
    now = time.time()
    for change in changes:
        event = identity_pb2.IdentityEvent.FromString(change.event)
        if event.WhichOneof("event") == "consent_changed":
            ENFORCED.observe(max(0.0, now - event.consent_changed.recorded_at.ToNanoseconds() / 1e9))


async def reset_patient_index(writer: Writer) -> None:
    """Forgets the registrations, before they come again from a snapshot."""
    await writer.lock(_LOCK)
    await projections.forget_registrations(writer)


async def reset_identity(writer: Writer) -> None:
    """Forgets the consents, before they come again from a snapshot."""
    await writer.lock(_LOCK)
    await projections.forget_consents(writer)
