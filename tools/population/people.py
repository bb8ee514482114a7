"""People and the households they live in, made one household after another.

A household depends on the seed and its number only, so a million people need no more memory than one household.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from libs.thai import dates, places
from tools.population import naming, numbers
from tools.population.draws import Draws, Table
from tools.population.facilities import Facility

# Of all households: in the catchment of hospital A, hospital B, the health centre.
_HOMES: Final = Table((45, 35, 20))
# The first district of a facility has most of its people.
_DISTRICTS: Final = Table((50, 30, 20))
_HEAD_AGES: Final = ((22, 29, 9), (30, 39, 19), (40, 49, 24), (50, 59, 24), (60, 69, 15), (70, 84, 9))
_HEAD_AGE_TABLE: Final = Table([weight for _, _, weight in _HEAD_AGES])
_FOREIGN, _WITHOUT_ID, _TWINS = 0.03, 0.004, 0.012
_NATIONS: Final = ("048", "056", "057")
_NATION_TABLE: Final = Table((70, 12, 18))
_CHILDREN: Final = Table((24, 34, 30, 12))
_MARRIED, _OTHER_PARENT, _ELDER = 0.68, 0.9, 0.32
_GROWN_UP: Final = 15
# A head older than this has no parent left to live with.
_OLDEST_CHILD: Final = 66
_NURSERY, _PRIMARY_SCHOOL, _SECONDARY_SCHOOL, _WORKS_FROM, _RETIRES = 3, 6, 13, 20, 60
# Children older than this live elsewhere.
_LIVES_AT_HOME: Final = 24
# Twelve years and younger: a right of their own within the universal scheme.
_LAST_CHILD_RIGHT: Final = 12
_INSURED_AT_WORK, _IN_PUBLIC_SERVICE = 0.30, 0.08
_YEAR: Final = 365.25
_BLOOD: Final = ("1", "2", "3", "4")
_BLOOD_TABLE: Final = Table((22, 33, 8, 37))
_RELIGIONS: Final = ("01", "02", "03")
_RELIGION_TABLE: Final = Table((93, 5, 2))

UCS, SSS, OFC = "UCS", "SSS", "OFC"


@dataclass(slots=True)
class Person:
    """One person as they are. Codes are those of the 43 files; "" where there is none."""

    number: int
    citizen_id: str
    passport: str
    nation: str
    labor: str
    prefix: str
    given_th: str
    family_th: str
    given_en: str
    family_en: str
    sex: str
    born: date
    phone: str
    marital: str
    occupation: str
    education: str
    religion: str
    blood: str
    scheme: str
    sub_scheme: str
    instype: str
    is_head: bool
    is_twin: bool = False
    father: str = ""
    mother: str = ""
    couple: str = ""

    def age_on(self, day: date) -> int:
        """Full years on that day."""
        return dates.age_on(self.born, day)


@dataclass(slots=True)
class Household:
    """People who live together. `home` counts facilities: 0 hospital A, 1 hospital B, 2 the health centre."""

    number: int
    home: int
    place_code: str
    village: str
    house_no: str
    postcode: str
    latitude: str
    longitude: str
    house_id: str
    members: list[Person] = field(default_factory=list)

    @property
    def district(self) -> str:
        """Code of the district, four digits."""
        return self.place_code[:4]


class PeopleMaker:
    """Makes households. `focus` is the district of the outbreak, where the first household lives."""

    def __init__(self, seed: int, today: date, facilities: Sequence[Facility], focus: str) -> None:
        """Everything that is made depends on these four and on nothing else."""
        self._seed = seed
        self._today = today
        self._facilities = facilities
        self._focus = focus

    def households(self, people: int) -> Iterator[Household]:
        """Yields households with that many people in all; the last may be cut short."""
        made = 0
        number = 0
        while made < people:
            household = self.household(number, made)
            del household.members[people - made :]
            made += len(household.members)
            number += 1
            yield household

    def household(self, number: int, first_person: int) -> Household:
        """The household of that number, its people counted from `first_person` on. Number 0 is the index citizen's."""
        draws = Draws(f"{self._seed}/household/{number}")
        home = draws.position(_HOMES)
        districts = self._facilities[home].districts
        district = districts[min(draws.position(_DISTRICTS), len(districts) - 1)]
        if number == 0:
            home, district = 0, self._focus
        household = self._house(draws, number, home, district)
        maker = _Members(draws, self._seed, self._today, household, first_person)
        if number == 0:
            maker.add_index_family()
        elif draws.chance(_FOREIGN):
            maker.add_foreigners()
        else:
            maker.add_family()
        return household

    def _house(self, draws: Draws, number: int, home: int, district: str) -> Household:
        current = [code for code in places.children(district) if places.require(code).is_current]
        place = places.require(draws.pick(current))
        moo = draws.between(1, 14)
        north = (place.latitude or 15.0) + (draws.fraction() - 0.5) / 50
        east = (place.longitude or 101.0) + (draws.fraction() - 0.5) / 50
        house_no = (
            f"{draws.between(1, 399)}/{draws.between(1, 40)}" if draws.chance(0.4) else str(draws.between(1, 399))
        )
        house_id = f"{place.code[:4]}{number % 10_000_000:07d}"
        return Household(
            number, home, place.code, f"{moo:02d}", house_no, place.postcode, f"{north:.6f}", f"{east:.6f}", house_id
        )


