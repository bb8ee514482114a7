"""Signed heads, and the refusal to sign over a changed past."""

import base64

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from libs.clock import system_clock
from libs.errors import FailedPreconditionError
from libs.runtime.settings import SettingsError
from services.audit import store
from services.audit.checkpoints import Checkpoints, CheckpointSigner
from services.audit.rules import merkle
from tests.services.audit.accesses import a_database, an_access, record


def pem_of(private_key):
    return private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def verify(note, verifier_key):
    """What a stranger does with note and key. Raises InvalidSignature."""
    text, _, line = note.partition("\n\n")
    public = base64.b64decode(verifier_key.split("+", 2)[2])[1:]
    signature = base64.b64decode(line.split(" ")[2])[4:]
    Ed25519PublicKey.from_public_bytes(public).verify(signature, (text + "\n").encode())


@pytest.fixture
def signer():
    return CheckpointSigner(pem_of(Ed25519PrivateKey.generate()), system_clock)


async def test_the_head_is_signed_whenever_the_log_has_grown(database_url, signer):
    async with a_database(database_url("audit")) as database:
        checkpoints = Checkpoints(database, signer)
        empty = await checkpoints.sign_growth()
        assert (empty.tree_size, empty.root_hash) == (0, merkle.EMPTY_ROOT)
        heads = [empty]
        for size in (1, 6, 13):
            await record(database, *(an_access() for _ in range(size)))
            heads.append(await checkpoints.sign_growth())
            assert await checkpoints.sign_growth() == heads[-1]
        assert [head.tree_size for head in heads] == [0, 1, 7, 20]
        for head in heads:
            verify(head.note, head.key_id)
            with pytest.raises(InvalidSignature):
                verify(head.note.replace(f"\n{head.tree_size}\n", "\n99\n"), head.key_id)
        async with database.reading() as reader:
            assert (await store.newest_checkpoint(reader)).note == heads[-1].note


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tree_nodes SET hash = sha256(hash) WHERE level = 2 AND node_index = 0",
        "DELETE FROM entries WHERE leaf_index >= 3",
    ],
)
async def test_a_log_whose_past_was_changed_is_not_signed(database_url, signer, change):
    async with a_database(database_url("audit")) as database:
        checkpoints = Checkpoints(database, signer)
        await record(database, *(an_access() for _ in range(6)))
        signed = await checkpoints.sign_growth()
        async with database.writing() as writer:
            await writer._connection.execute(change)
        if change.startswith("UPDATE"):
            await record(database, an_access())
        with pytest.raises(FailedPreconditionError) as refusal:
            await checkpoints.sign_growth()
        assert refusal.value.reason == "LOG_INCONSISTENT"
        async with database.reading() as reader:
            assert (await store.newest_checkpoint(reader)).note == signed.note


@pytest.mark.parametrize("pem", ["", "no key", pem_of(X25519PrivateKey.generate())])
def test_a_key_that_cannot_sign_stops_the_start(pem):
    with pytest.raises(SettingsError, match="audit_key"):
        CheckpointSigner(pem, system_clock)
