"""From bytes as they come, plain or gzip, to the chunks that are stored: nothing is held whole.

A chunk is a mebibyte of lines, as DEFLATE, so that the place of a byte says which chunk holds it.
"""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from services.exchange.exporting.shelf import deflated
from services.exchange.model import MEBIBYTE

CHUNK_BYTES = MEBIBYTE
# Of one input, uncompressed.
MAX_INPUT_BYTES = 16 * 1024 * MEBIBYTE
_GZIP = b"\x1f\x8b"
# zlib's way of saying: a gzip header and a checksum at the end.
_GZIP_WINDOW = 31


class IntakeError(Exception):
    """The bytes are not what they should be. `reason` is for programs."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(slots=True)
class Intake:
    """Takes in one input."""

    lines: int = 0
    # Uncompressed.
    size_bytes: int = 0
    _waiting: bytearray = field(default_factory=bytearray)
    _digest: Any = field(default_factory=hashlib.sha256)
    _head: bytes = b""
    _is_begun: bool = False
    _inflater: Any = None
    _last: int = 10

    @property
    def sha256(self) -> str:
        """Of the bytes as they came, in hexadecimal."""
        return str(self._digest.hexdigest())

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Takes bytes in; the chunks that are full now. Raises IntakeError GZIP_INVALID, FILE_TOO_LARGE."""
        self._digest.update(data)
        if not self._is_begun:
            # Two bytes tell gzip from text, and may come apart.
            self._head += data
            if len(self._head) < len(_GZIP):
                return
            data, self._is_begun = self._head, True
            self._inflater = zlib.decompressobj(_GZIP_WINDOW) if data.startswith(_GZIP) else None
        for piece in self._plain(data):
            yield from self._take(piece)

    def fed(self, data: bytes) -> list[bytes]:
        """As `feed`, for a thread: all at once."""
        return list(self.feed(data))

    def end(self) -> Iterator[bytes]:
        """The last chunk, when there is nothing more to come. Raises IntakeError GZIP_INVALID where it was cut off."""
        if not self._is_begun and self._head:
            yield from self._take(self._head)
        if self._inflater is not None and not self._inflater.eof:
            raise IntakeError("GZIP_INVALID", "the gzip stream ends in the middle")
        if self.size_bytes and self._last != ord("\n"):
            self.lines += 1
        if self._waiting:
            yield deflated(bytes(self._waiting))

    def _plain(self, data: bytes) -> Iterator[bytes]:
        """The bytes uncompressed, a little at a time: a small piece of gzip may hold very much."""
        while self._inflater is not None and data:
            if self._inflater.eof:
                # Several streams, one after the other, are one.
                self._inflater = zlib.decompressobj(_GZIP_WINDOW)
            try:
                piece = self._inflater.decompress(data, CHUNK_BYTES)
            except zlib.error:
                raise IntakeError("GZIP_INVALID", "the gzip stream is damaged") from None
            data = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
            if piece:
                yield piece
            elif not data:
                return
        if self._inflater is None:
            yield data

    def _take(self, piece: bytes) -> Iterator[bytes]:
        if not piece:
            return
        self.size_bytes += len(piece)
        if self.size_bytes > MAX_INPUT_BYTES:
            raise IntakeError("FILE_TOO_LARGE", f"an input may have at most {MAX_INPUT_BYTES // MEBIBYTE} MiB")
        self.lines += piece.count(b"\n")
        self._last = piece[-1]
        self._waiting += piece
        while len(self._waiting) >= CHUNK_BYTES:
            yield deflated(bytes(self._waiting[:CHUNK_BYTES]))
            del self._waiting[:CHUNK_BYTES]
