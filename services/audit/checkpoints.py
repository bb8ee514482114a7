"""Signs the head of the tree as it grows."""

import asyncio
import logging

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from prometheus_client import Counter, Gauge

from libs.clock import Clock
from libs.database.engine import Database
from libs.database.transactions import Reader
from libs.errors import FailedPreconditionError
from libs.runtime.settings import SettingsError
from services.audit import store
from services.audit.model import Checkpoint
from services.audit.proofs import span_hashes
from services.audit.rules import merkle, notes

SIGNED_SIZE = Gauge("nhip_audit_signed_entries", "Entries that the newest checkpoint covers.")
REFUSALS = Counter("nhip_audit_inconsistencies_total", "Times that the log did not extend its last checkpoint.")
# A second is what a reader waits for proof of what just happened; fewer signatures would save nothing.
EVERY_SECONDS = 1.0

log = logging.getLogger(__name__)


class CheckpointSigner:
    """Signs checkpoints with the deployment's audit key."""

    def __init__(self, pem: str, clock: Clock) -> None:
        """Raises SettingsError for a key that is not Ed25519 in PEM."""
        try:
            private_key = load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError) as error:
            raise SettingsError("secret audit_key is not a private key in PEM") from error
        if not isinstance(private_key, Ed25519PrivateKey):
            raise SettingsError("secret audit_key is not an Ed25519 key")
        self._private_key = private_key
        self._public_key = private_key.public_key().public_bytes_raw()
        self._clock = clock

    @property
    def verifier_key(self) -> str:
        """The public key, as signed-note writes it."""
        return notes.verifier_key(self._public_key)

    def sign(self, tree_size: int, root_hash: bytes) -> Checkpoint:
        """The signed head of a tree."""
        text = notes.body(tree_size, root_hash)
        note = notes.signed(text, self._public_key, self._private_key.sign(text.encode()))
        return Checkpoint(tree_size, root_hash, self._clock(), note, self.verifier_key)


class Checkpoints:
    """The checkpoints of the log; several replicas may make them side by side."""

    def __init__(self, database: Database, signer: CheckpointSigner) -> None:
        self._database = database
        self._signer = signer

    async def sign_growth(self) -> Checkpoint:
        """The newest checkpoint, made now if the log has grown since the last one; the first is of the empty log.

        Raises FailedPreconditionError, reason LOG_INCONSISTENT, if the log does not begin with what was signed: then
        nothing is signed.
        """
        async with self._database.reading() as reader:
            newest = await store.newest_checkpoint(reader)
            size = (await store.heads(reader)).size
            if newest is not None and newest.tree_size == size:
                return newest
            root = await self._root(reader, size, newest)
        checkpoint = self._signer.sign(size, root)
        async with self._database.writing() as writer:
            await store.add_checkpoint(writer, checkpoint)
        SIGNED_SIZE.set(size)
        return checkpoint

    async def keep_signing(self) -> None:
        """Signs once a second while the log grows, until cancelled."""
        while True:
            try:
                await self.sign_growth()
            except FailedPreconditionError:
                REFUSALS.inc()
                log.critical("the log does not extend its last checkpoint: it was changed; nothing is signed any more")
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                log.warning("the log could not be read; its head is signed later")
            await asyncio.sleep(EVERY_SECONDS)

    async def _root(self, reader: Reader, size: int, newest: Checkpoint | None) -> bytes:
        """The root, recomputed together with the proof that the last checkpoint's tree is its beginning."""
        if newest is None or newest.tree_size == 0:
            return (await span_hashes(reader, [(0, size)]))[0]
        if newest.tree_size > size:
            raise _inconsistent()
        spans = merkle.consistency_spans(newest.tree_size, size)
        root, *path = await span_hashes(reader, [(0, size), *spans])
        if not merkle.verify_consistency(newest.tree_size, size, newest.root_hash, root, path):
            raise _inconsistent()
        return root


def _inconsistent() -> FailedPreconditionError:
    return FailedPreconditionError("LOG_INCONSISTENT", "the log does not begin with what its last checkpoint covers")
