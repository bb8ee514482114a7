"""People and what changes in a life: names, titles, homes, telephones. Made household by household."""

import functools
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from libs.thai import places
from tools.population import numbers
from tools.population.draws import Draws, Table
from tools.population.naming import Name
from tools.thaibench import words
from tools.thaibench.rates import Rates

# Registrations lie in the fifteen years before this day. The benchmark has a calendar of its own, or it would change.
TODAY: Final = date(2026, 1, 1)
YEARS: Final = 15
_YEAR: Final = 365.25
_TODAY: Final = TODAY.toordinal()
START: Final = int(_TODAY - YEARS * _YEAR)
ADULT: Final = 15
_THAI: Final = "099"
_NATIONS: Final = ("048", "056", "057", "036")
_NATION_TABLE: Final = Table((66, 13, 13, 8))
_HEAD_AGES: Final = ((22, 39, 30), (40, 59, 45), (60, 90, 25))
_HEAD_TABLE: Final = Table([weight for _, _, weight in _HEAD_AGES])
_SPOUSE, _ELDER = 0.68, 0.30
_CHILDREN: Final = Table((24, 34, 30, 12))
# Provinces where Malay names are usual, and of their people those who bear one.
_SOUTH: Final = frozenset({"94", "95", "96"})
_MALAY: Final = 0.7
# Of people with a title of rank or profession.
_RANKED: Final = 0.02
_RANKS: Final = {"male": ("ร.ต.", "ส.ต.ท.", "ด.ต.", "จ.ส.อ.", "พ.ต.", "นพ."), "female": ("ร.ต.หญิง", "พญ.", "ร.ต.อ.หญิง")}


@dataclass(frozen=True, slots=True)
class Home:
    """Where somebody lives: sub-district, and the address as it is written."""

    place_code: str
    line: str
    phone: str


@dataclass(slots=True)
class Person:
    """One life. What changes is a list of what was true from a day (an ordinal) on, the first from birth."""

    number: int
    sex: str
    born: date
    nation: str
    citizen_id: str
    passport: str
    other_id: str
    home_phone: str
    names: list[tuple[int, Name, Name]]
    homes: list[tuple[int, Home]]
    phones: list[tuple[int, str]]
    # From which day on a woman bears นาง; 0 is never.
    title_from: int = 0
    title_until: int = 0
    rank: str = ""
    # As a monk, from one day until another.
    robed: tuple[int, int] = (0, 0)
    mother: "Person | None" = None
    # What is known of a life that makes it hard: "twin", "namesake", "named-as-father".
    traps: tuple[str, ...] = ()

    @property
    def since(self) -> int:
        """The first day of the years of the benchmark on which the person lived."""
        return max(self.born.toordinal(), START)

    def names_on(self, day: int) -> tuple[Name, Name]:
        """Given and family name on that day."""
        names = self.names
        if len(names) == 1:
            return names[0][1], names[0][2]
        _, given, family = names[bisect_right(names, day, key=_from) - 1]
        return given, family

    def home_on(self, day: int) -> Home:
        """Where the person lived on that day."""
        homes = self.homes
        return homes[0][1] if len(homes) == 1 else homes[bisect_right(homes, day, key=_from) - 1][1]

    def phone_on(self, day: int) -> str:
        """The person's own telephone on that day; "" for a child."""
        phones = self.phones
        if not phones:
            return ""
        return phones[0][1] if len(phones) == 1 else phones[bisect_right(phones, day, key=_from) - 1][1]


def _from(entry: tuple[int, *tuple[object, ...]]) -> int:
    return entry[0]


@dataclass(slots=True)
class Household:
    """People who live, or lived, together."""

    home: Home
    members: list[Person] = field(default_factory=list)


