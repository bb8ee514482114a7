"""Reads a file of the zip chunk by chunk; what is not sound is set apart with its place and reason."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from libs.f43.archive import Archive
from libs.f43.checks import Fault, compile_check
from libs.f43.reader import RowError, Table, open_table
from services.exchange.job import CHUNK_ROWS
from services.exchange.mapping.files import CORRECTIONS
from services.exchange.model import Rejection

# What its mapping can read although the check cannot.
_TOLERATED = {CORRECTIONS: frozenset({"JSON_FORMAT"})}


@dataclass(slots=True)
class RawChunk:
    """The next rows of a file: sound ones with their lines, and what is wrong with the others."""

    rows: list[tuple[int, list[str]]] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    # The last line that is dealt with.
    last_line: int = 1

    @property
    def is_empty(self) -> bool:
        """True at the end of the file."""
        return not self.rows and not self.rejections


class _FullError(Exception):
    """So many rows in a row are not sound that the chunk ends among them."""


class RowReader:
    """The rows of one file after a line. Not to be used by two threads at once."""

    def __init__(self, archive: Archive, file: str, organization_id: str, after_line: int) -> None:
        """Scans the member. Raises ArchiveError."""
        self._table: Table = open_table(archive, file)
        self._check: Callable[[Sequence[str]], tuple[Fault, ...]] = compile_check(self._table.spec, self._table.missing)
        self._facility = self._table.spec.index["HOSPCODE"]
        self._tolerated = _TOLERATED.get(file, frozenset())
        self._organization_id = organization_id
        self._line = after_line
        self._rejections: list[Rejection] = []
        self._rows: Iterator[tuple[int, list[str]]] = self._begin()

    def next(self) -> RawChunk:
        """The next chunk; an empty one at the end."""
        chunk = RawChunk(rejections=self._rejections, last_line=self._line)
        try:
            for line, row in self._rows:
                self._line = line
                fault = self._fault(row)
                if fault is None:
                    chunk.rows.append((line, row))
                else:
                    self._rejections.append(Rejection(line, fault.column, fault.reason, fault.message, "|".join(row)))
                if len(chunk.rows) + len(self._rejections) >= CHUNK_ROWS:
                    break
        except _FullError:
            self._rows = self._begin()
        self._rejections = []
        chunk.last_line = self._line
        return chunk

    def _begin(self) -> Iterator[tuple[int, list[str]]]:
        return self._table.rows(on_error=self._reject, after_line=self._line)

    def _reject(self, error: RowError) -> None:
        self._line = error.line
        self._rejections.append(Rejection(error.line, error.column, error.reason, error.message, error.raw))
        if len(self._rejections) >= CHUNK_ROWS:
            raise _FullError

    def _fault(self, row: Sequence[str]) -> Fault | None:
        faults = [fault for fault in self._check(row) if fault.reason not in self._tolerated]
        if faults:
            first, more = faults[0], len(faults) - 1
            message = f"{first.message}; {more} more columns are wrong" if more else first.message
            return Fault(first.column, first.reason, message)
        if row[self._facility] != self._organization_id:
            return Fault("HOSPCODE", "ORGANIZATION_FOREIGN", "the row is another facility's")
        return None
