"""The audit log with its own signatures, and with what the services announced."""

import base64
import binascii
from collections.abc import AsyncIterator, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nhip.audit.v1 import events_pb2

from services.audit.rules import merkle, notes
from services.audit.rules.commitments import commitment
from tools.verification.feeds import standings
from tools.verification.findings import Databases, Finding

_ENTRIES = "SELECT leaf_index, salt, content, commitment FROM entries ORDER BY leaf_index"
_CHECKPOINTS = "SELECT tree_size, root_hash, note, key_id FROM checkpoints ORDER BY tree_size"
_ANNOUNCED = (
    "SELECT event FROM changes WHERE feed = 'access'"
    " AND (transaction, position) <= (CAST($1 AS text)::xid8, CAST($2 AS bigint))"
)
_MISSING = (
    "SELECT event_id FROM unnest($1::text[]) AS told (event_id)"
    " WHERE NOT EXISTS (SELECT 1 FROM entries WHERE entries.event_id = told.event_id)"
)
_BATCH = 5000
_NAMED = 5


async def check(databases: Databases) -> list[Finding]:
    """The tree is that of the entries, every checkpoint is signed and of it, and every announced access is an entry."""
    found = [await _check_tree(databases["audit"])]
    async for standing in standings(databases):
        if standing.follower == "audit" and standing.feed == "access":
            cursor = str(standing.cursor.transaction), standing.cursor.position
            found.append(await _check_announced(databases, standing.source, cursor))
    return found


async def _check_tree(audit: Any) -> Finding:
    what = "audit: the log against its checkpoints"
    async with audit.transaction(isolation="repeatable_read", readonly=True):
        signed = {row["tree_size"]: row for row in await audit.fetch(_CHECKPOINTS)}
        wanted, size = dict(signed), 0
        async for size, root, fault in _heads(audit, frozenset(signed)):
            if fault:
                return Finding(what, fault, is_fault=True)
            if root is not None and (wrong := fault_of(wanted.pop(size), root)):
                return Finding(what, wrong, is_fault=True)
    if wanted:
        return Finding(what, f"{size} entries, and a checkpoint of {max(wanted)} is signed", is_fault=True)
    return Finding(what, f"{size} entries, {len(signed)} checkpoints")


async def _heads(audit: Any, sizes: frozenset[int]) -> AsyncIterator[tuple[int, bytes | None, str]]:
    """(size, root, fault) for each size of the tree as it grows from its entries; the root only at the sizes asked for."""
    frontier: list[tuple[int, bytes]] = []
    yield 0, merkle.EMPTY_ROOT if 0 in sizes else None, ""
    size = 0
    async for row in audit.cursor(_ENTRIES, prefetch=_BATCH):
        if row["leaf_index"] != size:
            yield size, None, f"entry {size} is missing"
            return
        if not _is_committed(row):
            yield size, None, f"entry {size} is not what was committed to"
            return
        # Two complete subtrees of one level make one of the next.
        level, joint = 0, merkle.leaf_hash(row["commitment"])
        while frontier and frontier[-1][0] == level:
            level, joint = level + 1, merkle.node_hash(frontier.pop()[1], joint)
        frontier.append((level, joint))
        size += 1
        yield size, merkle.joined([node for _, node in frontier]) if size in sizes else None, ""


def _is_committed(entry: Any) -> bool:
    try:
        return commitment(entry["salt"], entry["content"]) == bytes(entry["commitment"])
    except ValueError:
        # A salt of another length is another salt.
        return False


def fault_of(checkpoint: Mapping[str, Any], root: bytes) -> str:
    """What is wrong with a checkpoint of a tree with this root; empty when nothing is."""
    size = checkpoint["tree_size"]
    if checkpoint["root_hash"] != root:
        return f"the first {size} entries are not those that were signed"
    text, _, last = str(checkpoint["note"]).rpartition("\n\u2014 ")
    if text != notes.body(size, root):
        return f"the note of {size} entries tells of others"
    try:
        # Name, hash and key, and the key may have a plus sign of its own.
        public_key = base64.b64decode(str(checkpoint["key_id"]).split("+", 2)[-1])[1:]
        signature = base64.b64decode(last.split()[-1])[4:]
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, text.encode())
    except (InvalidSignature, ValueError, IndexError, binascii.Error):
        return f"the signature of {size} entries does not hold"
    return ""


async def _check_announced(databases: Databases, source: str, cursor: tuple[str, int]) -> Finding:
    count = 0
    missing: list[str] = []
    async with databases[source].transaction(readonly=True):
        batch: list[str] = []
        async for row in databases[source].cursor(_ANNOUNCED, *cursor, prefetch=_BATCH):
            batch.append(events_pb2.AccessEvent.FromString(row["event"]).event_id)
            if len(batch) == _BATCH:
                count, batch = count + len(batch), await _collect(databases["audit"], batch, missing)
        count, _ = count + len(batch), await _collect(databases["audit"], batch, missing)
    what = f"audit: accesses that {source} announced"
    if missing:
        return Finding(what, f"{len(missing)} of {count} are no entries: {', '.join(missing[:_NAMED])}", is_fault=True)
    return Finding(what, f"{count} are entries")


async def _collect(audit: Any, batch: list[str], missing: list[str]) -> list[str]:
    missing += [row["event_id"] for row in await audit.fetch(_MISSING, batch)]
    return []