class Maker:
    """Makes households, each with what was drawn for it alone."""

    def __init__(self, seed: int, draws: Draws, rates: Rates, first: int) -> None:
        """Persons are numbered from `first`."""
        self._seed = seed
        self._draws = draws
        self._rates = rates
        self._next = first
        # Somebody of each sex whose name a namesake may bear.
        self._known: dict[str, Person] = {}

    def household(self) -> Household:
        """The next household."""
        draws = self._draws
        home = self._home(_sub_districts()[int(draws.fraction() * len(_sub_districts()))])
        household = Household(home)
        if draws.chance(self._rates.foreign):
            self._add_foreigners(household)
        else:
            self._add_family(household)
        for person in household.members:
            self._live(person)
        return household

    def _home(self, place_code: str) -> Home:
        draws = self._draws
        house = f"{draws.between(1, 399)}"
        if draws.chance(0.35):
            house += f"/{draws.between(1, 60)}"
        line = f"{house} หมู่ {draws.between(1, 14)} {_place_name(place_code)}"
        return Home(place_code, line, self._phone())

    def _phone(self) -> str:
        return f"0{self._draws.pick('689')}{self._draws.between(10_000_000, 99_999_999)}"

    def _add_family(self, household: Household) -> None:
        draws = self._draws
        is_malay = household.home.place_code[:2] in _SOUTH and draws.chance(_MALAY)
        low, high, _ = _HEAD_AGES[draws.position(_HEAD_TABLE)]
        age = draws.between(low, high)
        sex = "male" if draws.chance(0.6) else "female"
        family = words.southern_family(draws) if is_malay else words.family_name(draws)
        head = self._adult(household, sex, age, family, is_malay=is_malay)
        spouse = None
        if draws.chance(_SPOUSE):
            other = "female" if sex == "male" else "male"
            own = words.southern_family(draws) if is_malay else words.family_name(draws)
            spouse = self._adult(household, other, max(20, age + draws.between(-6, 4)), own, is_malay=is_malay)
            self._marry(head, spouse)
        husband = head if sex == "male" else spouse
        wife = head if sex == "female" else spouse
        self._add_children(household, husband, wife, is_malay=is_malay)
        if draws.chance(_ELDER):
            self._adult(household, "female", min(age + draws.between(20, 32), 99), family, is_malay=is_malay)

    def _add_children(
        self, household: Household, father: Person | None, mother: Person | None, *, is_malay: bool
    ) -> None:
        draws = self._draws
        parent = mother or father
        if parent is None:
            return
        family = (father or parent).names[-1][2]
        born = parent.born
        for _ in range(draws.position(_CHILDREN)):
            born = date.fromordinal(max(born.toordinal(), parent.born.toordinal() + int(19 * _YEAR)))
            born = date.fromordinal(born.toordinal() + draws.between(330, 2600))
            if born >= TODAY:
                return
            sex = "male" if draws.chance(0.515) else "female"
            child = self._person(household, sex, born, family, self._given(sex, born.year, is_malay=is_malay))
            child.mother = mother
            if father is not None and sex == "male" and draws.chance(self._rates.named_as_father):
                child.names[0] = (0, father.names[0][1], family)
                child.traps, father.traps = ("named-as-father",), (*father.traps, "named-as-father")
            if draws.chance(self._rates.twins):
                self._add_twin(household, child, family, is_malay=is_malay)

    def _add_twin(self, household: Household, child: Person, family: Name, *, is_malay: bool) -> None:
        draws = self._draws
        sex = child.sex if draws.chance(0.67) else ("female" if child.sex == "male" else "male")
        if not is_malay and draws.chance(self._rates.twins_named_alike):
            given = words.twins_name(draws, sex, child.names[0][1])
        else:
            given = self._given(sex, child.born.year, is_malay=is_malay)
        if given.thai == child.names[0][1].thai:
            # Parents give two children two names.
            return
        twin = self._person(household, sex, child.born, family, given)
        twin.mother = child.mother
        twin.traps = (*twin.traps, "twin")
        child.traps = (*child.traps, "twin")

    def _add_foreigners(self, household: Household) -> None:
        draws = self._draws
        nation = _NATIONS[draws.position(_NATION_TABLE)]
        for _ in range(draws.between(1, 3)):
            sex = "male" if draws.chance(0.56) else "female"
            given, family = words.foreign_name(draws, nation, sex)
            born = self._birthday(draws.between(19, 55))
            # Many in the neighbouring countries know the year of their birth and no more.
            if draws.chance(0.25):
                born = born.replace(month=1, day=1)
            person = self._person(household, sex, born, family, given)
            person.nation, person.citizen_id = nation, ""
            person.passport = numbers.passport(person.number) if draws.chance(0.6) else ""
            if nation != _NATIONS[-1] and draws.chance(0.5):
                # The "pink card" of registered workers begins with 00; 9 marks that nobody bears it.
                person.other_id = numbers.citizen_id(self._seed + 1, person.number)

    def _given(self, sex: str, year: int, *, is_malay: bool) -> Name:
        return words.southern_name(self._draws, sex) if is_malay else words.given_name(self._draws, sex, year)

    def _birthday(self, age: int) -> date:
        return date.fromordinal(_TODAY - int(age * _YEAR) - self._draws.between(1, 364))

    def _adult(self, household: Household, sex: str, age: int, family: Name, *, is_malay: bool) -> Person:
        born = self._birthday(age)
        return self._person(household, sex, born, family, self._given(sex, born.year, is_malay=is_malay))

    def _person(self, household: Household, sex: str, born: date, family: Name, given: Name) -> Person:
        number = self._next
        self._next += 1
        person = Person(
            number=number, sex=sex, born=born, nation=_THAI, citizen_id=numbers.citizen_id(self._seed, number),
            passport="", other_id="", home_phone=household.home.phone, names=[(0, given, family)],
            homes=[(0, household.home)], phones=[],
        )  # fmt: skip
        draws = self._draws
        if sex == "male" and draws.chance(self._rates.monk):
            entry = born.toordinal() + int(draws.between(20, 60) * _YEAR)
            person.robed = (entry, entry + draws.between(30, 4000))
        known = self._known.get(sex)
        if known is not None and draws.chance(self._rates.namesakes):
            person.names[0] = known.names[0]
            person.homes[0] = (0, self._home(known.homes[0][1].place_code))
            person.traps = ("namesake",)
        if draws.chance(0.05):
            self._known[sex] = person
        household.members.append(person)
        return person

    def _marry(self, one: Person, other: Person) -> None:
        draws, rates = self._draws, self._rates
        wife, husband = (one, other) if one.sex == "female" else (other, one)
        day = wife.born.toordinal() + int(draws.between(18, 36) * _YEAR)
        if day >= _TODAY:
            return
        until = day + draws.between(400, 9000) if draws.chance(rates.divorces) else 0
        _, given, maiden = wife.names[0]
        if draws.chance(rates.takes_family):
            wife.names.append((day, given, husband.names[0][2]))
            if until:
                wife.names.append((until, given, maiden))
        if draws.chance(rates.takes_title):
            wife.title_from, wife.title_until = day, until

    def _live(self, person: Person) -> None:
        """What happens in the years of the benchmark, and a telephone for those of age."""
        draws, rates = self._draws, self._rates
        of_age = person.born.toordinal() + int(ADULT * _YEAR)
        if of_age >= _TODAY:
            return
        since = max(START, of_age)
        years = (_TODAY - since) / _YEAR
        person.phones.append((0, self._phone()))
        for _ in range(draws.count(rates.changes_phone * years)):
            person.phones.append((draws.between(since, _TODAY), self._phone()))
        for _ in range(draws.count(rates.moves * years)):
            person.homes.append((draws.between(since, _TODAY), self._home(draws.pick(_sub_districts()))))
        if len(person.homes) > 1:
            person.homes.sort(key=_from)
        if len(person.phones) > 1:
            person.phones.sort(key=_from)
        if person.nation == _THAI and draws.chance(rates.renamed):
            self._rename(person, draws.between(since, _TODAY))
        if draws.chance(_RANKED):
            person.rank = draws.pick(_RANKS[person.sex])

    def _rename(self, person: Person, day: int) -> None:
        """Another given name from that day on."""
        given = words.given_name(self._draws, person.sex, TODAY.year)
        _, family = person.names_on(day)
        later = [(since, given, name) for since, _, name in person.names if since > day]
        person.names = [entry for entry in person.names if entry[0] <= day] + [(day, given, family), *later]


@functools.cache
def _sub_districts() -> tuple[str, ...]:
    return tuple(
        sub_district
        for province in places.provinces()
        for district in places.children(province)
        for sub_district in places.children(district)
        if (place := places.find(sub_district)) and place.is_current
    )


_place_name = functools.cache(places.full_name)
