"""Streams the rows of the 43 files out of a zip, in bounded memory.

    with Archive(path) as archive:
        for table in tables(archive):
            for line, row in table.rows(on_error=rejected.append):
                ...row[table.spec.index["PID"]]...

A row is a list of strings, one for each column of the specification and in its order, whatever order the member's
header has; what the member lacks is "". Lines are counted as an editor counts them: the header is line 1.

Each member is read twice: once to learn its encoding, length and soundness, once for its rows. So a damaged member is
refused before its first row is taken, and no row is ever decoded by a guess that a later row disproves.
"""

import codecs
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final

from libs.f43.archive import Archive, ArchiveError
from libs.f43.schema import FILES, FileSpec

_REPLACEMENT: Final = "\ufffd"
_MAX_HEADER_COLUMNS: Final = 500


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that cannot be taken. `column` is "" where the whole row is meant; `message` holds no value of the row."""

    line: int
    column: str
    reason: str
    message: str
    raw: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class _Scan:
    """What the first reading of a member learned."""

    encoding: str
    # UTF-8 on the whole, with lines that are not: those lines are errors, the others stand.
    has_broken_lines: bool
    rows: int
    header: str


@dataclass(frozen=True, slots=True)
class Table:
    """One file of the zip, ready to be read. `missing` and `unknown` are columns, as the header tells."""

    archive: Archive
    spec: FileSpec
    encoding: str
    row_count: int
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    _header_length: int
    _sources: tuple[int, ...] | None
    _has_broken_lines: bool

    @property
    def member(self) -> str:
        """Name of the member, as the zip spells it."""
        return self.archive.member(self.spec.name)

    def rows(
        self, on_error: Callable[[RowError], None] | None = None, *, after_line: int = 1
    ) -> Iterator[tuple[int, list[str]]]:
        """Yields (line, row) for each sound row after `after_line`; tells `on_error` of each other one, in order.

        Surrounding blanks of values are removed. Reasons: FIELD_COUNT, ENCODING, CONTROL_CHARACTER. Raises ArchiveError
        MEMBER_CORRUPT or LINE_TOO_LONG. Blank lines are passed over, and counted.
        """
        tell = on_error or _ignore
        expected = self._header_length
        project = _projection(self._sources)
        for first, lines in self._batches():
            if first + len(lines) - 1 <= after_line:
                continue
            for line, text in enumerate(lines, first):
                if line <= after_line:
                    continue
                fields = text.split("|")
                if len(fields) != expected or not text:
                    if text.strip():
                        message = f"the row has {len(fields)} fields, the header {expected}"
                        tell(RowError(line, "", "FIELD_COUNT", message, text))
                    continue
                if _REPLACEMENT in text:
                    tell(RowError(line, self._broken_column(fields, _REPLACEMENT), "ENCODING", _NOT_TEXT, text))
                    continue
                if "\0" in text:
                    column = self._broken_column(fields, "\0")
                    tell(RowError(line, column, "CONTROL_CHARACTER", "the row holds a NUL", text.replace("\0", "")))
                    continue
                if " |" in text or "| " in text or text[0] == " " or text[-1] == " " or "\t" in text:
                    fields = [value.strip() for value in fields]
                yield line, project(fields) if project else fields

    def _broken_column(self, fields: Sequence[str], mark: str) -> str:
        at = next(position for position, value in enumerate(fields) if mark in value)
        sources = self._sources or tuple(range(len(self.spec.names)))
        return next((name for name, source in zip(self.spec.names, sources, strict=True) if source == at), "")

    def _batches(self) -> Iterator[tuple[int, list[str]]]:
        """Yields (line number of the first, lines) over and over, header left out, line ends removed."""
        first = 1
        for lines in _decoded_lines(self.archive, self.spec.name, self.encoding, lenient=self._has_broken_lines):
            if first == 1:
                first += 1
                if len(lines) > 1:
                    yield first, lines[1:]
                    first += len(lines) - 1
            else:
                yield first, lines
                first += len(lines)


_NOT_TEXT: Final = "the row holds bytes that are no text in the encoding of its file"


def tables(archive: Archive) -> Iterator[Table]:
    """Yields a table for each file in the zip, in import order. Raises ArchiveError as `open_table` does."""
    for name in archive.files:
        yield open_table(archive, name)


def open_table(archive: Archive, file: str) -> Table:
    """Scans a member and reads its header. Raises KeyError for a file that the zip does not hold.

    Raises ArchiveError: MEMBER_CORRUPT, LINE_TOO_LONG, HEADER_MISSING (empty member, or a first line that is no
    header), HEADER_DUPLICATE (a column twice), KEY_COLUMN_MISSING (the rows could not be told apart).
    """
    spec = FILES[file]
    scan = _scan(archive, file)
    member = archive.member(file)
    names = [name.strip().upper() for name in scan.header.split("|")]
    if len(names) > _MAX_HEADER_COLUMNS or not any(name in spec.index for name in names):
        raise ArchiveError("HEADER_MISSING", "the first line does not name the columns", member)
    repeated = sorted({name for name in names if names.count(name) > 1 and name})
    if repeated:
        raise ArchiveError("HEADER_DUPLICATE", f"the header names {repeated[0]} twice", member)
    place = {name: position for position, name in enumerate(names)}
    missing = tuple(name for name in spec.names if name not in place)
    lost = [name for name in spec.key if name in missing and not spec.column(name).came_with_v24]
    if lost:
        raise ArchiveError("KEY_COLUMN_MISSING", f"the header lacks {lost[0]}", member)
    sources: tuple[int, ...] | None = tuple(place.get(name, -1) for name in spec.names)
    if sources == tuple(range(len(names))):
        sources = None
    unknown = tuple(name for name in names if name not in spec.index)
    return Table(archive, spec, scan.encoding, scan.rows, missing, unknown, len(names), sources, scan.has_broken_lines)


def _scan(archive: Archive, file: str) -> _Scan:
    """Reads the member once. UTF-8 if all of it is; else by which most of its Thai lines make sense."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    rows = 0
    is_utf8 = True
    header: bytes | None = None
    head = b""
    open_line = 0
    last = b"\n"
    for chunk in archive.chunks(file):
        if header is None:
            head += chunk
            if b"\n" in head:
                header = head[: head.index(b"\n")]
                head = b""
        rows += chunk.count(b"\n")
        open_line = open_line + len(chunk) if b"\n" not in chunk else len(chunk) - chunk.rindex(b"\n") - 1
        if open_line > archive.limits.line_bytes:
            raise ArchiveError("LINE_TOO_LONG", "a line of the member does not end", archive.member(file))
        last = chunk[-1:]
        if is_utf8:
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                is_utf8 = False
    if is_utf8:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            is_utf8 = False
    rows += last != b"\n"
    first_line = (head if header is None else header).removeprefix(codecs.BOM_UTF8).rstrip(b"\r")
    if is_utf8:
        return _Scan("utf-8", has_broken_lines=False, rows=max(rows - 1, 0), header=first_line.decode())
    mostly_utf8 = _is_mostly_utf8(archive, file)
    encoding = "utf-8" if mostly_utf8 else "cp874"
    return _Scan(encoding, mostly_utf8, max(rows - 1, 0), first_line.decode(encoding, "replace"))


