"""An input cut into batches, the same ones whenever it is read from the end of one of them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from libs.access.caller import Scopes
from services.exchange.formats.ndjson.lines import Line, ReadChunk, lines_of
from services.exchange.formats.ndjson.reading import Item, read_line
from services.exchange.model import MEBIBYTE, FileProgress, Input, Rejection

BATCH_LINES = 500
# A line that is larger goes alone.
BATCH_BYTES = 4 * MEBIBYTE


@dataclass(slots=True)
class Batch:
    """Some lines of an input. `after_line` lines of it, up to `after_offset`, are dealt with when they are."""

    position: int
    first: int
    items: list[Item] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    after_line: int = 0
    after_offset: int = 0
    size_bytes: int = 0

    def keys(self) -> set[str]:
        """What comes with it, as its source names it."""
        return {item.key for item in self.items if item.source_id}

    def touched(self) -> set[str]:
        """What comes with it, or is referred to: must not be under way when it is sent."""
        return self.keys().union(*(item.references for item in self.items))

    def is_full_with(self, line: Line) -> bool:
        """True if the line must begin another batch."""
        count = len(self.items) + len(self.rejected)
        return count > 0 and (count >= BATCH_LINES or self.size_bytes + line.length > BATCH_BYTES)

    def take(self, line: Line, read: Item | Rejection) -> None:
        """Puts a line in."""
        if isinstance(read, Rejection):
            self.rejected.append(read)
        else:
            self.items.append(read)
            self.size_bytes += line.length
        self.after_line, self.after_offset = line.number, line.end


async def batches_of(
    one: Input, progress: FileProgress, source: str, scopes: Scopes, read: ReadChunk
) -> AsyncIterator[Batch]:
    """What is left of an input."""
    # The first line is line 1; progress counts from the line before it.
    first = progress.after_line
    batch = Batch(one.position, first)
    async for line in lines_of(read, first, progress.after_offset):
        if batch.is_full_with(line):
            yield batch
            batch = Batch(one.position, line.number)
        batch.take(line, read_line(line, one.type, source, scopes))
    if batch.items or batch.rejected:
        yield batch
