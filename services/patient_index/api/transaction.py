"""One transaction of the index: lock, look, decide, write, announce.

What a decision needs is known only after a look: that it takes the account key from a registration that nobody locked, or
asks for the block of a number that was replaced. Then the transaction begins anew with a wider scope. Locks are always
taken in one call before the first write, so that no two transactions wait for each other and feeds keep their order.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Generic, TypeVar

from google.protobuf.message import Message

from libs.database.company import Company
from libs.database.engine import Database
from libs.database.transactions import Committing, Reader, Writer
from libs.errors import AbortedError
from libs.ids import new_id
from services.patient_index.model import Held, Key, Loaded, Scope, Shares
from services.patient_index.rules.blocking import MAX_BLOCK, joined, wider
from services.patient_index.rules.placing import settle
from services.patient_index.rules.weighing import FS_1, Model
from services.patient_index.rules.world import KeyOf, NotLoadedError, World
from services.patient_index.store.loading import load, load_blocks
from services.patient_index.store.reading import read_registrations
from services.patient_index.store.writing import write

FEED = "patient_index"
# Each turn widens the scope by what the last one lacked; people who share numbers are few.
_MOST_TURNS = 8

Answer = TypeVar("Answer", bound=Message)
Seen = TypeVar("Seen")
Event = Callable[[Held], Message]
Further = Callable[[Loaded | None], frozenset[Key]]


class NotLockedError(Exception):
    """A decision changes registrations that are not locked: begin again with them."""

    def __init__(self, registration_ids: frozenset[str]) -> None:
        super().__init__()
        self.registration_ids = registration_ids


def _nothing(_: Message) -> None:
    """Nobody needs to be told."""


def _nothing_further(_: Loaded | None) -> frozenset[Key]:
    """The scope holds all that is needed."""
    return frozenset()


@dataclass(frozen=True, slots=True)
class Change(Generic[Answer]):
    """What one call decides about registrations."""

    call: Committing | None
    scope: Scope
    # May run several times, each time on a fresh world.
    decide: Callable[[World], Answer]
    moment: datetime
    # Which blocks are needed besides, by what the scope holds; whichever may be, where nothing is told.
    further: Further = _nothing_further
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
        self,
        call: Committing | None,
        scope: Scope,
        decide: Callable[[World], Answer],
        moment: datetime,
        further: Further = _nothing_further,
    ) -> Answer:
        """Runs `decide` on the world of the scope, writes and announces what it became, and answers what it answers.

        `decide` may run several times, each time on a fresh world. Raises AbortedError, reason INDEX_BUSY.
        """
        (answer,) = await self.change_together([Change(call, scope, decide, moment, further)])
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
                    world = self._world(await _load(writer, scope, [change.further for change in changes]))
                    answers = [change.decide(world) for change in changes]
                    settle(world, moment)
                    await self._write(writer, scope, world, moment)
                    for change, answer in zip(changes, answers, strict=True):
                        change.tell(answer)
                        if change.call is not None:
                            await change.call.remember(writer, answer)
                    return answers
            except NotLoadedError as needed:
                # What comes together changes what the others need. Rather too much at once than one block each turn.
                scope = wider(joined(scope, needed.needed), keys=_further_of(changes))
            except NotLockedError as needed:
                scope = wider(scope, registration_ids=needed.registration_ids)
        raise AbortedError("INDEX_BUSY", "these registrations are being changed by others; try again")

    async def look(self, scope: Scope, decide: Callable[[World], Seen], further: Further = _nothing_further) -> Seen:
        """Runs `decide` on the world of the scope, and writes nothing. Raises AbortedError, reason INDEX_BUSY."""
        for _ in range(_MOST_TURNS):
            async with self.database.reading(snapshot=True) as reader:
                loaded = await _load(reader, scope, [further])
            try:
                return decide(self._world(loaded))
            except NotLoadedError as needed:
                scope = wider(joined(scope, needed.needed), keys=further(None))
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
        if unlocked and not await _lock_late(writer, world, unlocked):
            raise NotLockedError(frozenset(unlocked))
        await write(writer, world.changes(), moment)
        for held in world.announced():
            writer.announce(FEED, held.registration_id, self.event_of(held))


async def _load(reader: Reader, scope: Scope, further: Iterable[Further]) -> Loaded:
    loaded = await load(reader, scope, MAX_BLOCK)
    keys = frozenset[Key]().union(*(wanted(loaded) for wanted in further)) - scope.keys
    return await load_blocks(reader, loaded, keys, MAX_BLOCK) if keys else loaded


async def _lock_late(writer: Writer, world: World, registration_ids: Collection[str]) -> bool:
    """Locks those whom a decision turned out to change; False where somebody changes them, or did since they were read.

    Mostly nobody does, and the transaction need not begin anew. Everything that the decision rested on besides was locked
    before it was read.
    """
    if not await writer.try_lock(*registration_ids):
        return False
    now = await read_registrations(writer, registration_ids)
    return all(now.get(one) == world.originals[one] for one in registration_ids)


def _further_of(changes: Iterable[Change[Answer]]) -> frozenset[Key]:
    return frozenset[Key]().union(*(change.further(None) for change in changes))
