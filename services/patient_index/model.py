"""The nouns of the index, as its rules see them: no protobuf, no rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any


class Sex(IntEnum):
    """Administrative sex; numbers as in the contract. UNKNOWN (4) is kept as UNSPECIFIED among features."""

    UNSPECIFIED = 0
    MALE = 1
    FEMALE = 2
    OTHER = 3
    UNKNOWN = 4


class Grade(IntEnum):
    """How sure the index is; numbers as in the contract, the surest first."""

    CERTAIN = 1
    PROBABLE = 2
    POSSIBLE = 3
    NONE = 4


class DecisionKind(IntEnum):
    """What a decision does; numbers as in the contract."""

    REGISTER = 1
    LINK = 2
    UNLINK = 3
    MERGE = 4
    SPLIT = 5
    OVERRIDE = 6
    REVERT = 7
    PART = 8


class Override(IntEnum):
    """What somebody ordained about a pair; numbers as in the contract, and stored."""

    NONE = 1
    TOGETHER = 2
    APART = 3


class Verdict(IntEnum):
    """What a reviewer says of a pair; numbers as in the contract, and stored."""

    SAME = 1
    DIFFERENT = 2
    UNSURE = 3


class Outcome(IntEnum):
    """What became of a registration that was sent; numbers as in the contract."""

    CREATED = 1
    UPDATED = 2
    UNCHANGED = 3


class KeyKind(IntEnum):
    """By what a registration is found. Stored: numbers are never reused. The lower, the fewer share it."""

    IDENTIFIER = 1
    GIVEN_AND_BIRTH = 2
    FAMILY_AND_BIRTH = 3
    NAME_AND_YEAR = 4
    PHONE = 5
    NAME = 6


@dataclass(frozen=True, slots=True)
class Identifier:
    """A number that somebody issued, by the platform's spelling of its system."""

    system: str
    value: str


@dataclass(frozen=True, slots=True)
class FiledName:
    """A name as the form has it."""

    language: str
    prefix: str
    given: str
    family: str


@dataclass(frozen=True, slots=True)
class Filed:
    """What an organisation filed of a person, before it was checked."""

    organization_id: str
    local_number: str
    # As the sender claims; empty is usual.
    registration_id: str
    identifiers: tuple[Identifier, ...]
    names: tuple[FiledName, ...]
    sex: int
    birth_date: str
    place_code: str
    phone: str
    nationality: str
    death_date: str


@dataclass(frozen=True, slots=True)
class Features:
    """What is compared: names folded and without titles, placeholders empty. Empty is unknown."""

    given: str = ""
    family: str = ""
    given_roman: str = ""
    family_roman: str = ""
    # YYYY, YYYY-MM or YYYY-MM-DD, C.E.
    birth_date: str = ""
    sex: int = Sex.UNSPECIFIED
    place_code: str = ""
    # The last nine digits: +66 and the trunk 0 are one country's habit of writing.
    phone: str = ""
    nationality: str = ""
    identifiers: tuple[Identifier, ...] = ()


Key = tuple[int, int]
"""(KeyKind, 64-bit hash): what is looked up to find candidates."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """Who is searched: all keys and registrations must be found; empty text asks for nothing."""

    keys: tuple[Key, ...] = ()
    registration_ids: tuple[str, ...] = ()
    given: str = ""
    family: str = ""
    birth_date: str = ""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A registration that was checked and is ready to be placed."""

    registration_id: str
    organization_id: str
    local_number: str
    # The normalised registration as bytes: equal bytes are equal content.
    content: bytes
    features: Features
    keys: tuple[Key, ...]
    # When the source wrote it; never later than when it came, which stands for it where the source does not say.
    written_at: datetime
    is_dated: bool


@dataclass(frozen=True, slots=True)
class Held:
    """A registration as the index holds it."""

    registration_id: str
    organization_id: str
    local_number: str
    person_id: str
    version: int
    content: bytes
    features: Features
    # Empty where there is no account number, or none that is sound.
    citizen_key: str
    written_at: datetime
    decision_id: str
    recorded_at: datetime


Shares = Mapping[str, float]
"""`given_name|<folded name>` → the share of registrations that bear it, for names borne by many."""


@dataclass(frozen=True, slots=True)
class FieldWeight:
    """What one field says for (positive) or against, in bits."""

    field: str
    level: str
    weight: float


