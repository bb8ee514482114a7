"""What audit does with the feeds that it follows."""

import os
from collections.abc import Sequence

from nhip.feed.v1 import service_pb2

from libs.database.transactions import Writer
from services.audit import store, wire
from services.audit.model import Placement
from services.audit.rules import merkle
from services.audit.rules.commitments import SALT_BYTES, commitment

# Who appends holds this lock until the commit: indexes have no gaps, and a tree is never grown from a stale frontier.
LOG_LOCK = "log"


async def append_accesses(writer: Writer, changes: Sequence[service_pb2.Change]) -> None:
    """Feed `access` of every service: each event into the log, once, in the order of its feed.

    Four statements for a batch of any size: lock, look, append, and the cursor that commits with them.
    """
    accesses = {access.event_id: access for access in map(wire.access_from, changes)}
    await writer.lock(LOG_LOCK)
    tree = await store.look(writer, accesses)
    fresh = [access for event_id, access in accesses.items() if event_id not in tree.known]
    if not fresh:
        return
    salts = [os.urandom(SALT_BYTES) for _ in fresh]
    commitments = [commitment(salt, access.content) for salt, access in zip(salts, fresh, strict=True)]
    nodes = merkle.grown(tree.size, tree.frontier, map(merkle.leaf_hash, commitments))
    await store.append(writer, tree.size, fresh, salts, commitments, nodes)


async def place_registrations(writer: Writer, changes: Sequence[service_pb2.Change]) -> None:
    """Feed `patient_index`: whose each registration is."""
    newest: dict[str, Placement] = {}
    for placed in filter(None, map(wire.placement_from, changes)):
        held = newest.get(placed.registration_id)
        if held is None or placed.version > held.version:
            newest[placed.registration_id] = placed
    if newest:
        await store.place(writer, newest.values())


async def forget_registrations(writer: Writer) -> None:
    """Before the patient index is taken over anew from a snapshot."""
    await store.clear_placements(writer)
