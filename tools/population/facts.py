"""What happened to a person at a facility, before it is written in anybody's form."""

from dataclasses import dataclass, field
from datetime import date, datetime

from tools.population.catalog import Drug
from tools.population.catalog import Test as LabTest
from tools.population.people import Household, Person


@dataclass(frozen=True, slots=True)
class Allergy:
    """A drug that a person does not bear, as recorded on a day. Codes of DRUGALLERGY."""

    drug: Drug
    recorded_on: date
    certainty: str
    severity: str
    symptom: str


@dataclass(frozen=True, slots=True)
class Chronic:
    """A disease that stays, and since when."""

    code: str
    since: date


@dataclass(frozen=True, slots=True)
class LabResult:
    """One result; `value` as the laboratory writes it."""

    test: LabTest
    value: str


@dataclass(slots=True)
class Stay:
    """An admission that began with a visit. Diagnoses: (code, type), the principal one first."""

    an: str
    ward: str
    admitted_at: datetime
    discharged_at: datetime
    diagnoses: tuple[tuple[str, str], ...]
    drugs: tuple[tuple[Drug, int], ...]
    home_drugs: tuple[tuple[Drug, int], ...]
    procedure: str
    drg: str
    relative_weight: float
    provider: str

    @property
    def days(self) -> int:
        """Nights in hospital, at least 1."""
        return max(1, (self.discharged_at.date() - self.admitted_at.date()).days)


@dataclass(slots=True)
class Visit:
    """One visit. `seq` is unique at its facility; diagnoses as in `Stay`."""

    seq: str
    at: datetime
    clinic: str
    complaint: str
    temperature: float
    systolic: int
    diastolic: int
    pulse: int
    breaths: int
    weight: float
    height: int
    provider: str
    nurse: str
    diagnoses: tuple[tuple[str, str], ...] = ()
    drugs: tuple[tuple[Drug, int], ...] = ()
    results: tuple[LabResult, ...] = ()
    procedure: str = ""
    vaccines: tuple[str, ...] = ()
    code506: str = ""
    ill_since: date | None = None
    next_visit: date | None = None
    is_appointed: bool = False
    is_chronic_care: bool = False
    is_screening: bool = False
    stay: Stay | None = None


@dataclass(slots=True)
class Registration:
    """A person as one facility knows them: the number it gave, what it wrote down, and all that it did."""

    facility: int
    household: Household
    person: Person
    pid: str
    hn: str
    citizen_id: str
    prefix: str
    given: str
    family: str
    given_en: str
    family_en: str
    born: date
    phone: str
    is_local: bool
    registered_at: datetime
    allergies: list[Allergy] = field(default_factory=list)
    chronic: list[Chronic] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    # Given elsewhere or before: day and code.
    earlier_vaccines: list[tuple[date, str]] = field(default_factory=list)
