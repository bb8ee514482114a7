"""Reads the claim files of a zip: `|` between fields, a header, UTF-8 or CP874."""

from collections.abc import Iterator
from dataclasses import dataclass

from libs.f43.archive import ArchiveError
from services.exchange.archives import Members
from services.exchange.mapping.claim import COLUMNS, FILES, OPTIONAL
from services.exchange.model import Rejection

_REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class ClaimTable:
    """One claim file. `places` are where its columns stand in a row of the member; -1 for one that it lacks."""

    members: Members
    file: str
    member: str
    encoding: str
    width: int
    places: tuple[int, ...]
    row_count: int

    def rows(self, after_line: int) -> Iterator[tuple[int, list[str]] | Rejection]:
        """The rows after a line, with the columns of `COLUMNS` in their order; or why one cannot be taken."""
        for line, raw in enumerate(self.members.lines(self.member), 1):
            if line == 1 or line <= after_line or not raw.strip():
                continue
            text = raw.decode(self.encoding, "replace")
            fields = text.split("|")
            if _REPLACEMENT in text:
                yield Rejection(line, "", "ENCODING", "the row holds bytes that are no text in its encoding", text)
            elif "\0" in text:
                bare = text.replace("\0", "")
                yield Rejection(line, "", "CONTROL_CHARACTER", "the row holds a NUL", bare)
            elif len(fields) != self.width:
                message = f"the row has {len(fields)} fields, the header {self.width}"
                yield Rejection(line, "", "FIELD_COUNT", message, text)
            else:
                yield line, [fields[place].strip() if place >= 0 else "" for place in self.places]


def claim_tables(members: Members) -> list[ClaimTable]:
    """The claim files of a zip, in their official order, each read through once.

    Raises ArchiveError: ZIP_EMPTY, DUPLICATE_MEMBER, HEADER_MISSING, HEADER_DUPLICATE, KEY_COLUMN_MISSING,
    MEMBER_CORRUPT, LINE_TOO_LONG.
    """
    found: dict[str, str] = {}
    for member in members.names:
        file = member.rpartition("/")[2].rpartition(".")[0].upper()
        if file not in FILES:
            continue
        if file in found:
            raise ArchiveError("DUPLICATE_MEMBER", f"the zip holds {file} twice", member)
        found[file] = member
    if not found:
        raise ArchiveError("ZIP_EMPTY", "the zip holds none of the 16 files")
    return [_open(members, file, found[file]) for file in FILES if file in found]


def _open(members: Members, file: str, member: str) -> ClaimTable:
    encoding = members.encoding(member)
    lines = members.lines(member)
    header = next(lines, b"").decode(encoding, "replace").removeprefix("\ufeff")
    count = sum(1 for line in lines if line.strip())
    names = [name.strip().upper() for name in header.split("|")]
    wanted = COLUMNS.get(file, ())
    if wanted and not any(name in names for name in wanted):
        raise ArchiveError("HEADER_MISSING", "the first line does not name the columns", member)
    repeated = next((name for name in names if name and names.count(name) > 1), None)
    if repeated:
        raise ArchiveError("HEADER_DUPLICATE", f"the header names {repeated} twice", member)
    lost = next((name for name in wanted if name not in names and name not in OPTIONAL), None)
    if lost:
        raise ArchiveError("KEY_COLUMN_MISSING", f"the header lacks {lost}", member)
    places = tuple(names.index(name) if name in names else -1 for name in wanted)
    return ClaimTable(members, file, member, encoding, len(names), places, count)
