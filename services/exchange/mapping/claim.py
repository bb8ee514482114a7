"""The 16 claim files: the rows of one visit become one claim.

Lines come from DRU (drugs) and ADP (items with a price of their own). CHA tells the total of each charge group: a group of
which no item is told becomes one line, under the group's own code; a group whose items are told is the sum of them, and
would count twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from nhip.claims.v1 import resources_pb2

from libs.thai.dates import DateError, parse_f43_date
from services.exchange.mapping.pieces import stay_id, visit_id

# What is read of each file, in the order in which rows are held. The first ones are required in its header.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "INS": ("HN", "INSCL", "AN", "SEQ", "PERMITNO"),
    "OPD": ("HN", "SEQ", "DATEOPD"),
    "ODX": ("SEQ", "DIAG", "DXTYPE"),
    "IPD": ("HN", "AN", "DATEADM", "DATEDSC"),
    "IDX": ("AN", "DIAG", "DXTYPE"),
    "CHT": ("HN", "AN", "SEQ", "TOTAL", "INVOICE_NO"),
    "CHA": ("HN", "AN", "SEQ", "CHRGITEM", "AMOUNT"),
    "ADP": ("HN", "AN", "SEQ", "TYPE", "CODE", "QTY", "RATE", "TOTAL"),
    "DRU": ("HN", "AN", "SEQ", "DID", "AMOUNT", "DRUGPRICE", "DIDSTD", "DIDNAME", "TOTAL", "USE_STATUS"),
}
# Columns that older or other writers leave out.
OPTIONAL = frozenset({"PERMITNO", "INVOICE_NO", "TOTAL", "DIDSTD", "DIDNAME", "USE_STATUS"})
NOTES: Mapping[str, str] = {
    "PAT": "people come with the 43 files; the hospital number finds them",
    "ORF": "referrals come with the 43 files",
    "IRF": "referrals come with the 43 files",
    "OOP": "procedures are paid by their items in ADP and CHA",
    "IOP": "procedures are paid by their items in ADP and CHA",
    "AER": "the platform keeps no facts of this file yet",
    "LVD": "the platform keeps no facts of this file yet",
    "LABFU": "laboratory results come with the 43 files",
}
FILES: tuple[str, ...] = (*COLUMNS, *NOTES)

# ADP.TYPE to the charge group that pays it; what has none of its own is "not yet grouped".
_GROUPS = {
    "2": "21",
    "4": "I1",
    "9": "91",
    "10": "11",
    "11": "51",
    "12": "D1",
    "13": "F1",
    "14": "61",
    "15": "71",
    "16": "81",
    "17": "C1",
    "18": "A1",
    "19": "B1",
    "20": "E1",
}
_UNGROUPED = "J1"
_IN_HOSPITAL, _TO_TAKE_HOME = "31", "41"
_USED_IN_HOSPITAL = "1"
_PRINCIPAL = "1"
_MOST_UNITS = 100_000
_CODE_WIDTH = 32
_TEXT_WIDTH = 255
_SATANG = 100

Record = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A row of a claim file: which, where, and its values by column."""

    file: str
    position: int
    line: int
    values: Record


