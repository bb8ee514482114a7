"""A worker of exchange over a real database, with neighbours that a test commands."""

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from libs.database.engine import Database
from libs.ids import new_id
from services.exchange.__main__ import FORMATS
from services.exchange.model import Counts, FileProgress, Format, Import, RejectedRow, State
from services.exchange.store import jobs, uploads
from services.exchange.worker import Worker
from tests.services.exchange.files import HCODE
from tests.services.exchange.neighbourhood import Neighbourhood


class _Secrets:
    """Settings, as far as tokens need them."""

    def secret_text(self, name: str) -> str:
        return json.dumps({"client_id": "nhip-exchange", "client_secret": "a secret of more than 24 letters"})


@dataclass
class Exchange:
    """Exchange's database and neighbours; its process is whatever worker the test starts."""

    database: Database
    hood: Neighbourhood = field(default_factory=Neighbourhood)
    late: timedelta = timedelta(0)

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.late

    def worker(self, instance: str = "exchange-0") -> Worker:
        neighbours = self.hood.neighbours(_Secrets())
        return Worker(self.database, neighbours, self.clock, instance, asyncio.Event(), FORMATS)

    async def lapse(self) -> None:
        """Every lease has ended, by the clock that leases are by: the database's."""
        for table in ("imports", "exports"):
            await self.database.pool.execute(f"UPDATE {table} SET leased_until = now() - interval '1 second'")

    async def queue(self, data: bytes, file_format: Format = Format.F43, organization: str = HCODE) -> str:
        """Stores bytes as an upload leaves them; the import's id."""
        import_id, now = new_id(), self.clock()
        async with self.database.writing() as writer:
            await uploads.begin(writer, import_id, organization, file_format, "a.zip", now)
            for number, start in enumerate(range(0, len(data), 1 << 20)):
                await uploads.append(writer, import_id, number, data[start : start + (1 << 20)], now)
            await uploads.queue(writer, import_id, hashlib.sha256(data).hexdigest(), len(data), now)
        return import_id

    async def take_in(self, data: bytes, file_format: Format = Format.F43, organization: str = HCODE) -> "Finished":
        """Queues bytes and works until they are done."""
        import_id = await self.queue(data, file_format, organization)
        assert await self.worker().run_once()
        return await self.look(import_id, organization)

    async def look(self, import_id: str, organization: str = HCODE) -> "Finished":
        async with self.database.reading() as reader:
            found = await jobs.find(reader, import_id, organization)
            assert found is not None
            files = (await jobs.files_of(reader, [import_id]))[import_id]
            rejected = await jobs.rejected(reader, import_id, "", (-1, -1), 10_000)
        return Finished(found, files, rejected)


@dataclass(frozen=True)
class Finished:
    """An import as it stands."""

    found: Import
    files: list[FileProgress]
    rejected: list[RejectedRow]

    @property
    def state(self) -> State:
        return self.found.state

    def counts(self, file: str) -> Counts:
        return next(one.counts for one in self.files if one.file == file)

    @property
    def reasons(self) -> list[tuple[str, int, str, str]]:
        """(file, line, column, reason) of each rejected row."""
        return [(row.file, row.rejection.line, row.rejection.column, row.rejection.reason) for row in self.rejected]

    @property
    def told(self) -> list[tuple[str, int, Counts]]:
        """What a facility sees at the end: file, rows, counts."""
        return [(one.file, one.rows, one.counts) for one in self.files]