def _is_mostly_utf8(archive: Archive, file: str) -> bool:
    """True if more of the lines that are not plain ASCII are UTF-8 than are not: then a few were cut in a letter.

    A Thai line in CP874 is practically never valid UTF-8, so one file does not sway the other way.
    """
    sound = broken = 0
    for lines in _byte_lines(archive, file):
        for line in lines:
            if line.isascii():
                continue
            try:
                line.decode()
            except UnicodeDecodeError:
                broken += 1
            else:
                sound += 1
    return sound > broken


def _byte_lines(archive: Archive, file: str) -> Iterator[list[bytes]]:
    """Yields lists of whole lines without their ends. The last line need not end."""
    rest = b""
    for chunk in archive.chunks(file):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        if len(rest) > archive.limits.line_bytes:
            raise ArchiveError("LINE_TOO_LONG", "a line of the member does not end", archive.member(file))
        if lines:
            yield lines
    if rest:
        yield [rest]


def _decoded_lines(archive: Archive, file: str, encoding: str, *, lenient: bool) -> Iterator[list[str]]:
    """Yields lists of whole lines, decoded, without their ends.

    What is no text comes as U+FFFD; a whole line is decoded at once, so a broken one never spoils its neighbour.
    """
    errors = "strict" if encoding == "utf-8" and not lenient else "replace"
    is_first = True
    for lines in _byte_lines(archive, file):
        block = b"\n".join(lines)
        if is_first:
            block = block.removeprefix(codecs.BOM_UTF8)
            is_first = False
        text = block.decode(encoding, errors)
        if "\r" in text:
            text = text.replace("\r\n", "\n").removesuffix("\r")
        yield text.split("\n")


def _projection(sources: Sequence[int] | None) -> Callable[[list[str]], list[str]] | None:
    """How a row in the member's order becomes one in the order of the specification; None if it already is."""
    if sources is None:
        return None
    pick = itemgetter(*sources, -1)

    def project(fields: list[str]) -> list[str]:
        # Position -1 is what was appended: the empty value of every column that the member lacks.
        fields.append("")
        return list(pick(fields)[:-1])

    return project


def _ignore(_: RowError) -> None:
    """Errors of rows that nobody asked for."""
