"""A source, and its rows as the platform takes them."""

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

Json = dict[str, Any]
_CHUNK_BYTES = 1 << 20


class SourceError(Exception):
    """A file is not what it is said to be; the message names the place."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a publisher: plain, or a zip with the files of a release."""

    path: Path
    # Own name of a column → its name in the file, for tables with other headings.
    columns: dict[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """SHA-256 of the bytes, in hex."""
        whole = hashlib.sha256()
        with self.path.open("rb") as file:
            while piece := file.read(_CHUNK_BYTES):
                whole.update(piece)
        return whole.hexdigest()

    @contextmanager
    def member(self, *endings: str, contains: str = "") -> Iterator[IO[bytes]]:
        """The file itself, or the one of the zip whose name ends and reads so. Raises SourceError."""
        if not zipfile.is_zipfile(self.path):
            with self.path.open("rb") as file:
                yield file
            return
        with zipfile.ZipFile(self.path) as archive:
            names = [
                one
                for one in sorted(archive.namelist())
                if one.lower().endswith(endings) and contains.lower() in one.lower()
            ]
            if not names:
                wanted = f"*{contains}*{'|'.join(endings)}"
                raise SourceError(f"{self.path.name}: there is no {wanted} in the archive")
            with archive.open(names[0]) as file:
                yield file
