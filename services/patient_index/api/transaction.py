"""One transaction of the index: lock, look, decide, write, announce.

What a decision needs is known only after a look: that it takes the account key from a registration that nobody locked, or
asks for the block of a number that was replaced. Then the transaction begins anew with a wider scope. Locks are always
taken in one call before the first write, so that no two transactions wait for each other and feeds keep their order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Generic, TypeVar

from google.protobuf.message import Message

from libs.database.company import Company
from libs.database.engine import Database
from libs.database.transactions import Committing, Writer
from libs.errors import AbortedError
from libs.ids import new_id
from services.patient_index.model import Held, Loaded, Scope, Shares
from services.patient_index.rules.blocking import MAX_BLOCK, joined, wider
from services.patient_index.rules.placing import settle
from services.patient_index.rules.weighing import FS_1, Model
from services.patient_index.rules.world import KeyOf, NotLoadedError, World
from services.patient_index.store.loading import load
from services.patient_index.store.writing import write

FEED = "patient_index"
# Each turn widens the scope by what the last one lacked; people who share numbers are few.
_MOST_TURNS = 8

Answer = TypeVar("Answer", bound=Message)
Seen = TypeVar("Seen")
Event = Callable[[Held], Message]


class NotLockedError(Exception):
    """A decision changes registrations that are not locked: begin again with them."""

    def __init__(self, registration_ids: frozenset[str]) -> None:
        super().__init__()
        self.registration_ids = registration_ids


def _nothing(_: Message) -> None:
    """Nobody needs to be told."""


@dataclass(frozen=True, slots=True)
class Change(Generic[Answer]):
    """What one call decides about registrations."""

    call: Committing | None
    scope: Scope
    # May run several times, each time on a fresh world.
    decide: Callable[[World], Answer]
    moment: datetime
    # Runs with the answer, once all is written and before it is committed.
    tell: Callable[[Answer], None] = _nothing


@dataclass(frozen=True, slots=True)
class Index:
    """What every transaction of the index is made with."""

    database: Database
    key_of: KeyOf
    event_of: Event
    # The shares of common names, as they stand now.
    shares: Callable[[], Shares]
    # The model that decides now.
    model: Callable[[], Model] = lambda: FS_1

    async def change(
        self, call: Committing | None, scope: Scope, decide: Callable[[World], Answer], moment: datetime
    ) -> Answer:
        """Runs `decide` on the world of the scope, writes and announces what it became, and answers what it answers.

        `decide` may run several times, each time on a fresh world. Raises AbortedError, reason INDEX_BUSY.
        """
        (answer,) = await self.change_together([Change(call, scope, decide, moment)])
        return answer

    async def change_together(self, changes: Sequence[Change[Answer]]) -> list[Answer]:
        """Decides one after the other, in one transaction: as if each had come alone, or none of them has happened.

        Raises AbortedError, reason INDEX_BUSY, and what any `decide` raises.
        """
        scope = reduce(joined, (change.scope for change in changes))
        moment = max(change.moment for change in changes)
        for _ in range(_MOST_TURNS):
            company = Company([change.call for change in changes if change.call is not None])
            try:
                async with self.database.writing(company) as writer:
                    await writer.lock(*scope.locks)
                    world = self._world(await load(writer, scope, MAX_BLOCK))
                    answers = [change.decide(world) for change in changes]
                    settle(world, moment)
                    await self._write(writer, scope, world, moment)
                    for change, answer in zip(changes, answers, strict=True):
                        change.tell(answer)
                        if change.call is not None:
                            await change.call.remember(writer, answer)
                    return answers
            except NotLoadedError as needed:
                scope = joined(scope, needed.needed)
            except NotLockedError as needed:
                scope = wider(scope, registration_ids=needed.registration_ids)
        raise AbortedError("INDEX_BUSY", "these registrations are being changed by others; try again")

    async def look(self, scope: Scope, decide: Callable[[World], Seen]) -> Seen:
        """Runs `decide` on the world of the scope, and writes nothing. Raises AbortedError, reason INDEX_BUSY."""
        for _ in range(_MOST_TURNS):
            async with self.database.reading(snapshot=True) as reader:
                loaded = await load(reader, scope, MAX_BLOCK)
            try:
                return decide(self._world(loaded))
            except NotLoadedError as needed:
                scope = joined(scope, needed.needed)
        raise AbortedError("INDEX_BUSY", "these registrations are being changed by others; try again")

    async def decide(
        self, call: Committing, scope: Scope, decide: Callable[[World], Answer], moment: datetime, *, is_dry: bool
    ) -> Answer:
        """Changes, or only looks where it is a dry run."""
        if is_dry:
            return await self.look(scope, decide)
        return await self.change(call, scope, decide, moment)

    def _world(self, loaded: Loaded) -> World:
        return World(loaded, self.key_of, new_id, self.shares(), self.model())

    async def _write(self, writer: Writer, scope: Scope, world: World, moment: datetime) -> None:
        unlocked = world.originals.keys() - scope.locks
        if unlocked:
            raise NotLockedError(frozenset(unlocked))
        await write(writer, world.changes(), moment)
        for held in world.announced():
            writer.announce(FEED, held.registration_id, self.event_of(held))
