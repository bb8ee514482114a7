"""The present state of identity's feeds, for followers that start anew."""

from collections.abc import AsyncIterator

from google.protobuf.message import Message

from libs.database.transactions import Reader
from services.identity import wire
from services.identity.store import consents, directory, keys


async def keys_snapshot(reader: Reader) -> AsyncIterator[tuple[str, Message]]:
    """Feed `keys`: every key that is not retired."""
    for key in await keys.in_force(reader):
        yield key.key_id, wire.key_event(key, is_retired=False)


async def identity_snapshot(reader: Reader) -> AsyncIterator[tuple[str, Message]]:
    """Feed `identity`: organisations, practitioners, and each decision as it stands."""
    async for organization in directory.every_organization(reader):
        yield organization.organization_id, wire.organization_event(organization)
    async for practitioner in directory.every_practitioner(reader):
        yield practitioner.practitioner_id, wire.practitioner_event(practitioner)
    async for consent in consents.every_consent(reader):
        yield consent.consent_id, wire.consent_event(consent)
