"""Which files of the log lead from a base backup to today.

Each restore begins a timeline; its history file names the ones it came from, and where it left them.
"""

import gzip
from dataclasses import dataclass
from typing import Final

from tools.backup.repository import (
    SEGMENT_BYTES,
    Base,
    Repository,
    position_of,
    segment_name,
    segment_number,
)
from tools.backup.sealing import Identity, opened

_ENDLESS: Final = 2**63
_SEGMENT_LENGTH: Final = 24


@dataclass(frozen=True, slots=True)
class History:
    """The timelines that lead to the newest one, oldest first, each with where it was left."""

    steps: tuple[tuple[int, int], ...]

    @property
    def timeline(self) -> int:
        """The newest."""
        return self.steps[-1][0]

    def leads_from(self, base: Base) -> bool:
        """Whether the base backup was made before its timeline was left."""
        return any(base.timeline == timeline and base.ends <= left for timeline, left in self.steps)

    def needs(self, name: str, base: Base) -> bool:
        """Whether a file of the log is on the way from the base backup: a history, or a segment after its beginning."""
        if name.endswith(".history"):
            return int(name[:8], 16) in dict(self.steps)
        if len(name) != _SEGMENT_LENGTH or int(name[:8], 16) not in dict(self.steps):
            return False
        return segment_number(name) >= base.begins // SEGMENT_BYTES

    def first_gap(self, names: set[str], base: Base) -> str:
        """The first segment after the base backup that is not there while a later one is; '' where there is none."""
        numbers = [segment_number(name) for name in names if len(name) == _SEGMENT_LENGTH]
        for number in range(base.begins // SEGMENT_BYTES, max(numbers, default=0)):
            # Where one timeline was left for the next, either's segment holds what is before that place.
            if not any(segment_name(timeline, number) in names for timeline, _ in self.steps):
                return segment_name(self._timeline_of(number), number)
        return ""

    def _timeline_of(self, number: int) -> int:
        return next(timeline for timeline, left in self.steps if number * SEGMENT_BYTES < left)


def history_of(repository: Repository, identity: Identity) -> History:
    """The way to the newest timeline that the repository knows."""
    names = repository.wal_names()
    timelines = [int(name[:8], 16) for name in names if name.endswith(".history")]
    timelines += [base.timeline for base in repository.bases()]
    coverage = repository.coverage()
    newest = max([*timelines, coverage.timeline if coverage else 1])
    name = f"{newest:08X}.history"
    steps = []
    if name in names:
        with opened(repository.wal_file(name), identity) as stream, gzip.open(stream, "rt", encoding="utf-8") as lines:
            for line in lines:
                fields = line.split()
                if fields and fields[0].isdigit():
                    steps.append((int(fields[0]), position_of(fields[1])))
    return History((*steps, (newest, _ENDLESS)))