class _Members:
    """Adds people to one household."""

    def __init__(self, draws: Draws, seed: int, today: date, household: Household, first_person: int) -> None:
        self._draws = draws
        self._seed = seed
        self._today = today
        self._household = household
        self._next = first_person

    def add_family(self) -> None:
        """A head, perhaps a spouse, their children, perhaps a parent of one of them."""
        draws = self._draws
        family = naming.family_name(draws)
        low, high, _ = _HEAD_AGES[draws.position(_HEAD_AGE_TABLE)]
        age = draws.between(low, high)
        head = self._adult("male" if draws.chance(0.6) else "female", age, family, is_head=True)
        spouse = None
        if draws.chance(_MARRIED):
            spouse_age = max(20, age + draws.between(-6, 4))
            spouse_family = family if draws.chance(0.7) else naming.family_name(draws)
            spouse = self._adult("female" if head.sex == "male" else "male", spouse_age, spouse_family, is_head=False)
            _marry(head, spouse)
        self._add_children(family, head, spouse)
        if age < _OLDEST_CHILD and draws.chance(_ELDER):
            elder_age = min(99, age + draws.between(20, 32))
            self._adult("female" if draws.chance(0.62) else "male", elder_age, family, is_head=False)
        if draws.chance(_WITHOUT_ID):
            head.citizen_id = head.couple = ""
            head.scheme, head.sub_scheme, head.instype = "OTH", "", "8300"
            for member in self._household.members:
                member.couple = "" if member is spouse else member.couple
                member.father = "" if head.sex == "male" else member.father
                member.mother = "" if head.sex == "female" else member.mother

    def add_index_family(self) -> None:
        """The index citizen, insured by the universal scheme, and a spouse."""
        draws = self._draws
        family = naming.family_name(draws)
        citizen = self._adult("female" if draws.chance(0.5) else "male", 54, family, is_head=True)
        citizen.scheme, citizen.sub_scheme, citizen.instype = UCS, "89", "0100"
        spouse = self._adult("male" if citizen.sex == "female" else "female", 56, family, is_head=False)
        _marry(citizen, spouse)

    def add_foreigners(self) -> None:
        """Workers from a neighbouring country who share a house, some of them without papers."""
        draws = self._draws
        nation = _NATIONS[draws.position(_NATION_TABLE)]
        for place in range(draws.between(1, 3)):
            sex = "male" if draws.chance(0.58) else "female"
            given, family = naming.foreign_name(draws, nation, sex)
            person = self._adult(sex, draws.between(19, 48), family, is_head=place == 0, given=given)
            has_passport = draws.chance(0.75)
            person.nation = nation
            person.citizen_id = ""
            person.passport = numbers.passport(person.number) if has_passport else ""
            person.labor = "14" if has_passport else "24"
            person.scheme, person.sub_scheme = "OTH", ""
            person.instype = draws.pick(("8401", "8402", "8403")) if has_passport else draws.pick(("8405", "8407"))
            person.education, person.occupation, person.religion = "02", "9", "01"

    def _add_children(self, family: naming.Name, head: Person, spouse: Person | None) -> None:
        draws = self._draws
        mother = head if head.sex == "female" else spouse
        father = head if head.sex == "male" else spouse
        parent = mother or head
        parent_age = parent.age_on(self._today)
        wanted = draws.position(_CHILDREN) if spouse or draws.chance(0.35) else 0
        for _ in range(wanted):
            age = parent_age - draws.between(20, 36)
            if not 0 <= age <= _LIVES_AT_HOME:
                continue
            born = self._birthday(age)
            count = 2 if draws.chance(_TWINS) else 1
            for _ in range(count):
                sex = "male" if draws.chance(0.515) else "female"
                child = self._person(sex, born, family, naming.given_name(draws, sex), is_head=False)
                child.is_twin = count > 1
                if age < _GROWN_UP:
                    child.father = father.citizen_id if father else ""
                    child.mother = mother.citizen_id if mother else ""
                if age > 0 and age < _GROWN_UP and head.scheme == OFC:
                    child.scheme, child.sub_scheme, child.instype = OFC, "O4", "1100"

    def _adult(
        self, sex: str, age: int, family: naming.Name, *, is_head: bool, given: naming.Name | None = None
    ) -> Person:
        name = given or naming.given_name(self._draws, sex)
        return self._person(sex, self._birthday(age), family, name, is_head=is_head)

    def _birthday(self, age: int) -> date:
        """A day on which somebody of that age today was born."""
        return self._today - timedelta(days=int(age * _YEAR) + 1 + self._draws.between(0, 363))

    def _person(self, sex: str, born: date, family: naming.Name, given: naming.Name, *, is_head: bool) -> Person:
        draws = self._draws
        number = self._next
        self._next += 1
        age = dates.age_on(born, self._today)
        scheme, sub_scheme, instype = _right(draws, age)
        person = Person(
            number=number,
            citizen_id=numbers.citizen_id(self._seed, number),
            passport="",
            nation="099",
            labor="",
            prefix=prefix_for(sex, age, is_married=False),
            given_th=given.thai,
            family_th=family.thai,
            given_en=given.roman,
            family_en=family.roman,
            sex=sex,
            born=born,
            phone=f"0{draws.pick('689')}{draws.between(10_000_000, 99_999_999)}" if age >= _GROWN_UP else "",
            marital="1",
            occupation=_occupation(age),
            education=_education(draws, age),
            religion=_RELIGIONS[draws.position(_RELIGION_TABLE)],
            blood=_BLOOD[draws.position(_BLOOD_TABLE)],
            scheme=scheme,
            sub_scheme=sub_scheme,
            instype=instype,
            is_head=is_head,
        )
        self._household.members.append(person)
        return person


