"""The files of an export while they are written, and the bytes that are sent of them.

A chunk is DEFLATE (RFC 1951) that ends at a byte and is not the last block, and refers to nothing before it. So the chunks
of a file, one after the other, with a header before and an end after them are one gzip stream (RFC 1952), each can be read
by itself, and a file goes on after a crash where its last committed chunk ended.
"""

import hashlib
import struct
import zlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from services.exchange.model import MEBIBYTE, ExportChunk, ExportFile, FileKind

# A file that is larger is ended, and another begun: so much is easily sent again.
MAX_FILE_BYTES = 128 * MEBIBYTE
# The lines of resources shrink to a tenth at once, and hardly further at ten times the cost.
_LEVEL = 1
# Magic number, DEFLATE, no flags, no time, no extra flags, any system.
GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
# An empty block that is the last.
_END = b"\x03\x00"


def deflated(data: bytes) -> bytes:
    """A chunk that holds the bytes."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush(zlib.Z_FULL_FLUSH)


def inflated(chunk: bytes) -> bytes:
    """The bytes that a chunk holds."""
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(chunk)


def gzip_end(file: ExportFile) -> bytes:
    """What ends the gzip stream of a file."""
    return _END + struct.pack("<II", file.crc32, file.size_bytes & 0xFFFFFFFF)


class Shelf:
    """The files of an export that is being written. Of one that is to be dropped nothing is kept but what was committed."""

    def __init__(self, files: Sequence[ExportFile]) -> None:
        self._files = list(files)
        self._open = {(file.kind, file.type): file for file in self._files if not file.sha256}
        self._digests: dict[int, Any] = {}
        self._touched: dict[int, ExportFile] = {}
        self._chunks: list[ExportChunk] = []

    @classmethod
    async def restored(
        cls, files: Sequence[ExportFile], read_chunk: Callable[[int, int], Awaitable[bytes | None]]
    ) -> "Shelf":
        """The shelf with the files as they were committed. Raises EOFError where a chunk is missing."""
        shelf = cls(files)
        for file in shelf._open.values():
            digest = shelf._digests[file.number] = hashlib.sha256()
            for number in range(file.chunks):
                chunk = await read_chunk(file.number, number)
                if chunk is None:
                    raise EOFError("a chunk of an export is missing")
                digest.update(inflated(chunk))
        return shelf

    def has(self, kind: FileKind) -> bool:
        """True if there is a file of the kind."""
        return any(file.kind is kind for file in self._files)

    def put(self, kind: FileKind, type_name: str, lines: bytes, count: int) -> None:
        """Appends lines, each ended, to the file of their kind and type."""
        file = self._open.get((kind, type_name))
        if file is None:
            file = self._open[kind, type_name] = ExportFile(len(self._files), kind, type_name)
            self._files.append(file)
            self._digests[file.number] = hashlib.sha256()
        self._digests[file.number].update(lines)
        file.lines += count
        file.size_bytes += len(lines)
        file.crc32 = zlib.crc32(lines, file.crc32)
        self._chunks.append(ExportChunk(file.number, file.chunks, deflated(lines)))
        file.chunks += 1
        self._touched[file.number] = file
        if file.size_bytes >= MAX_FILE_BYTES:
            self._end(file)

    def taken(self) -> tuple[list[ExportFile], list[ExportChunk]]:
        """What is new since the last time: files that grew, and their chunks."""
        files, chunks = list(self._touched.values()), self._chunks
        self._touched, self._chunks = {}, []
        return files, chunks

    def end_all(self) -> list[ExportFile]:
        """Ends the files that are open; they are complete then."""
        ended = list(self._open.values())
        for file in ended:
            self._end(file)
        return ended

    def _end(self, file: ExportFile) -> None:
        file.sha256 = self._digests.pop(file.number).hexdigest()
        del self._open[file.kind, file.type]
