"""An import in progress: what is known of it, and how it moves on."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import IO

from libs.clock import Clock
from libs.database.engine import Database
from services.exchange import figures
from services.exchange.model import Chunk, FileProgress, Import, Lease, PlannedFile
from services.exchange.neighbours import Neighbours, Sender
from services.exchange.store import jobs, progress, uploads

# A worker that died is noticed after this time by others; by itself, restarted, at once.
LEASE = timedelta(seconds=30)
# The reader holds this many rows at a time, and so many are repeated after a crash at most.
CHUNK_ROWS = 1_000


@dataclass(slots=True)
class Job:
    """What a format needs to process a file."""

    database: Database
    neighbours: Neighbours
    clock: Clock
    found: Import
    lease: Lease
    files: list[FileProgress] = field(default_factory=list)

    @property
    def organization_id(self) -> str:
        """Whose file it is."""
        return self.found.organization_id

    @property
    def sender(self) -> Sender:
        """For whom neighbours are called."""
        return Sender(self.found.organization_id, self.found.import_id, self.found.run)

    def file(self, name: str) -> FileProgress | None:
        """How far a file is; None for one that was not planned."""
        return next((file for file in self.files if file.file == name), None)

    async def load(self) -> None:
        """Reads how far the import is."""
        async with self.database.reading() as reader:
            self.files = (await jobs.files_of(reader, [self.found.import_id]))[self.found.import_id]

    async def plan(self, files: list[PlannedFile]) -> None:
        """Writes down what there is to do. Raises LeaseLostError."""
        async with self.database.writing() as writer:
            await progress.plan(writer, self.lease, files)
        await self.load()

    async def commit(self, chunk: Chunk) -> None:
        """Moves on by a chunk, in one transaction. Raises LeaseLostError."""
        async with self.database.writing() as writer:
            await progress.commit(writer, self.lease, self.organization_id, chunk, LEASE)
        figures.count_rows(chunk)

    async def renew(self) -> bool:
        """Keeps the lease; False when it was lost."""
        async with self.database.writing() as writer:
            return await jobs.renew(writer, self.lease, LEASE)

    async def spool(self, file: IO[bytes]) -> None:
        """Writes the stored bytes into a file. Raises EOFError where they are not complete."""
        number = written = 0
        async with self.database.reading() as reader:
            while (chunk := await uploads.read_chunk(reader, self.found.upload_id, number)) is not None:
                await asyncio.to_thread(file.write, chunk)
                written += len(chunk)
                number += 1
        if written != self.found.size_bytes:
            raise EOFError("the stored bytes are not complete")
        await asyncio.to_thread(file.seek, 0)