def prefix_for(sex: str, age: int, *, is_married: bool) -> str:
    """The registry's title for sex, age and marriage: เด็กชาย and เด็กหญิง are below fifteen."""
    if age < _GROWN_UP:
        return "001" if sex == "male" else "002"
    if sex == "male":
        return "003"
    return "005" if is_married else "004"


def _marry(one: Person, other: Person) -> None:
    one.marital = other.marital = "2"
    one.couple, other.couple = other.citizen_id, one.citizen_id
    for person in (one, other):
        if person.sex == "female":
            person.prefix = "005"


def _right(draws: Draws, age: int) -> tuple[str, str, str]:
    """Main right, sub-right and right code of the 43 files."""
    fraction = draws.fraction()
    if _WORKS_FROM <= age < _RETIRES and fraction < _INSURED_AT_WORK:
        return SSS, "", "4200"
    if age >= _WORKS_FROM and fraction > 1 - _IN_PUBLIC_SERVICE:
        return (OFC, "O3", "1200") if age >= _RETIRES else (OFC, "O1", "1100")
    sub = "71" if age <= _LAST_CHILD_RIGHT else "77" if age > _RETIRES else "89"
    return UCS, sub, "0100"


def _occupation(age: int) -> str:
    if age < _PRIMARY_SCHOOL:
        return "000"
    return "901" if age < _WORKS_FROM else "101"


def _education(draws: Draws, age: int) -> str:
    if age < _PRIMARY_SCHOOL:
        return "01" if age >= _NURSERY else "00"
    if age < _SECONDARY_SCHOOL:
        return "02"
    return draws.pick(("02", "02", "03", "03", "03", "04", "05")) if age > _WORKS_FROM else "03"
