"""The nouns of claims. Every amount is in satang, a whole number."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum, IntEnum


class Status(IntEnum):
    """Where a claim stands; numbered as `ClaimStatus` on the wire."""

    RECEIVED = 1
    APPROVED = 2
    REJECTED = 3
    SCHEDULED = 4
    PAID = 5
    CANCELLED = 6


class Outcome(IntEnum):
    """What became of a line; numbered as `LineOutcome` on the wire."""

    APPROVED = 1
    REDUCED = 2
    DENIED = 3


class Reason(Enum):
    """Why a line was decided so, in words for both sides of the counter."""

    APPROVED = ("Paid as claimed.", "จ่ายตามที่ขอเบิก")
    ABOVE_TARIFF = (
        "The price is above the tariff; the tariff's price is paid.",
        "ราคาที่ขอเบิกสูงกว่าอัตราที่กำหนด จ่ายตามอัตราที่กำหนด",
    )
    QUANTITY_ABOVE_LIMIT = (
        "More units than the tariff allows in one claim; those above the limit are not paid.",
        "จำนวนเกินกว่าที่กำหนดต่อการเบิกหนึ่งครั้ง ไม่จ่ายส่วนที่เกิน",
    )
    NOT_COVERED = (
        "The scheme's tariff of the day of service has no such item.",
        "ไม่มีรายการนี้ในอัตราค่าบริการของสิทธิ ณ วันที่รับบริการ",
    )
    EXCESS_CHARGED_TO_PERSON = (
        "The charge group marks an amount that the person pays.",
        "หมวดค่ารักษาเป็นส่วนเกินสิทธิที่ผู้รับบริการชำระเอง",
    )
    DUPLICATE = (
        "This was already approved in another claim for the same visit or day.",
        "รายการนี้ได้รับอนุมัติแล้วในการขอเบิกอื่นของการรับบริการครั้งหรือวันเดียวกัน",
    )
    RIGHT_ABSENT = (
        "The person had no right in this scheme on the day of service.",
        "ผู้รับบริการไม่มีสิทธินี้ ณ วันที่รับบริการ",
    )
    VISIT_CANCELLED = (
        "The visit was cancelled or entered in error.",
        "การรับบริการถูกยกเลิกหรือบันทึกผิดพลาด",
    )

    @property
    def message(self) -> str:
        """In English."""
        return self.value[0]

    @property
    def message_th(self) -> str:
        """In Thai."""
        return self.value[1]


class VisitState(IntEnum):
    """What records said of a visit."""

    # It may still take place.
    PLANNED = 1
    # It began, or is over.
    HAPPENED = 2
    # It was cancelled, entered in error, or deleted.
    CANCELLED = 3


@dataclass(frozen=True, slots=True)
class Visit:
    """What records said of an encounter."""

    encounter_id: str
    registration_id: str
    organization_id: str
    state: VisitState
    version: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Whom a registration stands for."""

    registration_id: str
    organization_id: str
    person_id: str
    citizen_key: str
    version: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """A person's right at one scheme; `ends_on` is inclusive, None is open."""

    coverage_id: str
    registration_id: str
    scheme: str
    sub_scheme: str
    card_number: str
    main_organization_id: str
    primary_organization_id: str
    starts_on: date
    ends_on: date | None
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class TariffItem:
    """What a scheme pays for an item in a period; `quantity_limit` 0 is no limit, `ends_on` is inclusive."""

    tariff_item_id: str
    scheme: str
    code: str
    charge_group: str
    name: str
    price: int
    quantity_limit: int
    starts_on: date
    ends_on: date | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided of one line."""

    outcome: Outcome
    approved: int
    reason: Reason
    tariff_item_id: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was done or given, and what was decided of it."""

    number: int
    charge_group: str
    code: str
    description: str
    quantity: int
    unit_price: int
    decision: Decision | None = None

    @property
    def claimed(self) -> int:
        """The amount asked for."""
        return self.quantity * self.unit_price


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A status that a claim came to; the reason names what it waits for or what changed it."""

    status: Status
    occurred_at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a visit's payment is asked for, and what came of it."""

    claim_id: str
    organization_id: str
    invoice_number: str
    registration_id: str
    encounter_id: str
    scheme: str
    service_date: date
    authen_code: str
    diagnoses: tuple[str, ...]
    lines: tuple[Line, ...]
    status: Status
    status_changes: tuple[StatusChange, ...]
    recorded_at: datetime
    version: int
    approved: int = 0
    coverage_id: str = ""
    # Whom the registration stood for when last decided.
    person_id: str = ""

    @property
    def claimed(self) -> int:
        """The amount asked for."""
        return sum(line.claimed for line in self.lines)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the lines, each once."""
        return tuple(dict.fromkeys(line.code for line in self.lines))


@dataclass(frozen=True, slots=True)
class Situation:
    """What the decision of a claim rests on, as known when it is decided."""

    # None where records has announced no such visit of this registration at this organisation.
    visit: VisitState | None
    # Empty where the patient index has not placed the registration yet.
    person_id: str
    # The right of the person in the claim's scheme on the day of service; empty where there is none.
    coverage_id: str
    # Code → the item that holds on the day of service.
    tariff: Mapping[str, TariffItem]
    # Codes approved in other claims of this person, organisation and day.
    taken_codes: frozenset[str] = frozenset()
    # Another claim for the same visit is approved.
    is_visit_claimed: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One side of a ledger transaction; positive is debit, negative credit."""

    transaction_id: str
    account: str
    amount: int
    claim_id: str
    # Which organisation it concerns, and who may see it therefore.
    organization_id: str
    description: str


@dataclass(frozen=True, slots=True)
class PostedEntry:
    """An entry as it stands in the ledger."""

    number: int
    entry: Entry
    recorded_at: datetime
