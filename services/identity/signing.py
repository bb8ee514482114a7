"""The signing keys in use: made at start, rotated, retired. The truth is in rows, so that replicas agree.

A replica asks the database which key signs for every token (one statement), and keeps only the opened private keys in
memory; so a key that another replica retired signs nothing here either.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta

import asyncpg
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from libs.clock import Clock
from libs.database.engine import Database
from libs.database.transactions import Reader, Writer
from libs.errors import UnavailableError
from libs.ids import new_id
from libs.runtime.keys import KeyRing, store_key
from services.identity import wire
from services.identity.credentials import PrivateKeySeal
from services.identity.model import SigningKey
from services.identity.rules import grants, rotation
from services.identity.store import clients, keys

FEED = "keys"
# Whoever changes the set of keys holds this lock, so that two replicas that start together make one key.
_LOCK = "signing-keys"
# How often it is looked whether a key is due or past. Nothing hangs on the minute.
LOOK_EVERY = timedelta(minutes=1)

log = logging.getLogger(__name__)


class SigningKeys:
    """The signing keys of this deployment."""

    def __init__(self, database: Database, verification: KeyRing, platform_key: bytes, clock: Clock) -> None:
        self._database = database
        self._verification = verification
        self._seal = PrivateKeySeal(platform_key)
        self._clock = clock
        self._opened: dict[str, Ed25519PrivateKey] = {}

    async def ensure(self) -> None:
        """Makes a key that signs at once, unless there is one that signs and can be opened."""
        async with self._database.writing() as writer:
            await writer.lock(_LOCK)
            now = self._clock()
            held = await keys.in_force(writer)
            if not any(rotation.can_sign(key, now) and self._open(key) for key in held):
                await self._turn(writer, held, at_once=True, retire_older=False)
        await self._verification.refresh()

    async def signer(self, reader: Reader) -> tuple[str, Ed25519PrivateKey]:
        """Id and private key of the key that signs now. Raises UnavailableError, reason SIGNING_KEY_MISSING."""
        now = self._clock()
        key = await keys.find_signer(reader, now, now + grants.LONGEST_LIFETIME)
        private_key = None if key is None else self._open(key)
        if key is None or private_key is None:
            raise UnavailableError("SIGNING_KEY_MISSING", "no key is in force that could sign", retry_after_seconds=5)
        return key.key_id, private_key

    async def rotate(self, writer: Writer, *, retire_older: bool) -> SigningKey:
        """Makes a new key and announces it; the older ones end, or are retired. `refresh` follows the commit."""
        await writer.lock(_LOCK)
        return await self._turn(writer, await keys.in_force(writer), at_once=False, retire_older=retire_older)

    async def refresh(self) -> None:
        """After a commit: this process verifies by the keys as they are now."""
        await self._verification.refresh()

    async def maintain(self) -> None:
        """Rotates if it is time, retires what is past, forgets failed attempts that no longer count."""
        async with self._database.writing() as writer:
            await writer.lock(_LOCK)
            now = self._clock()
            held = await keys.in_force(writer)
            past = rotation.past(held, now)
            is_due = rotation.is_due(held, now)
            if past:
                await writer.lock(*(key.key_id for key in held))
            if is_due:
                await self._turn(writer, held, at_once=False, retire_older=False)
            await self._retire(writer, past)
            await clients.forget_failures(writer, now)
        if past or is_due:
            await self._verification.refresh()

    async def keep_maintained(self) -> None:
        """Maintains until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY.total_seconds())
            try:
                await self.maintain()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                log.exception("the signing keys could not be maintained; it is tried again in a minute")

    async def _turn(
        self, writer: Writer, held: Sequence[SigningKey], *, at_once: bool, retire_older: bool
    ) -> SigningKey:
        turn = rotation.turn(held, self._clock(), at_once=at_once, retire_older=retire_older)
        key_id = new_id()
        await writer.lock(*(key.key_id for key in (*turn.shortened, *turn.retired)))
        private_key = Ed25519PrivateKey.generate()
        key = SigningKey(
            key_id, _jwk(key_id, private_key), self._seal.seal(key_id, private_key), turn.signs_from, turn.not_after
        )
        await keys.add(writer, key)
        for shortened in turn.shortened:
            await keys.shorten(writer, shortened)
        for changed in (key, *turn.shortened):
            await _announce(writer, changed, is_retired=False, is_new=changed is key)
        await self._retire(writer, turn.retired)
        log.info("a new signing key signs from %s", key.signs_from.isoformat())
        return key

    async def _retire(self, writer: Writer, retired: Sequence[SigningKey]) -> None:
        for key in retired:
            await keys.retire(writer, key.key_id, self._clock())
            await _announce(writer, key, is_retired=True)
            self._opened.pop(key.key_id, None)

    def _open(self, key: SigningKey) -> Ed25519PrivateKey | None:
        opened = self._opened.get(key.key_id) or self._seal.open(key.key_id, key.sealed_private_key)
        if opened is not None:
            self._opened[key.key_id] = opened
        return opened


async def _announce(writer: Writer, key: SigningKey, *, is_retired: bool, is_new: bool = False) -> None:
    """Tells the others, and stores it for this service, which does not follow itself."""
    event = wire.key_event(key, is_retired=is_retired)
    await store_key(writer, event)
    writer.announce(FEED, key.key_id, event, is_new=is_new)


def _jwk(key_id: str, private_key: Ed25519PrivateKey) -> str:
    """The public half (RFC 8037)."""
    jwk = OKPAlgorithm.to_jwk(private_key.public_key(), as_dict=True)
    wanted = {name: jwk[name] for name in ("kty", "crv", "x")}
    return orjson.dumps({**wanted, "kid": key_id, "alg": "EdDSA", "use": "sig"}).decode()