class ClaimError(ValueError):
    """A visit cannot be claimed. Names the row and column that are at fault; the message holds no value."""

    def __init__(self, row: ClaimRow, column: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.row = row
        self.column = column
        self.reason = reason


def visit_of(values: Record) -> str:
    """The visit that a row belongs to: an admission by AN, else a visit by SEQ; empty where it names neither."""
    if values.get("AN"):
        return f"AN/{values['AN']}"
    return f"SEQ/{values['SEQ']}" if values.get("SEQ") else ""


def hospital_number(rows: Sequence[ClaimRow]) -> str:
    """The HN of a visit's rows."""
    return next((row.values["HN"] for row in rows if row.values.get("HN")), "")


def claim_of(organization_id: str, visit: str, rows: Sequence[ClaimRow], registration_id: str) -> resources_pb2.Claim:
    """The claim of a visit.

    Raises ClaimError: VISIT_UNKNOWN, RIGHT_MISSING, SCHEME_UNKNOWN, DIAGNOSIS_MISSING, DIAGNOSIS_FORMAT, LINES_MISSING,
    CODE_MISSING, CHARGE_GROUP_UNKNOWN, NUMBER_FORMAT, and those of a date.
    """
    by_file: dict[str, list[ClaimRow]] = {}
    for row in rows:
        by_file.setdefault(row.file, []).append(row)
    kind, _, number = visit.partition("/")
    is_stay = kind == "AN"
    main = _only(
        by_file.get("IPD" if is_stay else "OPD"), rows[0], "VISIT_UNKNOWN", "no row of OPD or IPD tells of the visit"
    )
    right = _only(by_file.get("INS"), main, "RIGHT_MISSING", "no row of INS tells by which right the visit is claimed")
    scheme = right.values["INSCL"].upper()
    if not (scheme.isascii() and scheme.isalpha() and 2 <= len(scheme) <= 4):  # noqa: PLR2004 as the contract has it
        raise ClaimError(right, "INSCL", "SCHEME_UNKNOWN", "a scheme is two to four letters")
    invoice = next((row.values["INVOICE_NO"] for row in by_file.get("CHT", ()) if row.values["INVOICE_NO"]), "")
    claim = resources_pb2.Claim(
        invoice_number=invoice or number,
        organization_id=organization_id,
        registration_id=registration_id,
        encounter_id=stay_id(organization_id, number) if is_stay else visit_id(organization_id, number),
        scheme=scheme,
        service_date=_day(main, "DATEADM" if is_stay else "DATEOPD"),
        authen_code=right.values["PERMITNO"],
        diagnoses=_diagnoses(by_file.get("IDX" if is_stay else "ODX", ()), main),
    )
    lines = [
        *(_drug(row, is_stay=is_stay) for row in by_file.get("DRU", ())),
        *(_item(row) for row in by_file.get("ADP", ())),
    ]
    told = {line.charge_group for line in lines}
    lines.extend(_group(row) for row in by_file.get("CHA", ()) if row.values["CHRGITEM"].upper() not in told)
    lines = [line for line in lines if line.unit_price.satang]
    if not lines:
        raise ClaimError(main, "", "LINES_MISSING", "nothing of DRU, ADP or CHA is charged for the visit")
    for position, line in enumerate(lines, 1):
        line.number = position
    claim.lines.extend(lines)
    return claim


def _only(rows: Sequence[ClaimRow] | None, place: ClaimRow, reason: str, message: str) -> ClaimRow:
    if not rows:
        raise ClaimError(place, "", reason, message)
    return rows[0]


def _diagnoses(rows: Sequence[ClaimRow], main: ClaimRow) -> list[str]:
    """The codes without dots, the principal one first, each once."""
    ordered = sorted(rows, key=lambda row: row.values["DXTYPE"] != _PRINCIPAL)
    codes = []
    for row in ordered:
        code = row.values["DIAG"].upper().replace(".", "")
        if not (code[:1].isalpha() and code[1:3].isdigit() and code.isalnum() and code.isascii() and len(code) <= 7):  # noqa: PLR2004 the width of DIAG
            raise ClaimError(row, "DIAG", "DIAGNOSIS_FORMAT", "a diagnosis is a letter, two digits and up to four more")
        codes.append(code)
    if not codes:
        raise ClaimError(main, "", "DIAGNOSIS_MISSING", "no row of ODX or IDX tells a diagnosis of the visit")
    return list(dict.fromkeys(codes))


def _drug(row: ClaimRow, *, is_stay: bool) -> resources_pb2.ClaimLine:
    values = row.values
    in_hospital = values["USE_STATUS"] == _USED_IN_HOSPITAL if values["USE_STATUS"] else is_stay
    return _line(
        row,
        _IN_HOSPITAL if in_hospital else _TO_TAKE_HOME,
        values["DIDSTD"] or values["DID"],
        values["DIDNAME"],
        amount=("AMOUNT", values["AMOUNT"]),
        price=("DRUGPRICE", values["DRUGPRICE"]),
        total=values["TOTAL"],
    )


def _item(row: ClaimRow) -> resources_pb2.ClaimLine:
    values = row.values
    group = _GROUPS.get(values["TYPE"].lstrip("0"), _UNGROUPED)
    amount, price = ("QTY", values["QTY"] or "1"), ("RATE", values["RATE"])
    return _line(row, group, values["CODE"], "", amount=amount, price=price, total=values["TOTAL"])


def _group(row: ClaimRow) -> resources_pb2.ClaimLine:
    group = row.values["CHRGITEM"].upper()
    if len(group) != 2 or group[1] not in "12" or group[0] not in "0123456789ABCDEFGHIJK":  # noqa: PLR2004 CHRGITEM
        raise ClaimError(row, "CHRGITEM", "CHARGE_GROUP_UNKNOWN", "a charge group is a digit or letter, and 1 or 2")
    return _line(row, group, group, "", amount=("", "1"), price=("AMOUNT", row.values["AMOUNT"]), total="")


def _line(
    row: ClaimRow, group: str, code: str, text: str, *, amount: tuple[str, str], price: tuple[str, str], total: str
) -> resources_pb2.ClaimLine:
    if not code:
        raise ClaimError(row, "", "CODE_MISSING", "the item has no code")
    units, each = _number(row, *amount), _number(row, *price)
    if units != units.to_integral_value() or not 1 <= units <= _MOST_UNITS:
        # Half a bottle: the line is the whole, at what it costs.
        each, units = (_number(row, "TOTAL", total) if total else each * units), Decimal(1)
    line = resources_pb2.ClaimLine(
        charge_group=group, code=code[:_CODE_WIDTH], description=text[:_TEXT_WIDTH], quantity=int(units)
    )
    line.unit_price.satang = int((each * _SATANG).to_integral_value())
    return line


def _number(row: ClaimRow, column: str, value: str) -> Decimal:
    try:
        number = Decimal(value or "0")
    except InvalidOperation:
        raise ClaimError(row, column, "NUMBER_FORMAT", "the value is no number") from None
    if not number.is_finite() or not 0 <= number < 10**9:
        raise ClaimError(row, column, "NUMBER_FORMAT", "the value is no amount")
    return number


def _day(row: ClaimRow, column: str) -> str:
    try:
        return parse_f43_date(row.values[column][:8]).isoformat()
    except DateError as error:
        raise ClaimError(row, column, error.reason, str(error)) from None
