"""Writes facts as rows of the sixteen claim files, with the laboratory file that goes along.

Columns in their official order; `|` between fields, dates of the Common Era, diagnoses without dots.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from libs.thai import places
from libs.thai.names import PREFIXES
from tools.population.catalog import Drug
from tools.population.f43_rows import baht, charges_of_stay, charges_of_visit
from tools.population.facilities import Facility, Practitioner
from tools.population.facts import Registration, Stay, Visit
from tools.population.people import OFC, SSS, UCS

FILES: Final[Mapping[str, tuple[str, ...]]] = {
    name: tuple(columns.split())
    for name, columns in {
        "INS": "HN INSCL SUBTYPE CID HCODE DATEEXP HOSPMAIN HOSPSUB GOVCODE GOVNAME PERMITNO DOCNO OWNRPID OWNNAME AN "
        "SEQ SUBINSCL RELINSCL HTYPE",
        "PAT": "HCODE HN CHANGWAT AMPHUR DOB SEX MARRIAGE OCCUPA NATION PERSON_ID NAMEPAT TITLE FNAME LNAME IDTYPE",
        "OPD": "HN CLINIC DATEOPD TIMEOPD SEQ UUC DETAIL BTEMP SBP DBP PR RR OPTYPE TYPEIN TYPEOUT",
        "ORF": "HN DATEOPD CLINIC REFER REFERTYPE SEQ REFERDATE",
        "ODX": "HN DATEDX CLINIC DIAG DXTYPE DRDX PERSON_ID SEQ",
        "OOP": "HN DATEOPD CLINIC OPER DROPID PERSON_ID SEQ SERVPRICE",
        "IPD": "HN AN DATEADM TIMEADM DATEDSC TIMEDSC DISCHS DISCHT WARDDSC DEPT ADM_W UUC SVCTYPE",
        "IRF": "AN REFER REFERTYPE",
        "IDX": "AN DIAG DXTYPE DRDX",
        "IOP": "AN OPER OPTYPE DROPID DATEIN TIMEIN DATEOUT TIMEOUT",
        "CHT": "HN AN DATE TOTAL PAID PTTYPE PERSON_ID SEQ OPD_MEMO INVOICE_NO INVOICE_LT",
        "CHA": "HN AN DATE CHRGITEM AMOUNT PERSON_ID SEQ",
        "AER": "HN AN DATEOPD AUTHAE AEDATE AETIME AETYPE REFER_NO REFMAINI IREFTYPE REFMAINO OREFTYPE UCAE EMTYPE SEQ "
        "AESTATUS DALERT TALERT",
        "ADP": "HN AN DATEOPD TYPE CODE QTY RATE SEQ CAGCODE DOSE CA_TYPE SERIALNO TOTCOPAY USE_STATUS TOTAL QTYDAY "
        "TMLTCODE STATUS1 BI CLINIC ITEMSRC PROVIDER GRAVIDA GA_WEEK DCIP LMP SP_ITEM",
        "LVD": "SEQLVD AN DATEOUT TIMEOUT DATEIN TIMEIN QTYDAY",
        "DRU": "HCODE HN AN CLINIC PERSON_ID DATE_SERV DID DIDNAME AMOUNT DRUGPRICE DRUGCOST DIDSTD UNIT UNIT_PACK SEQ "
        "DRUGREMARK PA_NO TOTCOPAY USE_STATUS TOTAL SIGCODE SIGTEXT PROVIDER SP_ITEM",
        "LABFU": "HCODE HN PERSON_ID DATESERV SEQ LABTEST LABRESULT",
    }.items()
}
"""The files and their columns, in order."""

Line = tuple[str, str]

_CLAIMABLE: Final = frozenset({UCS, OFC, SSS})
_SEX: Final = {"male": "1", "female": "2"}
# Charge item of the 43 files to charge group of the claim files; the 1 behind says that the scheme pays.
CHARGE_GROUPS: Final = {"01": "11", "03": "41", "07": "71", "11": "B1", "12": "C1"}
_GROUP_ON_WARD: Final = {**CHARGE_GROUPS, "03": "31"}


class F16Rows:
    """The rows of one hospital's claim files."""

    def __init__(self, facility: Facility) -> None:
        """`facility` is the hospital that claims."""
        self._facility = facility
        self._by_provider: Mapping[str, Practitioner] = {one.provider: one for one in facility.practitioners}

    def of_registration(self, registration: Registration, visits: list[Visit]) -> Iterator[Line]:
        """Yields the claim rows of those visits; none without a citizen id or a right that a scheme pays."""
        if registration.person.scheme not in _CLAIMABLE or not registration.citizen_id or not visits:
            return
        yield self._patient(registration)
        for visit in visits:
            yield from self._visit(registration, visit)
            if visit.stay is not None:
                yield from self._stay(registration, visit.stay)

    def _patient(self, registration: Registration) -> Line:
        person = registration.person
        title = PREFIXES[registration.prefix].full
        province, district, _ = places.split(registration.household.place_code)
        return _line("PAT", {
            "HCODE": self._facility.hcode, "HN": registration.hn, "CHANGWAT": province, "AMPHUR": district,
            "DOB": f"{registration.born:%Y%m%d}", "SEX": _SEX[person.sex], "MARRIAGE": person.marital,
            "OCCUPA": person.occupation, "NATION": person.nation, "PERSON_ID": registration.citizen_id,
            "NAMEPAT": f"{registration.given}  {registration.family} ,{title}"[:36], "TITLE": title,
            "FNAME": registration.given, "LNAME": registration.family, "IDTYPE": "1",
        })  # fmt: skip

    def _right(self, registration: Registration, *, seq: str, an: str) -> Line:
        person = registration.person
        return _line("INS", {
            "HN": registration.hn, "INSCL": person.scheme, "SUBTYPE": person.sub_scheme,
            "CID": registration.citizen_id, "HCODE": self._facility.hcode, "HOSPMAIN": self._facility.hcode,
            "HOSPSUB": self._facility.hcode, "PERMITNO": f"PP{int(seq):010d}" if person.scheme == UCS else "",
            "AN": an, "SEQ": "" if an else seq, "SUBINSCL": person.sub_scheme, "HTYPE": "1",
        })  # fmt: skip

    def _visit(self, registration: Registration, visit: Visit) -> Iterator[Line]:
        day = f"{visit.at:%Y%m%d}"
        known = {"HN": registration.hn, "SEQ": visit.seq, "PERSON_ID": registration.citizen_id, "CLINIC": visit.clinic}
        doctor = self._by_provider[visit.provider].licence
        yield self._right(registration, seq=visit.seq, an="")
        yield _line("OPD", {
            **known, "DATEOPD": day, "TIMEOPD": f"{visit.at:%H%M}", "UUC": "1", "DETAIL": visit.complaint,
            "BTEMP": f"{visit.temperature:.1f}", "SBP": str(visit.systolic), "DBP": str(visit.diastolic),
            "PR": str(visit.pulse), "RR": str(visit.breaths), "OPTYPE": "5",
            "TYPEIN": "2" if visit.is_appointed else "1", "TYPEOUT": "2" if visit.stay else "1",
        })  # fmt: skip
        for code, kind in visit.diagnoses:
            yield _line("ODX", {**known, "DATEDX": day, "DIAG": code, "DXTYPE": kind, "DRDX": doctor})
        charges = charges_of_visit(visit)
        if visit.procedure:
            yield _line("OOP", {
                **known, "DATEOPD": day, "OPER": visit.procedure, "DROPID": doctor, "SERVPRICE": baht(charges["11"]),
            })  # fmt: skip
        yield from _charges(known | {"DATE": day}, charges, CHARGE_GROUPS, f"OP{visit.seq}")
        for drug, amount in visit.drugs:
            yield self._drug(known | {"DATE_SERV": day}, drug, amount, "2", doctor)
        for result in visit.results:
            yield _line("LABFU", {
                **known, "HCODE": self._facility.hcode, "DATESERV": day, "LABTEST": result.test.code,
                "LABRESULT": result.value,
            })  # fmt: skip

    def _stay(self, registration: Registration, stay: Stay) -> Iterator[Line]:
        day = f"{stay.discharged_at:%Y%m%d}"
        known = {"HN": registration.hn, "AN": stay.an, "PERSON_ID": registration.citizen_id, "CLINIC": stay.ward}
        doctor = self._by_provider[stay.provider].licence
        yield self._right(registration, seq="0", an=stay.an)
        yield _line("IPD", {
            **known, "DATEADM": f"{stay.admitted_at:%Y%m%d}", "TIMEADM": f"{stay.admitted_at:%H%M}", "DATEDSC": day,
            "TIMEDSC": f"{stay.discharged_at:%H%M}", "DISCHS": "2", "DISCHT": "1", "WARDDSC": stay.ward[:4],
            "DEPT": stay.ward[1:3], "UUC": "1", "SVCTYPE": "I",
        })  # fmt: skip
        for code, kind in stay.diagnoses:
            yield _line("IDX", {**known, "DIAG": code, "DXTYPE": kind, "DRDX": doctor})
        if stay.procedure:
            yield _line("IOP", {
                **known, "OPER": stay.procedure, "OPTYPE": "1", "DROPID": doctor,
                "DATEIN": f"{stay.admitted_at:%Y%m%d}", "TIMEIN": f"{stay.admitted_at:%H%M}",
                "DATEOUT": f"{stay.admitted_at:%Y%m%d}", "TIMEOUT": "2359",
            })  # fmt: skip
        yield from _charges(known | {"DATE": day}, charges_of_stay(stay), _GROUP_ON_WARD, f"IP{stay.an}")
        for use, drugs in (("1", stay.drugs), ("2", stay.home_drugs)):
            for drug, amount in drugs:
                at = known | {"DATE_SERV": day}
                yield self._drug(at, drug, amount, use, doctor)

    def _drug(self, at: Mapping[str, str], drug: Drug, amount: int, use: str, doctor: str) -> Line:
        return _line("DRU", {
            **at, "HCODE": self._facility.hcode, "DID": drug.code[2:10], "DIDNAME": drug.name, "AMOUNT": str(amount),
            "DRUGPRICE": baht(drug.price), "DRUGCOST": baht(drug.cost), "DIDSTD": drug.code, "TOTCOPAY": "0.00",
            "USE_STATUS": use, "TOTAL": baht(drug.price * amount), "PROVIDER": doctor,
        })  # fmt: skip


def _charges(
    known: Mapping[str, str], charges: Mapping[str, int], groups: Mapping[str, str], invoice: str
) -> Iterator[Line]:
    total = {"TOTAL": baht(sum(charges.values())), "PAID": "0.00", "INVOICE_NO": invoice, "INVOICE_LT": invoice}
    yield _line("CHT", {**known, **total})
    for item, amount in charges.items():
        yield _line("CHA", {**known, "CHRGITEM": groups[item], "AMOUNT": baht(amount)})


def _line(file: str, values: Mapping[str, str]) -> Line:
    value = values.get
    return file, "|".join([value(name, "") for name in FILES[file]])
