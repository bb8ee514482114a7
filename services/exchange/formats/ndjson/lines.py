"""The lines of an input, from the chunks that hold them, in bounded memory."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from services.exchange.exporting.shelf import inflated
from services.exchange.formats.ndjson.intake import CHUNK_BYTES
from services.exchange.model import MEBIBYTE

# The largest resource that records takes has so many bytes.
MAX_LINE_BYTES = 16 * MEBIBYTE
_MARK = b"\xef\xbb\xbf"

# A chunk by its number; None after the last.
ReadChunk = Callable[[int], Awaitable[bytes | None]]


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank, without what ends it. `data` is None where it is longer than any resource."""

    number: int
    start: int
    length: int
    data: bytes | None = field(repr=False)

    @property
    def end(self) -> int:
        """Where the next line begins."""
        return self.start + self.length + 1


async def lines_of(read: ReadChunk, number: int, offset: int) -> AsyncIterator[Line]:
    """The lines from a place on; the line there has the number."""
    chunk, skip = divmod(offset, CHUNK_BYTES)
    pieces: list[bytes] = []
    held, start = 0, offset
    while (stored := await read(chunk)) is not None:
        *ended, rest = inflated(stored)[skip:].split(b"\n")
        chunk, skip = chunk + 1, 0
        for piece in ended:
            pieces.append(piece)
            held += len(piece)
            line = _line(number, start, held, pieces)
            if line is not None:
                yield line
            start += held + 1
            number += 1
            pieces, held = [], 0
        held += len(rest)
        # Of what is too long only its length is of interest.
        pieces = [*pieces, rest] if held <= MAX_LINE_BYTES else []
    line = _line(number, start, held, pieces)
    if line is not None:
        yield line


def _line(number: int, start: int, length: int, pieces: list[bytes]) -> Line | None:
    if length > MAX_LINE_BYTES:
        return Line(number, start, length, None)
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if start == 0:
        data = data.removeprefix(_MARK)
    data = data.strip()
    return Line(number, start, length, data) if data else None


async def read_at(read: ReadChunk, start: int, length: int) -> bytes:
    """The bytes of a line that was met before. Raises EOFError where they are gone."""
    chunk, skip = divmod(start, CHUNK_BYTES)
    pieces: list[bytes] = []
    missing = length
    while missing > 0:
        stored = await read(chunk)
        if stored is None:
            raise EOFError("a chunk of an import is missing")
        piece = inflated(stored)[skip : skip + missing]
        pieces.append(piece)
        missing -= len(piece)
        chunk, skip = chunk + 1, 0
    return b"".join(pieces).removeprefix(_MARK).strip()
