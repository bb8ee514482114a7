"""The nouns of exchange."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

MEBIBYTE = 1024 * 1024


class Format(IntEnum):
    """What a file is; numbered as in the contract."""

    F43 = 1
    F16 = 2
    FHIR = 3
    # Lines of resources.
    NDJSON = 4


class State(IntEnum):
    """Where an import stands; numbered as in the contract."""

    UPLOADING = 1
    QUEUED = 2
    RUNNING = 3
    SUCCEEDED = 4
    FAILED = 5
    CANCELLED = 6

    @property
    def is_finished(self) -> bool:
        """True when nothing more happens by itself."""
        return self in (State.SUCCEEDED, State.FAILED, State.CANCELLED)


class Outcome(IntEnum):
    """What became of a row."""

    CREATED = 1
    UPDATED = 2
    UNCHANGED = 3
    SKIPPED = 4
    REJECTED = 5


@dataclass(frozen=True, slots=True)
class Import:
    """A file on its way in."""

    import_id: str
    organization_id: str
    format: Format
    file_name: str
    sha256: str
    size_bytes: int
    state: State
    # Names the stored bytes; empty when they are gone.
    upload_id: str
    # Counts up when the file is begun anew, so that answers to an earlier run are not taken for this one's.
    run: int
    rows_total: int
    rows_done: int
    # Where a format keeps its place beside the files' own.
    cursor: str
    error_reason: str
    error_message: str
    attempts: int
    recorded_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    # Of an import of lines: who may see it, what was asked, whose ids the lines use, and the scopes that it was given.
    subject: str = ""
    request_url: str = ""
    input_source: str = ""
    grants: str = ""


@dataclass(frozen=True, slots=True)
class Input:
    """A file of an import of lines."""

    position: int
    # What its lines are; empty for anything.
    type: str = ""
    # Empty for an upload.
    url: str = ""
    # What the file must be; empty for anything.
    etag: str = ""
    sha256: str = ""
    # All of it is here, or will never be: then `error_reason` says why.
    is_complete: bool = False
    lines: int = 0
    size_bytes: int = 0
    found_sha256: str = ""
    error_reason: str = ""
    error_message: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by what became of them."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.created + self.updated + self.unchanged + self.rejected + self.skipped


@dataclass(frozen=True, slots=True)
class FileProgress:
    """How far one file of an import is."""

    position: int
    file: str
    rows: int
    counts: Counts
    note: str
    # The last line that is dealt with; the header is line 1.
    after_line: int
    is_done: bool
    # Where the line after that begins, for formats of lines.
    after_offset: int = 0


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file as the first look at the zip finds it. Passed-over files are done when they are planned."""

    file: str
    rows: int
    note: str = ""
    is_passed_over: bool = False


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that is not taken. The message holds no value of the row; `row` holds it as it came."""

    line: int
    column: str
    reason: str
    message: str
    row: str = field(default="", repr=False)
    # All that is wrong, of which the above is the first: (expression, code, description) each.
    issues: Sequence[tuple[str, str, str]] = ()


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A rejection with its file, as it is listed. `position` orders the files."""

    position: int
    file: str
    rejection: Rejection


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """A person as a facility's files named them last."""

    pid: str
    registration_id: str
    local_number: str
    hn: str
    # nhip.patient_index.v1.Registration, as it was sent last.
    registration: bytes = field(repr=False)
    # The import that sent it, and what the index answered.
    import_id: str = ""
    outcome: Outcome = Outcome.UNCHANGED


@dataclass(frozen=True, slots=True)
class KnownVisit:
    """A visit (SEQ) or an admission (AN) that a facility's files told of."""

    kind: str
    number: str
    registration_id: str


@dataclass(frozen=True, slots=True)
class Home:
    """A house by the facility's number. `address` is nhip.types.v1.Address."""

    hid: str
    address: bytes = field(repr=False)
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class PersonPart:
    """What ADDRESS (part 1 or 2) or DEATH (part D) says of a person, held until PERSON is read."""

    pid: str
    part: str
    value: bytes = field(repr=False)
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class StagedRow:
    """A row of a claim file, held until its whole visit is read."""

    visit: str
    position: int
    line: int
    values: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class FileStep:
    """What a chunk adds to one file: counts, and the line up to which the file is dealt with."""

    position: int
    counts: Counts = Counts()
    after_line: int | None = None
    is_done: bool = False
    after_offset: int | None = None


@dataclass(frozen=True, slots=True)
class DeferredLine:
    """A line that refers to what is not there yet; `subject` says whom it is about, as it writes it."""

    subject: str
    position: int
    line: int
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class SourcePatient:
    """By which id a source knows a Patient."""

    source: str
    source_id: str
    registration_id: str


@dataclass(frozen=True, slots=True)
class Effects:
    """What a chunk leaves in exchange's own tables, beside the progress; stored in the same transaction."""

    persons: Sequence[KnownPerson] = ()
    visits: Sequence[KnownVisit] = ()
    homes: Sequence[Home] = ()
    parts: Sequence[PersonPart] = ()
    staged: Sequence[StagedRow] = ()
    deferred: Sequence[DeferredLine] = ()
    # Deferred lines that are dealt with.
    settled: Sequence[DeferredLine] = ()
    patients: Sequence[SourcePatient] = ()


NOTHING = Effects()


@dataclass(frozen=True, slots=True)
class Chunk:
    """One step of an import, committed whole."""

    steps: Sequence[FileStep]
    rejected: Sequence[RejectedRow] = ()
    effects: Effects = NOTHING
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on an import: lost when somebody else took it up, or it was cancelled."""

    import_id: str
    instance: str
    attempt: int


class FileKind(IntEnum):
    """What a file of an export is; numbered as in the contract."""

    OUTPUT = 1
    DELETED = 2
    ERROR = 3


@dataclass(frozen=True, slots=True)
class Export:
    """What is on its way out, or lies ready."""

    export_id: str
    organization_id: str
    subject: str
    request_url: str = field(repr=False)
    # As records sealed it.
    plan: str = field(repr=False)
    ignored: Sequence[str]
    state: State
    transaction_time: datetime
    # What there is to walk; None until records has told.
    types: Sequence[str] | None
    registration_ids: Sequence[str] | None
    part: int
    place: str
    resources: int
    error_reason: str
    error_message: str
    attempts: int
    recorded_at: datetime
    finished_at: datetime | None
    expires_at: datetime | None


@dataclass(slots=True)
class ExportFile:
    """A file of an export, and how far it is written."""

    number: int
    kind: FileKind
    type: str
    lines: int = 0
    size_bytes: int = 0
    crc32: int = 0
    chunks: int = 0
    # Empty until the file is complete.
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class ExportChunk:
    """A piece of a file: DEFLATE, ended at a byte, going on in the next piece."""

    number: int
    chunk: int
    data: bytes = field(repr=False)


PersonsByPid = Mapping[str, KnownPerson]