@dataclass(frozen=True, slots=True)
class Match:
    """What the rules and the model say about two registrations."""

    registration_id: str
    grade: Grade
    # Sum of the fields' weights and the prior, in bits.
    weight: float
    probability: float
    fields: tuple[FieldWeight, ...]
    # The deterministic rule that decided; empty where the model did.
    rule: str
    # The model that weighed.
    weighed_by: str = "fs-1"

    @property
    def model(self) -> str:
        """Which rules or model decided."""
        return RULES if self.rule else self.weighed_by


RULES = "rules-1"
MODEL = "fs-1"
# Who decided, where nobody but the index did.
INDEX = "index"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about a registration. Never overwritten."""

    decision_id: str
    kind: DecisionKind
    registration_id: str
    previous_person_id: str
    person_id: str
    decided_by: str
    recorded_at: datetime
    reason: str = ""
    model: str = ""
    weight: float = 0.0
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Move:
    """A registration that changes person."""

    registration_id: str
    organization_id: str
    previous_person_id: str
    person_id: str


@dataclass(frozen=True, slots=True)
class Review:
    """Two registrations of which somebody should say whether they are one person."""

    registration_id: str
    match: Match


Pair = tuple[str, str]
"""Two registrations, the lower id first."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a reviewer said of a pair."""

    reviewer: str
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A pair that waits for review, and how far it is."""

    pair: Pair
    match: Match
    priority: float
    # Empty where nobody works on it.
    assigned_to: str
    assigned_until: datetime | None
    # Since it was asked last: what was said of older content does not count.
    judgements: tuple[Judgement, ...] = ()


@dataclass(frozen=True, slots=True)
class Settled:
    """What a verdict does to a review."""

    judgement: Judgement
    priority: float
    is_closed: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair of the sample with what reviewers said of it, in their order."""

    is_linked: bool
    # Dimension → stratum.
    strata: Mapping[str, str]
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A pair that the lot put into the sample."""

    pair: Pair
    is_linked: bool
    strata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a decision needs to see, and what it locks so that nobody changes it meanwhile."""

    registration_ids: frozenset[str] = frozenset()
    person_ids: frozenset[str] = frozenset()
    keys: frozenset[Key] = frozenset()
    # Registrations that may be changed, and keys that another of the same person would lock too.
    locks: frozenset[str] = frozenset()
    # Registrations of which all decisions are read.
    histories: frozenset[str] = frozenset()
    # Decisions that are read.
    decision_ids: frozenset[str] = frozenset()
    # Pairs of which the open review is read, and held.
    reviewed: frozenset[Pair] = frozenset()
    # Persons of whom it is asked into whom they were merged.
    merged_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the scope of a transaction holds: candidates, and everybody who shares a person with one."""

    held: dict[str, Held]
    # Key → who is found under it, for every key of the scope.
    blocks: dict[Key, set[str]]
    # Keys of blocks too large to load; nothing is known of their members.
    cut: set[Key] = field(default_factory=set)
    # Pairs that were unlinked, from both sides.
    apart: dict[str, set[str]] = field(default_factory=dict)
    # Pairs about which something is ordained, from both sides.
    overrides: dict[str, dict[str, Override]] = field(default_factory=dict)
    # Registration → its decisions, oldest first.
    histories: dict[str, list[Decision]] = field(default_factory=dict)
    # Decision → what it says of each registration.
    decisions: dict[str, list[Decision]] = field(default_factory=dict)
    # Person → the person that it was merged into, where it was.
    merged: dict[str, str] = field(default_factory=dict)
    # Pair → its open review, where there is one.
    asked: dict[Pair, Asked] = field(default_factory=dict)
    # What it was loaded for; None where all there is was loaded.
    scope: Scope | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What a transaction writes."""

    new: Sequence[Held]
    old: Sequence[Held]
    # What contents were replaced.
    superseded: Sequence[Held]
    # The same content, written later: only the moment is kept.
    rewritten: Mapping[str, datetime]
    keys_made: Sequence[tuple[Key, str]]
    keys_gone: Sequence[tuple[Key, str]]
    decisions: Sequence[Decision]
    # Pair → the decision that parted it.
    held_apart: Mapping[Pair, str]
    rejoined: Sequence[Pair]
    # Pair → what is ordained from now on, and by which decision.
    overrides: Mapping[Pair, tuple[Override, str]]
    # Registrations whose open reviews may be settled by what was decided.
    moved: Sequence[str]
    reviews: Mapping[Pair, Review]
    # Reviews to which a verdict was added.
    settled: Mapping[Pair, Settled]


@dataclass(frozen=True, slots=True)
class Placement:
    """What became of one registration that was sent."""

    held: Held
    outcome: Outcome
    # Whom it was matched to, best first.
    matches: tuple[Match, ...] = ()
