"""The nouns of records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

from libs.errors import NhipError
from libs.fhir.moments import BEGINNING
from libs.fhir.references import LocalReference

Json = dict[str, Any]


class Sensitivity(IntEnum):
    """Which consent a record needs."""

    GENERAL = 0
    SENSITIVE = 1


class Operation(IntEnum):
    """What made a version; the numbers of the contract's ResourceOperation."""

    CREATE = 1
    UPDATE = 2
    DELETE = 3


class Outcome(IntEnum):
    """What a write did; the numbers of the contract's WriteOutcome."""

    CREATED = 1
    UPDATED = 2
    UNCHANGED = 3
    DELETED = 4
    REJECTED = 5


class Consent(IntEnum):
    """A citizen's decision; the numbers of identity's ConsentDecision."""

    PERMIT = 1
    DENY = 2


class Category(IntEnum):
    """What a decision covers; the numbers of identity's ConsentCategory."""

    GENERAL = 1
    SENSITIVE = 2


@dataclass(frozen=True, slots=True)
class Policy:
    """What a deployment allows beyond what every one does."""

    # A PUT to an id that is not there creates it. Who may choose ids can find out which are taken.
    updates_create: bool = False
    # A conditional deletion that matches several deletes them all.
    deletes_many: bool = False
    # A profile that a resource claims in meta.profile, and that is known here, must be met.
    enforces_profiles: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of one resource as it lies in the table."""

    type: str
    id: str
    version: int
    operation: Operation
    recorded_at: datetime
    filed_under: str
    is_personal: bool
    organization_id: str
    sensitivity: Sensitivity
    body: bytes

    @property
    def key(self) -> str:
        """`Type/id`, as feeds and the audit log name it."""
        return f"{self.type}/{self.id}"

    @property
    def registration_id(self) -> str:
        """Whom it is about; empty for nobody."""
        return self.filed_under if self.is_personal else ""


@dataclass(frozen=True, slots=True)
class Current:
    """What is known of a resource that may be changed: its newest version."""

    type: str
    id: str
    version: int
    operation: Operation
    filed_under: str
    is_personal: bool
    organization_id: str
    content_hash: bytes
    source_updated_at: datetime | None
    is_visible: bool
    # Of these only what an answer without a new version needs.
    stored: Stored

    @property
    def is_deleted(self) -> bool:
        """True if the newest version is a deletion."""
        return self.operation is Operation.DELETE


@dataclass(frozen=True, slots=True)
class Target:
    """What a reference points at."""

    filed_under: str
    is_personal: bool
    organization_id: str


@dataclass(frozen=True, slots=True)
class DateEntry:
    """A date's span in the index."""

    # Where it stands in the resource.
    path: str
    occurred_from: datetime
    occurred_to: datetime


@dataclass(frozen=True, slots=True)
class NumberEntry:
    """A number, a quantity or a range in the index."""

    place: int
    # The code beside it; 0 for none.
    about: int
    low: float
    high: float
    # Of the unit, and of the code with its system.
    keys: Sequence[int]


@dataclass(frozen=True, slots=True)
class IndexEntries:
    """By what a resource is found."""

    tokens: Sequence[int] = ()
    # Hash and text, for the dictionary.
    texts: Sequence[tuple[int, str]] = ()
    # Those beside the type's principal date.
    dates: Sequence[DateEntry] = ()
    numbers: Sequence[NumberEntry] = ()
    # Those of the tokens that are also walked by date.
    orders: Sequence[int] = ()
    occurred_from: datetime = BEGINNING
    occurred_to: datetime = BEGINNING


@dataclass(frozen=True, slots=True)
class Wanted:
    """A Subscription that is understood."""

    # The topic's canonical URL, and the type that it is about.
    topic: str
    resource_type: str
    # Type?name=value&…; one of them must hold, or all is meant.
    filters: tuple[str, ...]
    channel: str
    endpoint: str
    # Name → value; `rules.subscribing.HIDDEN` for what is kept as it was.
    headers: Mapping[str, str] = field(repr=False)
    content: str
    content_type: str
    heartbeat_seconds: int
    timeout_seconds: int
    max_count: int
    end: datetime | None


@dataclass(slots=True)
class Intent:
    """A change that is asked for."""

    operation: Operation
    type: str
    id: str
    # The parsed, valid resource; None for a deletion.
    body: Json | None = None
    # Made here: nobody else can know the id.
    is_new_id: bool = False
    # The version that must be current; 0 means any.
    if_match: int = 0
    # Stored whether or not there is one already: an import's way.
    is_upsert: bool = False
    source_updated_at: datetime | None = None
    # Where it stands in the request: empty, or `Bundle.entry[3].resource`.
    place: str = ""
    # The address under which this server was asked.
    own_base: str = ""
    # Records itself says how a Subscription stands.
    is_own: bool = False
    # What a Subscription asks for, if it is to be acted upon.
    wanted: Wanted | None = None

    @property
    def key(self) -> str:
        """`Type/id`."""
        return f"{self.type}/{self.id}"


_WRITING = frozenset({Outcome.CREATED, Outcome.UPDATED, Outcome.DELETED})
_OPERATION_BY_OUTCOME = {Outcome.UPDATED: Operation.UPDATE, Outcome.DELETED: Operation.DELETE}


@dataclass(slots=True)
class Decision:
    """What becomes of an intent."""

    intent: Intent
    outcome: Outcome
    current: Current | None = None
    error: NhipError | None = None
    # What the body says, for a decision that writes one.
    filed_under: str = ""
    is_personal: bool = True
    organization_id: str = ""
    sensitivity: Sensitivity = Sensitivity.GENERAL
    content_hash: bytes = b""
    # Filled in when it is written.
    entries: IndexEntries = field(default_factory=IndexEntries)

    @property
    def writes(self) -> bool:
        """True if a new version is made."""
        return self.error is None and self.outcome in _WRITING

    @property
    def outcome_operation(self) -> Operation:
        """What the new version says of how it was made; one that brings a deleted resource back is made anew."""
        return _OPERATION_BY_OUTCOME.get(self.outcome, Operation.CREATE)

    @property
    def version(self) -> int:
        """The version that is current afterwards."""
        before = self.current.version if self.current is not None else 0
        return before + 1 if self.writes else before


@dataclass(frozen=True, slots=True)
class Allergy:
    """An allergy that a drug order is held against."""

    registration_id: str
    key: str
    body: Json


@dataclass(frozen=True, slots=True)
class Looked:
    """What the database answered about the surroundings of a change, all of it under the caller's eyes."""

    currents: Mapping[str, Current]
    targets: Mapping[LocalReference, Target]
    # Registration → organisation, for those of the index that are known here.
    registrations: Mapping[str, str]
