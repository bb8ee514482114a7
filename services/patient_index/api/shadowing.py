"""The model that decides now, and the background work that scores all registrations by another one."""

import asyncio
import logging

import asyncpg

from libs.clock import Clock
from libs.database.engine import Database
from libs.errors import AbortedError
from services.patient_index.api.transaction import Index
from services.patient_index.model import Scope
from services.patient_index.rules.shadowing import Flip, flips_of
from services.patient_index.rules.weighing import FS_1, Model, read_model
from services.patient_index.rules.world import World, held_keys
from services.patient_index.store import models

# Replicas take a newly adopted model over within this time; each decision names the model that it was made by.
REFRESH_SECONDS = 5.0
# So many registrations are scored in one go: what they are compared with is loaded at once.
SCORED_AT_ONCE = 100

log = logging.getLogger(__name__)


class DecidingModel:
    """The model that decides, as this process knows it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._model = FS_1

    def __call__(self) -> Model:
        """The model now."""
        return self._model

    async def read(self) -> None:
        """Takes over what was adopted last, by whichever process."""
        async with self._database.reading() as reader:
            name, _ = await models.adopted(reader)
            if (name or FS_1.name) == self._model.name:
                return
            kept = await models.read_models(reader, name) if name else []
        self._model = read_model(kept[0].definition) if kept else FS_1

    async def keep_read(self) -> None:
        """Reads at once, and then now and then, until cancelled."""
        while True:
            try:
                await self.read()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                log.exception("the model that decides could not be read; the one that is known goes on")
            await asyncio.sleep(REFRESH_SECONDS)


class Shadowing:
    """Scores all registrations by models that do not decide."""

    def __init__(self, index: Index, database: Database, clock: Clock) -> None:
        self._index = index
        self._database = database
        self._clock = clock
        # Set when a run begins, so that it need not be waited for.
        self.wake = asyncio.Event()

    async def keep_scoring(self) -> None:
        """Goes on with every run that is not finished, until cancelled."""
        while True:
            try:
                async with self._database.reading() as reader:
                    names = await models.open_runs(reader)
                for name in names:
                    await self._score(name)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, AbortedError):
                log.exception("a shadow run was interrupted; it goes on where it stood")
                await asyncio.sleep(REFRESH_SECONDS)
            self.wake.clear()
            try:
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self.wake.wait()
            except TimeoutError:
                continue

    async def _score(self, name: str) -> None:
        is_open = True
        while is_open:
            is_open = await self.score_some(name)
            # Other calls are answered in between.
            await asyncio.sleep(0)

    async def score_some(self, name: str) -> bool:
        """Scores the next registrations of a run; False once it is finished.

        The lock is held meanwhile, so that replicas take turns, and the place is kept with what was found: a process that
        dies in between loses nothing and counts nothing twice.
        """
        async with self._database.writing() as writer:
            await writer.lock(f"{models.LOCK}/{name}")
            run = await models.read_run(writer, name)
            kept = await models.read_models(writer, name)
            if run is None or run.is_finished or not kept:
                return False
            model = read_model(kept[0].definition)
            following = dict(await models.next_registrations(writer, run.cursor, SCORED_AT_ONCE))

            def look(world: World) -> list[Flip]:
                there = [one for one in following if one in world.held]
                keys = frozenset(key for one in there for key in held_keys(world.held[one]))
                world.require(Scope(keys=keys))
                return [flip for one in there for flip in flips_of(world, one, following[one], model)]

            linked = {one for one in following.values() if one}
            flips = await self._index.look(Scope(registration_ids=frozenset({*following, *linked})), look)
            cursor = max(following, default=run.cursor)
            await models.advance_run(writer, name, following, cursor, flips, self._clock())
            return bool(following)
