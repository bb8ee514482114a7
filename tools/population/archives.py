"""Writes archives progressively: rows wait in one file each on disk, and are packed at the end.

A zip takes its members one after another, while people bring rows for all of them at once. Memory holds a few hundred
lines of each file, however many people there are.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_LINES_HELD: Final = 512
# Every zip says the same moment of its members, so that the same population gives the same bytes.
_MIDNIGHT: Final = (0, 0, 0)
_READABLE: Final = 0o644 << 16
_UNIX: Final = 3


class Spool:
    """Lines on their way into an archive, by file, in a directory of their own."""

    def __init__(self, directory: Path) -> None:
        """`directory` is made; whoever made the spool takes it away."""
        self._directory = directory
        self._directory.mkdir(parents=True)
        self._held: dict[str, list[str]] = {}
        self.counts: dict[str, int] = {}

    def add(self, file: str, line: str) -> None:
        """Adds a line without its end."""
        held = self._held.setdefault(file, [])
        held.append(line)
        if len(held) >= _LINES_HELD:
            self._flush(file)

    def lines(self, file: str) -> Iterator[str]:
        """Yields the lines of a file in the order in which they came."""
        self._flush(file)
        path = self._directory / file
        if path.exists():
            with path.open(encoding="utf-8", newline="\n") as stream:
                for line in stream:
                    yield line[:-1]

    def _flush(self, file: str) -> None:
        held = self._held.get(file)
        if held:
            with (self._directory / file).open("a", encoding="utf-8", newline="\n") as stream:
                stream.write("\n".join(held) + "\n")
            self.counts[file] = self.counts.get(file, 0) + len(held)
            held.clear()


class PlainArchive:
    """A zip whose members are given whole, or line by line; made under another name until it is complete."""

    def __init__(self, path: Path, day: tuple[int, int, int]) -> None:
        """`day` is the date that every member bears."""
        self._path = path
        self._part = path.with_suffix(".part")
        self._day = day
        self._zip = zipfile.ZipFile(self._part, "w", zipfile.ZIP_DEFLATED)

    def add(self, name: str, content: bytes) -> None:
        """Adds a member."""
        self._zip.writestr(self._member(name), content)

    def add_lines(self, name: str, lines: Iterator[str]) -> int:
        """Adds a member of lines, each ended by CRLF; returns how many."""
        count = 0
        with self._zip.open(self._member(name), "w", force_zip64=True) as stream:
            batch: list[str] = []
            for line in lines:
                batch.append(line)
                if len(batch) >= _LINES_HELD:
                    stream.write(("\r\n".join(batch) + "\r\n").encode())
                    count += len(batch)
                    batch.clear()
            if batch:
                stream.write(("\r\n".join(batch) + "\r\n").encode())
        return count + len(batch)

    def close(self) -> Path:
        """Completes the zip, gives it its name, and returns it."""
        self._zip.close()
        self._part.replace(self._path)
        return self._path

    def discard(self) -> None:
        """Takes away what is not complete; does nothing after `close`."""
        self._zip.close()
        self._part.unlink(missing_ok=True)

    def _member(self, name: str) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, (*self._day, *_MIDNIGHT))
        info.compress_type = zipfile.ZIP_DEFLATED
        info.create_system = _UNIX
        info.external_attr = _READABLE
        return info
