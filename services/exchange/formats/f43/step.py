"""What a file is to the one who drives it: chunks are prepared, sent, and told of row by row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.exchange.formats.f43.reading import RawChunk
from services.exchange.formats.sending import Verdict
from services.exchange.model import NOTHING, Effects, Rejection

PERSON_UNKNOWN = "no sound row of PERSON, here or earlier, has this PID"


@dataclass(frozen=True, slots=True)
class Told:
    """What became of the rows of a chunk, in their order, and what is to be noted of them."""

    verdicts: Sequence[Verdict]
    effects: Effects = NOTHING


class Prepared(Protocol):
    """A chunk ready to be sent."""

    async def send(self) -> Told:
        """Sends it; repeated after a crash it does the same."""


class Step(Protocol):
    """How the rows of one file are taken."""

    # True when a chunk may be prepared before the one ahead of it is committed.
    runs_ahead: bool

    async def prepare(self, chunk: RawChunk) -> Prepared:
        """Looks up what the rows refer to, and makes of them what is sent."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A chunk that has nothing to send."""

    told: Told

    async def send(self) -> Told:
        """What was decided."""
        return self.told


def person_unknown(line: int, row: Sequence[str]) -> Rejection:
    """The row is of nobody whom the platform knows at this facility."""
    return Rejection(line, "PID", "PERSON_UNKNOWN", PERSON_UNKNOWN, "|".join(row))
