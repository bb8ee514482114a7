"""The nouns of surveillance: diseases, findings, cases, alerts."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum

# Three-valued facts of a person that the platform may not know.
AGE_UNKNOWN = -1


class Status(IntEnum):
    """How sure a case is; numbered as `CaseStatus` on the wire."""

    SUSPECTED = 1
    CONFIRMED = 2
    # The diagnosis was refuted, changed, deleted, or filed in error.
    DISCARDED = 3


class Role(IntEnum):
    """What a finding is within its episode."""

    # The first of the episode: the case that the country counts and lists.
    COUNTED = 1
    # The first of its organisation in an episode that another organisation's finding stands for.
    FIRST_OF_ORGANIZATION = 2
    # A later finding of the same organisation.
    REPEAT = 3


@dataclass(frozen=True, slots=True)
class Disease:
    """A disease that must be reported."""

    code: str
    name: str
    name_th: str
    # ICD-10 codes or prefixes, without a dot.
    icd10: tuple[str, ...]
    # Findings of one person within so many days of the first are one episode.
    episode_days: int
    # A week alarms with at least so many cases.
    alert_from: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A diagnosis as records announced it, read but not yet judged."""

    diagnosis_id: str
    version: int
    registration_id: str
    organization_id: str
    # ICD-10, upper case, without dots.
    codes: tuple[str, ...]
    # The day in Bangkok; None where it is not stated to the day.
    onset_on: date | None
    diagnosed_at: datetime | None
    # FHIR verificationStatus; empty when not stated.
    verification: str
    # Two, four or six digits; empty when not stated.
    place_code: str
    is_deleted: bool
    # When the platform learned of it.
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Finding:
    """A diagnosis that speaks of one reportable disease: what an episode is made of."""

    case_id: str
    diagnosis_id: str
    disease_code: str
    registration_id: str
    organization_id: str
    icd10: str
    onset_on: date
    diagnosed_at: datetime
    # As filed; empty where the home's place is to be taken.
    stated_place: str
    stated_status: Status
    fact_version: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Placement:
    """Whom a registration stands for, and what cases are counted by."""

    registration_id: str
    person_id: str
    place_code: str
    birth_date: date | None
    sex: int
    nationality: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What a finding comes to, judged together with the person's others."""

    role: Role
    status: Status
    # The finding that the country counts for this episode; itself where that is this one.
    head_case_id: str
    person_id: str
    place_code: str
    age_years: int
    sex: int
    nationality: str
    # Monday of the ISO week of onset.
    week_on: date


@dataclass(frozen=True, slots=True)
class Case:
    """A finding with its standing, as stored."""

    finding: Finding
    standing: Standing
    version: int


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """A count's place: one disease, one place, one week (its Monday)."""

    disease_code: str
    place_code: str
    week_on: date


@dataclass(frozen=True, slots=True)
class WeekCount:
    """One week of a series, with what the detector makes of it; None where the baseline is too short."""

    week_on: date
    cases: int
    expected: float | None = None
    upper_bound: float | None = None
    # In standard deviations; None also where the baseline does not vary.
    score: float | None = None
    is_alarm: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """A count that stands out."""

    alert_id: str
    cell: Cell
    cases: int
    expected: float
    # 0 where the baseline did not vary, so that no score exists.
    score: float
    detector: str
    recorded_at: datetime
