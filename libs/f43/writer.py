"""Writes a conforming zip of the 43 files.

    with ArchiveWriter(directory, "99001", made_at) as archive:
        archive.write("PERSON", rows)

UTF-8 without a byte order mark, `|` between fields, CRLF at the end of each line, a header in every member, and the
name F43_{HOSPCODE}_{YYYYMMDDHHmmss}.zip. The bytes depend on nothing but what is written and `made_at`.
"""

import zipfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import IO, Final, Self

from libs.f43.schema import FILES
from libs.thai.dates import BANGKOK

_UNIX: Final = 3
_READABLE: Final = 0o644 << 16
# A zip counts years from 1980.
_FIRST_ZIP_YEAR: Final = 1980
_LINES_AT_ONCE: Final = 4096
_SEPARATORS: Final = str.maketrans({"|": " ", "\r": " ", "\n": " ", "\0": None})


def archive_name(hospcode: str, made_at: datetime) -> str:
    """The name that the standard gives a zip. A moment without a zone is taken as Bangkok's."""
    local = made_at.astimezone(BANGKOK) if made_at.tzinfo else made_at
    return f"F43_{hospcode}_{local:%Y%m%d%H%M%S}.zip"


class ArchiveWriter:
    """A zip under way: one member after another. Leaves no zip behind where the block fails."""

    def __init__(self, directory: Path, hospcode: str, made_at: datetime) -> None:
        """The zip is made in `directory`, which must exist; an older one of the same name is replaced at the end."""
        self.path = directory / archive_name(hospcode, made_at)
        self._part = self.path.with_suffix(".part")
        local = made_at.astimezone(BANGKOK) if made_at.tzinfo else made_at
        self._stamp = (max(local.year, _FIRST_ZIP_YEAR), local.month, local.day, local.hour, local.minute, local.second)
        self._stack = ExitStack()
        self._zip: zipfile.ZipFile | None = None

    def __enter__(self) -> Self:
        """Opens the zip."""
        archive = zipfile.ZipFile(self._part, "w", zipfile.ZIP_DEFLATED)
        self._zip = self._stack.enter_context(archive)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Closes the zip and gives it its name, or takes it away."""
        self._zip = None
        self._stack.close()
        if kind is None:
            self._part.replace(self.path)
        else:
            self._part.unlink(missing_ok=True)

    def write(self, file: str, rows: Iterable[Sequence[str]]) -> int:
        """Writes one member and returns its number of rows. Each row has one value per column, in order.

        What would break the form (bars and line ends inside a value) becomes a blank. Raises KeyError for no such
        file, ValueError for a row of another length.
        """
        spec = FILES[file]
        expected = len(spec.columns)

        def lines() -> Iterable[str]:
            for row in rows:
                if len(row) != expected:
                    message = f"a row of {file} has {expected} values, not {len(row)}"
                    raise ValueError(message)
                line = "|".join(row)
                if line.count("|") != expected - 1 or not line.isprintable():
                    line = "|".join(value.translate(_SEPARATORS) for value in row)
                yield line

        return self.write_lines(file, lines())

    def write_lines(self, file: str, lines: Iterable[str]) -> int:
        """Writes one member of lines that are already joined, below its header; returns their number."""
        count = 0
        with self._member(f"{file}.txt") as stream:
            stream.write(("|".join(FILES[file].names) + "\r\n").encode())
            batch: list[str] = []
            for line in lines:
                batch.append(line)
                if len(batch) == _LINES_AT_ONCE:
                    stream.write(_joined(batch))
                    count += len(batch)
                    batch.clear()
            stream.write(_joined(batch))
        return count + len(batch)

    def _member(self, name: str) -> IO[bytes]:
        if self._zip is None:
            message = "the archive is not open"
            raise ValueError(message)
        info = zipfile.ZipInfo(name, self._stamp)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.create_system = _UNIX
        info.external_attr = _READABLE
        return self._zip.open(info, "w", force_zip64=True)


def _joined(lines: Sequence[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n").encode() if lines else b""
