"""The keys that verify access tokens, as every service holds them in its own database: identity may be down meanwhile."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC

import asyncpg
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nhip.feed.v1 import service_pb2
from nhip.identity.v1 import events_pb2
from sqlalchemy import text

from libs.access.tokens import TokenVerifier, VerificationKey
from libs.database.engine import Database
from libs.database.statements import Statement
from libs.database.transactions import Writer

# A replica learns a key that another replica has stored at the latest after this time.
LOOK_SECONDS = 1.0

log = logging.getLogger(__name__)

LIST = Statement("keys.list", text("SELECT key_id, jwk, not_before, not_after FROM verification_keys"))
STORE = Statement(
    "keys.store",
    text(
        """
        INSERT INTO verification_keys (key_id, jwk, not_before, not_after)
        VALUES (:key_id, :jwk, CAST(:not_before AS timestamptz), CAST(:not_after AS timestamptz))
        ON CONFLICT (key_id) DO UPDATE
        SET jwk = excluded.jwk, not_before = excluded.not_before, not_after = excluded.not_after
        """
    ),
)
REMOVE = Statement("keys.remove", text("DELETE FROM verification_keys WHERE key_id = :key_id"))
CLEAR = Statement("keys.clear", text("DELETE FROM verification_keys"))


class KeyRing:
    """Today's keys, refreshed from the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys: dict[str, VerificationKey] = {}
        self._verifier: TokenVerifier | None = None
        self._refreshing = asyncio.Lock()
        self.known = asyncio.Event()

    def keys(self) -> Mapping[str, VerificationKey]:
        """By key id."""
        return self._keys

    def watch_for(self, verifier: TokenVerifier) -> None:
        """Tells the verifier of retired keys."""
        self._verifier = verifier

    async def refresh(self) -> None:
        """Reads the keys anew."""
        # One at a time: a reading that began earlier and ended later would bring back the keys of before.
        async with self._refreshing:
            async with self._database.reading() as reader:
                rows = await reader.fetch(LIST)
            before = self._keys
            self._keys = {row["key_id"]: _key(row) for row in rows}
        if self._verifier is not None:
            for key_id in before.keys() - self._keys.keys():
                self._verifier.forget(key_id)
        if self._keys:
            self.known.set()

    async def keep_fresh(self) -> None:
        """Refreshes every second until cancelled."""
        while True:
            try:
                await self.refresh()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                log.warning("the verification keys could not be read; those known stay in force")
            await asyncio.sleep(LOOK_SECONDS)

    async def applied(self, changes: Sequence[service_pb2.Change]) -> None:
        """After a batch of the feed `keys`: in force at once."""
        del changes
        await self.refresh()


def _key(row: asyncpg.Record) -> VerificationKey:
    public_key = jwt.PyJWK.from_json(row["jwk"]).key
    if not isinstance(public_key, Ed25519PublicKey):
        raise TypeError("identity signs with Ed25519 keys only")
    return VerificationKey(row["key_id"], public_key, row["not_before"].timestamp(), row["not_after"].timestamp())


async def store_key(writer: Writer, event: events_pb2.KeyEvent) -> None:
    """Applies one announcement: a retired key is gone."""
    key = event.key
    if event.is_retired:
        await writer.execute(REMOVE, key_id=key.key_id)
        return
    await writer.execute(
        STORE,
        key_id=key.key_id,
        jwk=key.jwk,
        not_before=key.not_before.ToDatetime(UTC),
        not_after=key.not_after.ToDatetime(UTC),
    )


async def apply_keys(writer: Writer, changes: Sequence[service_pb2.Change]) -> None:
    """Follows identity's feed `keys`."""
    for change in changes:
        await store_key(writer, events_pb2.KeyEvent.FromString(change.event))


async def reset_keys(writer: Writer) -> None:
    """Before a rebuild from a snapshot."""
    await writer.execute(CLEAR)
