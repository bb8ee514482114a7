"""An export in progress: what is known of it, and how it moves on."""

from dataclasses import dataclass, field
from datetime import timedelta

from libs.clock import Clock
from libs.database.engine import Database
from services.exchange.exporting.shelf import Shelf
from services.exchange.job import LEASE
from services.exchange.model import Export, Lease, State
from services.exchange.neighbours import Neighbours
from services.exchange.store import exports

# Long enough for a weekend's pause of a download, short enough that copies do not lie about.
KEPT_FOR = timedelta(hours=48)


@dataclass(slots=True)
class ExportJob:
    """What is needed to carry an export on."""

    database: Database
    neighbours: Neighbours
    clock: Clock
    found: Export
    lease: Lease
    shelf: Shelf = field(default_factory=lambda: Shelf(()))

    async def load(self) -> None:
        """Takes the files up as they were committed."""
        export_id = self.found.export_id
        async with self.database.reading() as reader:
            files = await exports.files_of(reader, export_id)
            self.shelf = await Shelf.restored(
                files, lambda number, chunk: exports.read_chunk(reader, export_id, number, chunk)
            )

    async def note_walk(self, types: list[str], registration_ids: list[str]) -> None:
        """Writes down what there is to walk. Raises LeaseLostError."""
        async with self.database.writing() as writer:
            self.found = await exports.note_walk(writer, self.lease, types, registration_ids)

    async def commit(self, position: tuple[int, str], resources: int) -> None:
        """Moves on to a position, with what was put on the shelf, in one transaction. Raises LeaseLostError."""
        files, chunks = self.shelf.taken()
        async with self.database.writing() as writer:
            await exports.advance(writer, self.lease, position, resources, files, chunks, LEASE)

    async def renew(self) -> bool:
        """Keeps the lease; False when it was lost."""
        async with self.database.writing() as writer:
            return await exports.renew(writer, self.lease, LEASE)

    async def finish(self, state: State, reason: str = "", message: str = "") -> None:
        """Ends it; its files are complete where it succeeded. Raises LeaseLostError."""
        files = self.shelf.end_all() if state is State.SUCCEEDED else []
        now = self.clock()
        async with self.database.writing() as writer:
            await exports.finish(writer, self.lease, state, files, now, now + KEPT_FOR, reason=reason, message=message)
