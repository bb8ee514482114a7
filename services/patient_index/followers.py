"""What the index does with the feed that it follows: what citizens decided about who may see what."""

from collections.abc import Sequence
from datetime import UTC

from nhip.feed.v1 import service_pb2 as feed_pb2
from nhip.identity.v1 import events_pb2, resources_pb2

from libs.database.transactions import Writer
from libs.fhir.moments import END
from services.patient_index.store import consents


async def apply_identity(writer: Writer, changes: Sequence[feed_pb2.Change]) -> None:
    """Consents. A version that is not newer than what is held changes nothing; organisations are not kept."""
    decided: dict[str, resources_pb2.Consent] = {}
    for change in changes:
        event = events_pb2.IdentityEvent.FromString(change.event)
        if event.WhichOneof("event") == "consent_changed":
            one = event.consent_changed
            known = decided.get(one.consent_id)
            if known is None or known.version < one.version:
                decided[one.consent_id] = one
    if decided:
        expiries = [one.expires_at.ToDatetime(UTC) if one.HasField("expires_at") else END for one in decided.values()]
        await consents.decide(writer, list(decided.values()), expiries)


async def reset_identity(writer: Writer) -> None:
    """Forgets the consents, before they come again from a snapshot."""
    await consents.forget(writer)
