"""A zip of the 43 files as it comes from outside: opened, its members found, and nothing in it trusted.

Members are never extracted to a path; names are judged all the same, since a strange one tells of a strange sender.
"""

import functools
import itertools
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Final, Self

from libs.errors import InvalidArgumentError
from libs.f43.schema import FILES, FileSpec
from libs.thai.dates import BANGKOK

_NAME = re.compile(r"F43_(\d{5})_(\d{14})\.zip", re.IGNORECASE)
_LOCAL_HEADER: Final = 30
_MEBIBYTE: Final = 1024 * 1024
_ENCRYPTED: Final = 0x1
_CHUNK: Final = 512 * 1024
_SHOWN: Final = 120

# People before what was done for them, visits before what happened in them: the order in which links resolve.
_FIRST: Final = ("PROVIDER", "HOME", "VILLAGE", "PERSON", "ADDRESS", "CARD", "SERVICE", "ADMISSION")
IMPORT_ORDER: Final[tuple[str, ...]] = (*_FIRST, *(name for name in FILES if name not in _FIRST))


class ArchiveError(InvalidArgumentError):
    """The zip, or one member of it, cannot be read. `metadata["member"]` names the member where there is one."""

    def __init__(self, reason: str, message: str, member: str = "") -> None:
        """`member` is the name as the zip spells it; what is unprintable or very long in it is left out."""
        shown = "".join(letter for letter in member if letter.isprintable())[:_SHOWN]
        text = f"{shown}: {message}" if shown else message
        super().__init__(reason, text, metadata={"member": shown} if shown else None)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one zip may hold. The ratio counts only from `ratio_from` bytes on: small files compress well."""

    members: int = 1_000
    member_bytes: int = 8 * 1024 * _MEBIBYTE
    total_bytes: int = 32 * 1024 * _MEBIBYTE
    ratio: int = 200
    ratio_from: int = 16 * _MEBIBYTE
    line_bytes: int = _MEBIBYTE


@dataclass(frozen=True, slots=True)
class ArchiveName:
    """What the name of a zip promises: whose it is and when it was made."""

    hospcode: str
    made_at: datetime


def parse_name(file_name: str) -> ArchiveName | None:
    """Reads F43_{HOSPCODE}_{YYYYMMDDHHmmss}.zip; None for any other name, since senders rename files."""
    match = _NAME.fullmatch(file_name.rpartition("/")[2])
    if match is None:
        return None
    try:
        made_at = datetime.strptime(match[2], "%Y%m%d%H%M%S").replace(tzinfo=BANGKOK)
    except ValueError:
        return None
    return ArchiveName(match[1], made_at)


@dataclass(frozen=True, slots=True)
class Stranger:
    """A member that is none of the 52 files. `hint` is the file it was probably meant to be, or None."""

    member: str
    hint: str | None


@functools.cache
def guess_file(stem: str) -> str | None:
    """The file whose name the stem begins with, the longest of them: `accident_07487_2025` gives ACCIDENT."""
    told = stem.upper()
    fitting = [name for name in FILES if told.startswith(name) and not told[len(name) : len(name) + 1].isalpha()]
    return max(fitting, key=len, default=None)


class Archive:
    """An open zip whose directory was judged. A context manager; not to be shared between threads."""

    def __init__(self, source: Path | IO[bytes], limits: Limits = Limits()) -> None:
        """Reads the directory of the zip. Raises ArchiveError, reasons below, before any member is read.

        ZIP_UNREADABLE, ZIP_EMPTY, TOO_MANY_MEMBERS, PATH_UNSAFE, MEMBER_ENCRYPTED, MEMBER_UNREADABLE (compressed in
        a way that is not supported, or overlapping another), MEMBER_TOO_LARGE, ARCHIVE_TOO_LARGE, RATIO_TOO_HIGH,
        DUPLICATE_MEMBER.
        """
        self.limits = limits
        try:
            self._zip = zipfile.ZipFile(source)
        except (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, EOFError, ValueError, NotImplementedError) as error:
            raise ArchiveError("ZIP_UNREADABLE", "the file is not a readable zip, or it was cut off") from error
        try:
            self._infos, self.strangers = self._judge(self._zip.infolist())
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
    def files(self) -> tuple[str, ...]:
        """Names of the files that the zip holds, in the order in which they must be imported for links to resolve."""
        return tuple(name for name in IMPORT_ORDER if name in self._infos)

    def member(self, file: str) -> str:
        """The member that holds the file, as the zip spells it. Raises KeyError for a file it does not hold."""
        return self._infos[file].filename

    def size(self, file: str) -> int:
        """Bytes of the file when uncompressed, as the zip declares them."""
        return self._infos[file].file_size

    def chunks(self, file: str) -> Iterator[bytes]:
        """Streams the bytes of a file. Raises ArchiveError MEMBER_CORRUPT where the bytes are not what was packed."""
        info = self._infos[file]
        try:
            with self._zip.open(info) as stream:
                while chunk := stream.read(_CHUNK):
                    yield chunk
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
            raise ArchiveError("MEMBER_CORRUPT", "the member is damaged or cut off", info.filename) from error

    def _judge(self, infos: Sequence[zipfile.ZipInfo]) -> tuple[Mapping[str, zipfile.ZipInfo], tuple[Stranger, ...]]:
        if len(infos) > self.limits.members:
            raise ArchiveError("TOO_MANY_MEMBERS", f"the zip has more than {self.limits.members} members")
        found: dict[str, zipfile.ZipInfo] = {}
        strangers: list[Stranger] = []
        total = 0
        for info in infos:
            _refuse_unsafe_path(info)
            if info.is_dir() or _is_bookkeeping(info.filename):
                continue
            self._refuse_excess(info)
            total += info.file_size
            if total > self.limits.total_bytes:
                raise ArchiveError("ARCHIVE_TOO_LARGE", "the members together are too large")
            spec = _file_of(info.filename)
            if spec is None:
                stem = info.filename.rpartition("/")[2].rpartition(".")[0]
                strangers.append(Stranger(info.filename, guess_file(stem)))
            elif spec.name in found:
                raise ArchiveError("DUPLICATE_MEMBER", f"the zip holds {spec.name} twice", info.filename)
            else:
                found[spec.name] = info
        _refuse_overlap(infos)
        if not found:
            hints = sorted({stranger.hint for stranger in strangers if stranger.hint})
            tail = f"; members must be named exactly as the file, as in {hints[0]}.txt" if hints else ""
            raise ArchiveError("ZIP_EMPTY", f"the zip holds none of the 43 files{tail}")
        return found, tuple(strangers)

    def _refuse_excess(self, info: zipfile.ZipInfo) -> None:
        if info.flag_bits & _ENCRYPTED:
            raise ArchiveError("MEMBER_ENCRYPTED", "the member is encrypted", info.filename)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArchiveError("MEMBER_UNREADABLE", "only stored and deflated members can be read", info.filename)
        if info.file_size > self.limits.member_bytes:
            raise ArchiveError("MEMBER_TOO_LARGE", "the member is too large", info.filename)
        grown = info.file_size > self.limits.ratio_from
        if grown and info.file_size > self.limits.ratio * max(info.compress_size, 1):
            raise ArchiveError("RATIO_TOO_HIGH", "the member is compressed beyond belief", info.filename)


def _refuse_unsafe_path(info: zipfile.ZipInfo) -> None:
    name = info.orig_filename
    is_link = stat.S_ISLNK(info.external_attr >> 16)
    parts = name.replace("\\", "/").split("/")
    if "\0" in name or "\\" in name or name.startswith("/") or ".." in parts or ":" in parts[0] or is_link:
        raise ArchiveError("PATH_UNSAFE", "the name of the member leads out of the zip", name)


def _is_bookkeeping(name: str) -> bool:
    """True for what operating systems put into zips beside the files themselves."""
    last = name.rpartition("/")[2]
    return name.startswith("__MACOSX/") or last.startswith("._") or last in (".DS_Store", "Thumbs.db", "desktop.ini")


def _file_of(name: str) -> FileSpec | None:
    stem, dot, extension = name.rpartition("/")[2].rpartition(".")
    return FILES.get(stem.upper()) if dot and extension.lower() == "txt" else None


def _refuse_overlap(infos: Sequence[zipfile.ZipInfo]) -> None:
    """Members that share bytes are how a few kilobytes unpack to petabytes; an honest zip never has them."""
    ordered = sorted(infos, key=lambda info: info.header_offset)
    for info, following in itertools.pairwise(ordered):
        if info.header_offset + _LOCAL_HEADER + info.compress_size > following.header_offset:
            raise ArchiveError("MEMBER_UNREADABLE", "the member overlaps another", info.filename)
