"""Follows records and the patient index: claims that waited for a visit or a person are decided when it is told."""

import asyncio
import logging
from collections.abc import Sequence

import asyncpg
from nhip.feed.v1.service_pb2 import Change

from libs.clock import Clock
from libs.database.engine import Database
from libs.database.transactions import Writer
from services.claims import wire
from services.claims.decisions import decide
from services.claims.store import claims, projections

# Claims whose last news came by a snapshot are decided by looking; all others as soon as the news is there.
SWEEP_SECONDS = 30.0

log = logging.getLogger(__name__)


class Followers:
    """What claims does with each feed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def apply_records(self, writer: Writer, changes: Sequence[Change]) -> None:
        """Visits are noted; claims that waited for them are decided, claims of cancelled ones cancelled."""
        newest = {visit.encounter_id: visit for visit in map(wire.visit_of, changes) if visit is not None}
        if not newest:
            return
        await claims.hold(writer, (visit.organization_id for visit in newest.values()))
        changed = await projections.store_visits(writer, list(newest.values()))
        if changed:
            await decide(writer, await claims.due_by_visit(writer, changed), self._clock())

    async def apply_placements(self, writer: Writer, changes: Sequence[Change]) -> None:
        """Registrations get their person, and their claims with them; claims that waited for it are decided."""
        newest = {placed.registration_id: placed for placed in map(wire.placement_of, changes) if placed is not None}
        if not newest:
            return
        organizations = {placed.organization_id for placed in newest.values()}
        await claims.hold(writer, organizations)
        changed = await projections.store_placements(writer, list(newest.values()))
        # A snapshot tells the registrations of one person apart; a decision in between could miss a right.
        is_snapshot = not changes[0].HasField("recorded_at")
        if changed and not is_snapshot:
            due = await claims.due_by_registration(writer, changed, organizations)
            await decide(writer, due, self._clock())

    async def reset_records(self, writer: Writer) -> None:
        """Forgets the visits; the snapshot that follows tells those that are."""
        await claims.hold_all(writer)
        await projections.forget_visits(writer)

    async def reset_placements(self, writer: Writer) -> None:
        """Keeps whom registrations stand for: none is ever taken away, and the snapshot that follows tells what is newer."""
        await claims.hold_all(writer)


async def sweep(database: Database, clock: Clock) -> int:
    """Decides claims that wait although everything is known; the number decided."""
    async with database.reading() as reader:
        waiting = await claims.due_anyhow(reader)
    if not waiting:
        return 0
    async with database.writing() as writer:
        await claims.hold(writer, (claim.organization_id for claim in waiting))
        held = {claims.stripe_of(claim.organization_id) for claim in waiting}
        due = [claim for claim in await claims.due_anyhow(writer) if claims.stripe_of(claim.organization_id) in held]
        return await decide(writer, due, clock())


async def keep_sweeping(database: Database, clock: Clock) -> None:
    """Sweeps now and then until cancelled."""
    while True:
        try:
            await sweep(database, clock)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            log.exception("waiting claims could not be looked through; they are tried again")
        await asyncio.sleep(SWEEP_SECONDS)
