"""Zips from outside whose members are not the 43 files: opened, judged, and nothing in them trusted.

Members are never extracted to a path. The limits are those of the 43 files.
"""

import codecs
import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Self

from libs.f43.archive import ArchiveError, Limits

_ENCRYPTED = 0x1
_MEBIBYTE = 1024 * 1024
LIMITS = Limits(members=100_000, member_bytes=256 * _MEBIBYTE, total_bytes=4096 * _MEBIBYTE)
_BOOKKEEPING = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_CHUNK = 256 * 1024


class Members:
    """The members of an open zip, in the order of their names. A context manager; not to be shared between threads."""

    def __init__(self, source: IO[bytes], limits: Limits = LIMITS) -> None:
        """Reads the directory. Raises ArchiveError, with the reasons of libs.f43.archive.Archive."""
        self.limits = limits
        try:
            self._zip = zipfile.ZipFile(source)
        except (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, EOFError, ValueError, NotImplementedError) as error:
            raise ArchiveError("ZIP_UNREADABLE", "the file is not a readable zip, or it was cut off") from error
        try:
            self._infos = self._judge()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the zip."""
        self._zip.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The members that are files, by name."""
        return tuple(sorted(self._infos))

    def size(self, name: str) -> int:
        """Bytes when uncompressed, as the zip declares them."""
        return self._infos[name].file_size

    def read(self, name: str) -> bytes:
        """All bytes of a member. Raises ArchiveError MEMBER_CORRUPT."""
        return b"".join(self.chunks(name))

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of a member. Raises ArchiveError MEMBER_CORRUPT."""
        try:
            with self._zip.open(self._infos[name]) as stream:
                while chunk := stream.read(_CHUNK):
                    yield chunk
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
            raise ArchiveError("MEMBER_CORRUPT", "the member is damaged or cut off", name) from error

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a member without their ends. Raises ArchiveError MEMBER_CORRUPT, LINE_TOO_LONG."""
        rest = b""
        for chunk in self.chunks(name):
            *whole, rest = (rest + chunk).split(b"\n")
            if len(rest) > self.limits.line_bytes:
                raise ArchiveError("LINE_TOO_LONG", "a line of the member does not end", name)
            for line in whole:
                yield line.removesuffix(b"\r")
        if rest:
            yield rest.removesuffix(b"\r")

    def encoding(self, name: str) -> str:
        """`utf-8` where all of the member is, else `cp874`. Reads it through. Raises ArchiveError MEMBER_CORRUPT."""
        decoder, is_utf8 = codecs.getincrementaldecoder("utf-8")(), True
        for chunk in self.chunks(name):
            if is_utf8:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    is_utf8 = False
        return "utf-8" if is_utf8 else "cp874"

    def _judge(self) -> dict[str, zipfile.ZipInfo]:
        infos = self._zip.infolist()
        if len(infos) > self.limits.members:
            raise ArchiveError("TOO_MANY_MEMBERS", f"the zip has more than {self.limits.members} members")
        found: dict[str, zipfile.ZipInfo] = {}
        total = 0
        for info in infos:
            name = info.filename
            last = name.rpartition("/")[2]
            if info.is_dir() or name.startswith("__MACOSX/") or last.startswith("._") or last in _BOOKKEEPING:
                continue
            self._refuse_excess(info)
            total += info.file_size
            if total > self.limits.total_bytes:
                raise ArchiveError("ARCHIVE_TOO_LARGE", "the members together are too large")
            if name in found:
                raise ArchiveError("DUPLICATE_MEMBER", "the zip holds the member twice", name)
            found[name] = info
        if not found:
            raise ArchiveError("ZIP_EMPTY", "the zip holds no files")
        return found

    def _refuse_excess(self, info: zipfile.ZipInfo) -> None:
        name, limits = info.filename, self.limits
        if ".." in name.replace("\\", "/").split("/") or name.startswith("/") or "\0" in info.orig_filename:
            raise ArchiveError("PATH_UNSAFE", "the name of the member leads out of the zip", name)
        if info.flag_bits & _ENCRYPTED:
            raise ArchiveError("MEMBER_ENCRYPTED", "the member is encrypted", name)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArchiveError("MEMBER_UNREADABLE", "only stored and deflated members can be read", name)
        if info.file_size > limits.member_bytes:
            raise ArchiveError("MEMBER_TOO_LARGE", "the member is too large", name)
        if info.file_size > limits.ratio_from and info.file_size > limits.ratio * max(info.compress_size, 1):
            raise ArchiveError("RATIO_TOO_HIGH", "the member is compressed beyond belief", name)


def is_zip(source: IO[bytes]) -> bool:
    """Whether the bytes begin as a zip does; leaves the file at its beginning."""
    head = source.read(4)
    source.seek(0, io.SEEK_SET)
    return head[:2] == b"PK"
