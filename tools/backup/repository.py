"""The directory that backups go to, and what it holds. Whoever can write there can delete backups: mount it append-only.

base/<stamp>.json           what a base backup is: where in the log it begins and ends, and when it ended
base/<stamp>.tar.gz.age     the cluster, with the log that makes it consistent
secrets/<stamp>.tar.age     the platform's keys, without which the databases are unreadable
wal/<segment>.gz.age        the log; the newest segment as `<segment>.partial.gz.age`, replaced as it fills
wal/<timeline>.history.gz.age
coverage.json               up to which moment, by the database's clock, every commit is in wal/
"""

import json
import os
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from tools.backup.sealing import sync_folder

_SEGMENT = re.compile(r"[0-9A-F]{24}")
SEGMENT_BYTES = 16 << 20
_SEGMENTS_IN_A_FILE = 0x100000000 // SEGMENT_BYTES


class BackupError(Exception):
    """A backup cannot be made, found or restored; the message says what is missing and what helps."""


@dataclass(frozen=True, slots=True, order=True)
class Base:
    """One base backup."""

    # When it was consistent, ISO 8601 in UTC; the earliest moment that it can be restored to.
    ended_at: str
    stamp: str
    timeline: int
    # Positions in the log, as numbers.
    begins: int
    ends: int
    bytes: int

    @property
    def moment(self) -> datetime:
        """`ended_at` as a time."""
        return datetime.fromisoformat(self.ended_at)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Up to where the log is here."""

    at: str
    timeline: int
    position: int

    @property
    def moment(self) -> datetime:
        """`at` as a time."""
        return datetime.fromisoformat(self.at)


class Repository:
    """A directory of backups."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Makes what is missing. Raises BackupError where the directory cannot be written."""
        try:
            for folder in (self.path, self.bases_folder, self.secrets_folder, self.wal_folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BackupError(f"{self.path} cannot be written: {error.strerror}") from error

    @property
    def bases_folder(self) -> Path:
        """Where base backups are."""
        return self.path / "base"

    @property
    def secrets_folder(self) -> Path:
        """Where the platform's keys are."""
        return self.path / "secrets"

    @property
    def wal_folder(self) -> Path:
        """Where the log is."""
        return self.path / "wal"

    def base_file(self, base: Base) -> Path:
        """The cluster of a base backup."""
        return self.bases_folder / f"{base.stamp}.tar.gz.age"

    def bases(self) -> list[Base]:
        """The base backups that are complete, oldest first. Raises BackupError for one that cannot be understood."""
        found = []
        for path in self.bases_folder.glob("*.json"):
            try:
                found.append(Base(**json.loads(path.read_text(encoding="utf-8"))))
            except (ValueError, TypeError) as error:
                raise BackupError(f"{path} does not describe a base backup: {error}") from error
        return sorted(found)

    def add(self, base: Base) -> None:
        """Says that a base backup is complete; its file lies there already."""
        self._write(self.bases_folder / f"{base.stamp}.json", asdict(base))

    def coverage(self) -> Coverage | None:
        """Up to where the log is here; None before it was ever received."""
        try:
            return Coverage(**json.loads((self.path / "coverage.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise BackupError(f"{self.path / 'coverage.json'} is damaged: {error}") from error

    def cover(self, coverage: Coverage) -> None:
        """Says up to where the log is here from now on."""
        self._write(self.path / "coverage.json", asdict(coverage))

    def wal_names(self) -> set[str]:
        """Segments, histories and the newest partial segment, without endings."""
        return {path.name.removesuffix(".gz.age") for path in self.wal_folder.glob("[!.]*.gz.age")}

    def wal_file(self, name: str) -> Path:
        """Where a file of the log is, or will be."""
        return self.wal_folder / f"{name}.gz.age"

    def prune(self, keep: int) -> list[str]:
        """Removes all but the newest base backups, and the log that only they needed; the names removed."""
        bases = self.bases()
        kept, gone = bases[-keep:], bases[:-keep]
        removed = []
        for base in gone:
            # What says that it is there goes first.
            for path in (self.bases_folder / f"{base.stamp}.json", self.base_file(base)):
                path.unlink(missing_ok=True)
            removed.append(base.stamp)
        if kept and gone:
            first = min(base.begins for base in kept) // SEGMENT_BYTES
            for name in self.wal_names():
                if _SEGMENT.match(name) and segment_number(name) < first:
                    self.wal_file(name).unlink(missing_ok=True)
                    removed.append(name)
        return removed

    def _write(self, path: Path, document: dict[str, object]) -> None:
        fresh = path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
        sync_folder(path.parent)


def position_of(text: str) -> int:
    """A place in the log as a number, from `0/2000028`."""
    high, _, low = text.partition("/")
    return int(high, 16) << 32 | int(low, 16)


def segment_number(name: str) -> int:
    """Which segment of its timeline a file of the log holds."""
    return int(name[8:16], 16) * _SEGMENTS_IN_A_FILE + int(name[16:24], 16)


def segment_name(timeline: int, number: int) -> str:
    """The name of the file that holds a segment."""
    high, low = divmod(number, _SEGMENTS_IN_A_FILE)
    return f"{timeline:08X}{high:08X}{low:08X}"


def now_stamp() -> str:
    """A name that sorts by time: 20260131T235959Z with microseconds."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
