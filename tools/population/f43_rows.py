"""Writes facts as rows of the 43 files.

A row is a line ready for its member: values in the order of the specification, joined by bars.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Final

from libs.f43.schema import FILES
from libs.thai import places
from libs.thai.dates import BANGKOK
from tools.population import catalog
from tools.population.catalog import Drug
from tools.population.facilities import Facility, Practitioner
from tools.population.facts import Registration, Stay, Visit
from tools.population.people import Household

Line = tuple[str, str]
"""File, and the joined row."""

_SEX: Final = {"male": "1", "female": "2"}
_NAMES: Final = {file: spec.names for file, spec in FILES.items()}
_GROUPER: Final = "6.3.4"
# Charge items of the 43 files: room, drugs, laboratory, procedures, nursing.
ROOM, DRUGS, LABORATORY, PROCEDURES, NURSING = "01", "03", "07", "11", "12"
# Activity of an appointment: to be given drugs.
_APPOINTMENT: Final = "151"
_SATURDAY: Final = 5
_DAYS_OF_UPDATE: Final = timedelta(hours=1)


def baht(satang: int) -> str:
    """The amount with two decimals, as files write it."""
    return f"{satang // 100}.{satang % 100:02d}"


def charges_of_visit(visit: Visit) -> dict[str, int]:
    """Price by charge item of a visit, in satang."""
    charges = {NURSING: catalog.NURSING_PRICE}
    drugs = sum(drug.price * amount for drug, amount in visit.drugs)
    laboratory = sum(result.test.price for result in visit.results)
    if drugs:
        charges[DRUGS] = drugs
    if laboratory:
        charges[LABORATORY] = laboratory
    if visit.procedure:
        charges[PROCEDURES] = catalog.PROCEDURE_PRICE
    return dict(sorted(charges.items()))


def charges_of_stay(stay: Stay) -> dict[str, int]:
    """Price by charge item of a stay, in satang."""
    charges = {
        ROOM: catalog.ROOM_PRICE * stay.days,
        DRUGS: sum(drug.price * amount for drug, amount in (*stay.drugs, *stay.home_drugs)),
        NURSING: catalog.NURSING_PRICE * stay.days * 4,
    }
    if stay.procedure:
        charges[PROCEDURES] = catalog.PROCEDURE_PRICE * 10
    return dict(sorted(charges.items()))


class F43Rows:
    """The rows of one facility's 43 files."""

    def __init__(self, facility: Facility, today: date) -> None:
        """Rows about the facility itself are as of today."""
        self._facility = facility
        self._now = datetime(today.year, today.month, today.day, 11, 0, tzinfo=BANGKOK)
        self._own = {"HOSPCODE": facility.hcode, "HOSPCODE9": facility.hcode9}
        technologists = facility.practitioners_of("medical-technologist")
        self._technologist = technologists[0].provider if technologists else ""
        self._by_provider: Mapping[str, Practitioner] = {one.provider: one for one in facility.practitioners}

    def of_facility(self) -> Iterator[Line]:
        """Yields a PROVIDER row for each practitioner."""
        for one in self._facility.practitioners:
            yield self._line("PROVIDER", self._now, {
                "PROVIDER": one.provider, "REGISTERNO": one.licence, "COUNCIL": one.council, "CID": one.citizen_id,
                "PRENAME": one.prefix, "NAME": one.given_th, "LNAME": one.family_th, "SEX": _SEX[one.sex],
                "BIRTH": _day(one.born), "PROVIDERTYPE": one.provider_type,
                "STARTDATE": _day(one.born + timedelta(days=25 * 366)),
            })  # fmt: skip

    def of_household(self, household: Household, head_pid: str) -> Line:
        """The HOME row."""
        province, district, sub_district = places.split(household.place_code)
        return self._line("HOME", self._now, {
            "HID": f"{household.number:010d}", "HOUSE_ID": household.house_id, "HOUSETYPE": "1",
            "HOUSE": household.house_no, "VILLAGE": household.village, "TAMBON": sub_district, "AMPUR": district,
            "CHANGWAT": province, "LATITUDE": household.latitude, "LONGITUDE": household.longitude, "NFAMILY": "1",
            "LOCATYPE": "2", "HEADID": head_pid, "TOILET": "2", "WATER": "1", "WATERTYPE": "2", "GARBAGE": "5",
            "HOUSING": "1", "DURABILITY": "2", "CLEANLINESS": "1", "VENTILATION": "1", "LIGHT": "1", "WATERTM": "2",
            "MFOOD": "1", "BCONTROL": "1", "ACONTROL": "1", "CHEMICAL": "0",
        })  # fmt: skip

    def of_registration(self, registration: Registration, until: date | None = None) -> Iterator[Line]:
        """Yields every row about a person, those of visits before `until` (all, if None) with them."""
        about = {"PID": registration.pid, "CID": registration.citizen_id}
        yield self._person(registration)
        yield self._card(registration, about)
        if not registration.is_local:
            yield self._address(registration, about)
        for allergy in registration.allergies:
            yield self._line("DRUGALLERGY", registration.registered_at, {
                **about, "DATERECORD": _day(allergy.recorded_on), "DRUGALLERGY": allergy.drug.code,
                "DNAME": allergy.drug.name, "TYPEDX": allergy.certainty, "ALEVEL": allergy.severity,
                "SYMPTOM": allergy.symptom, "INFORMANT": "4", "INFORMHOSP": self._facility.hcode,
                "HOSP9_INFORMHOSP": self._facility.hcode9,
            })  # fmt: skip
        for chronic in registration.chronic:
            yield self._line("CHRONIC", registration.registered_at, {
                **about, "DATE_DIAG": _day(chronic.since), "CHRONIC": chronic.code, "TYPEDISCH": "03",
                "HOSP_DX": self._facility.hcode, "HOSP_RX": self._facility.hcode,
                "HOSP9_DX": self._facility.hcode9, "HOSP9_RX": self._facility.hcode9,
            })  # fmt: skip
        for day, code in registration.earlier_vaccines:
            yield self._line("EPI", registration.registered_at, {
                **about, "DATE_SERV": _day(day), "VACCINETYPE": code, "VACCINEPLACE": self._facility.hcode,
                "VACCINEPLACE9": self._facility.hcode9,
            })  # fmt: skip
        for visit in registration.visits:
            if until is None or visit.at.date() < until:
                yield from self._visit(registration, visit, about)

    def _person(self, registration: Registration) -> Line:
        person = registration.person
        return self._line("PERSON", registration.registered_at, {
            "CID": registration.citizen_id, "PID": registration.pid, "HN": registration.hn,
            "HID": f"{registration.household.number:010d}" if registration.is_local else "",
            "PRENAME": registration.prefix, "NAME": registration.given, "LNAME": registration.family,
            "SEX": _SEX[person.sex], "BIRTH": _day(registration.born), "MSTATUS": person.marital,
            "OCCUPATION_OLD": person.occupation if len(person.occupation) > 1 else "", "RACE": person.nation,
            "NATION": person.nation, "RELIGION": person.religion, "EDUCATION": person.education,
            "FSTATUS": "1" if person.is_head else "2", "FATHER": person.father, "MOTHER": person.mother,
            "COUPLE": person.couple, "DISCHARGE": "9", "ABOGROUP": person.blood, "RHGROUP": "1",
            "LABOR": person.labor, "PASSPORT": person.passport, "TYPEAREA": "1" if registration.is_local else "4",
            "MOBILE": registration.phone,
        })  # fmt: skip

    def _card(self, registration: Registration, about: Mapping[str, str]) -> Line:
        own = registration.is_local
        return self._line("CARD", registration.registered_at, {
            **about, "INSTYPE_NEW": registration.person.instype,
            "INSID": registration.citizen_id or registration.person.passport,
            "STARTDATE": _day(registration.registered_at.date().replace(month=1, day=1)),
            "MAIN": self._facility.hcode if own else "", "SUB": self._facility.hcode if own else "",
            "HOSP9_MAIN": self._facility.hcode9 if own else "", "HOSP9_SUB": self._facility.hcode9 if own else "",
        })  # fmt: skip

    def _address(self, registration: Registration, about: Mapping[str, str]) -> Line:
        household = registration.household
        province, district, sub_district = places.split(household.place_code)
        return self._line("ADDRESS", registration.registered_at, {
            **about, "ADDRESSTYPE": "1", "HOUSE_ID": household.house_id, "HOUSETYPE": "1",
            "HOUSENO": household.house_no, "VILLAGE": household.village, "TAMBON": sub_district, "AMPUR": district,
            "CHANGWAT": province,
        })  # fmt: skip

    def _visit(self, registration: Registration, visit: Visit, about: Mapping[str, str]) -> Iterator[Line]:
        day = _day(visit.at.date())
        served = {**about, "SEQ": visit.seq, "DATE_SERV": day}
        updated = visit.at + _DAYS_OF_UPDATE
        instype = registration.person.instype
        charges = charges_of_visit(visit)
        yield self._service(registration, visit, served, updated, sum(charges.values()))
        at_clinic = {**served, "CLINIC": visit.clinic}
        for code, kind in visit.diagnoses:
            values = {**at_clinic, "DIAGTYPE": kind, "DIAGCODE": code, "PROVIDER": visit.provider}
            yield self._line("DIAGNOSIS_OPD", updated, values)
        for drug, amount in visit.drugs:
            values = {**at_clinic, **_drug(drug, amount), "PROVIDER": visit.provider}
            yield self._line("DRUG_OPD", updated, values)
        if visit.procedure:
            yield self._line("PROCEDURE_OPD", updated, {
                **at_clinic, "PROCEDCODE": visit.procedure, "SERVICEPRICE": baht(catalog.PROCEDURE_PRICE),
                "PROVIDER": visit.provider,
            })  # fmt: skip
        for item, price in charges.items():
            yield self._line("CHARGE_OPD", updated, {**at_clinic, **_charge(item, price, instype)})
        for result in visit.results:
            yield self._line("LABFU", updated, {
                **served, "LABTEST": result.test.code, "LABRESULT": result.value, "LABPLACE": self._facility.hcode,
                "PROVIDER": self._technologist,
            })  # fmt: skip
        for code in visit.vaccines:
            yield self._line("EPI", updated, {
                **served, "VACCINETYPE": code, "VACCINEPLACE": self._facility.hcode,
                "VACCINEPLACE9": self._facility.hcode9, "PROVIDER": visit.nurse,
            })  # fmt: skip
        yield from self._programmes(visit, served, updated)
        if visit.code506:
            yield self._surveillance(registration, visit, served, updated)
        if visit.stay is not None:
            yield from self._stay(registration, visit, visit.stay, about)

    def _service(
        self, registration: Registration, visit: Visit, served: Mapping[str, str], updated: datetime, price: int
    ) -> Line:
        is_office_hours = visit.at.weekday() < _SATURDAY
        return self._line("SERVICE", updated, {
            **served, "HN": registration.hn, "TIME_SERV": f"{visit.at:%H%M%S}",
            "LOCATION": "1" if registration.is_local else "2", "INTIME": "1" if is_office_hours else "2",
            "INSTYPE": registration.person.instype, "INSID": registration.citizen_id, "MAIN": self._facility.hcode,
            "HSUB": self._facility.hcode, "HOSP9_MAIN": self._facility.hcode9, "HOSP9_SUB": self._facility.hcode9,
            "TYPEIN": "2" if visit.is_appointed else "1", "CHIEFCOMP": visit.complaint, "SERVPLACE": "1",
            "BTEMP": f"{visit.temperature:.1f}", "SBP": str(visit.systolic), "DBP": str(visit.diastolic),
            "PR": str(visit.pulse), "RR": str(visit.breaths), "TYPEOUT": "2" if visit.stay else "1",
            "COST": baht(price * 7 // 10), "PRICE": baht(price), "PAYPRICE": "0.00", "ACTUALPAY": "0.00",
        })  # fmt: skip

    def _programmes(self, visit: Visit, served: Mapping[str, str], updated: datetime) -> Iterator[Line]:
        body = {"WEIGHT": f"{visit.weight:.1f}", "HEIGHT": str(visit.height), "WAIST_CM": str(int(visit.weight * 1.25))}
        if visit.is_chronic_care:
            yield self._line("CHRONICFU", updated, {
                **served, **body, "SBP": str(visit.systolic), "DBP": str(visit.diastolic), "FOOT": "1", "RETINA": "1",
                "CHRONICFUPLACE": self._facility.hcode, "PROVIDER": visit.provider,
            })  # fmt: skip
        if visit.is_screening:
            yield self._line("NCDSCREEN", updated, {
                **served, **body, "SERVPLACE": "1", "SMOKE": "1", "ALCOHOL": "1", "DMFAMILY": "2", "HTFAMILY": "2",
                "SBP_1": str(visit.systolic), "DBP_1": str(visit.diastolic), "BSLEVEL": visit.results[0].value,
                "BSTEST": "1", "SCREENPLACE": self._facility.hcode, "SCREENPLACE9": self._facility.hcode9,
                "PROVIDER": visit.provider,
            })  # fmt: skip
        if visit.next_visit:
            yield self._line("APPOINTMENT", updated, {
                **served, "CLINIC": visit.clinic, "APDATE": _day(visit.next_visit), "APTYPE": _APPOINTMENT,
                "APDIAG": visit.diagnoses[0][0], "PROVIDER": visit.provider,
            })  # fmt: skip

    def _surveillance(
        self, registration: Registration, visit: Visit, served: Mapping[str, str], updated: datetime
    ) -> Line:
        household = registration.household
        province, district, sub_district = places.split(household.place_code)
        stay = visit.stay
        return self._line("SURVEILLANCE", updated, {
            **served, "AN": stay.an if stay else "", "DATETIME_ADMIT": _moment(stay.admitted_at) if stay else "",
            "DIAGCODE": visit.diagnoses[0][0], "CODE506": visit.code506,
            "ILLDATE": _day(visit.ill_since or visit.at.date()), "ILLHOUSE": household.house_no,
            "ILLVILLAGE": household.village, "ILLTAMBON": sub_district, "ILLAMPUR": district,
            "ILLCHANGWAT": province, "LATITUDE": household.latitude, "LONGITUDE": household.longitude,
            "PTSTATUS": "3", "PROVIDER": visit.provider,
        })  # fmt: skip

    def _stay(self, registration: Registration, visit: Visit, stay: Stay, about: Mapping[str, str]) -> Iterator[Line]:
        instype = registration.person.instype
        updated = stay.discharged_at + _DAYS_OF_UPDATE
        in_bed = {**about, "AN": stay.an, "DATETIME_ADMIT": _moment(stay.admitted_at)}
        charges = charges_of_stay(stay)
        price = sum(charges.values())
        yield self._line("ADMISSION", updated, {
            **in_bed, "SEQ": visit.seq, "WARDADMIT": stay.ward, "INSTYPE": instype, "TYPEIN": "1",
            "ADMITWEIGHT": f"{visit.weight:.1f}", "ADMITHEIGHT": str(visit.height),
            "DATETIME_DISCH": _moment(stay.discharged_at), "WARDDISCH": stay.ward, "DISCHSTATUS": "2", "DISCHTYPE": "1",
            "COST": baht(price * 7 // 10), "PRICE": baht(price), "PAYPRICE": "0.00", "ACTUALPAY": "0",
            "PROVIDER": stay.provider, "DRG": stay.drg, "RW": f"{stay.relative_weight:.4f}",
            "ADJRW": f"{stay.relative_weight:.4f}", "ERROR": "0", "WARNING": "0", "ACTLOS": str(stay.days),
            "GROUPER_VERSION": _GROUPER,
        })  # fmt: skip
        for code, kind in stay.diagnoses:
            values = {**in_bed, "WARDDIAG": stay.ward, "DIAGTYPE": kind, "DIAGCODE": code, "PROVIDER": stay.provider}
            yield self._line("DIAGNOSIS_IPD", updated, values)
        on_ward = {**in_bed, "WARDSTAY": stay.ward}
        for kind, drugs in (("1", stay.drugs), ("2", stay.home_drugs)):
            for drug, amount in drugs:
                yield self._line("DRUG_IPD", updated, {
                    **on_ward, **_drug(drug, amount), "TYPEDRUG": kind,
                    "DATESTART": _day(stay.admitted_at.date() if kind == "1" else stay.discharged_at.date()),
                    "DATEFINISH": _day(stay.discharged_at.date()) if kind == "1" else "", "PROVIDER": stay.provider,
                })  # fmt: skip
        if stay.procedure:
            began = stay.admitted_at + timedelta(hours=3)
            yield self._line("PROCEDURE_IPD", updated, {
                **on_ward, "PROCEDCODE": stay.procedure, "TIMESTART": _moment(began),
                "TIMEFINISH": _moment(began + timedelta(hours=1)),
                "SERVICEPRICE": baht(catalog.PROCEDURE_PRICE * 10), "PROVIDER": stay.provider,
            })  # fmt: skip
        for item, amount in charges.items():
            yield self._line("CHARGE_IPD", updated, {**on_ward, **_charge(item, amount, instype)})

    def _line(self, file: str, updated: datetime, values: Mapping[str, str]) -> Line:
        full = {"D_UPDATE": _moment(updated), **self._own, **values}
        value = full.get
        return file, "|".join([value(name, "") for name in _NAMES[file]])


def _drug(drug: Drug, amount: int) -> dict[str, str]:
    return {
        "DIDSTD": drug.code, "DNAME": drug.name, "AMOUNT": str(amount), "DRUGPRICE": baht(drug.price),
        "DRUGCOST": baht(drug.cost),
    }  # fmt: skip


def _charge(item: str, price: int, instype: str) -> dict[str, str]:
    return {
        "CHARGEITEM": item, "CHARGELIST": "000000", "QUANTITY": "1", "INSTYPE": instype, "COST": baht(price * 7 // 10),
        "PRICE": baht(price), "PAYPRICE": "0.00",
    }  # fmt: skip


def _day(day: date) -> str:
    return f"{day.year:04d}{day.month:02d}{day.day:02d}"


def _moment(moment: datetime) -> str:
    return f"{moment.year:04d}{moment.month:02d}{moment.day:02d}{moment.hour:02d}{moment.minute:02d}{moment.second:02d}"
