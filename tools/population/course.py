"""What befell the people of a household in the year before today, and where it was recorded.

Everybody in a catchment is registered at its facility; a few are registered at a hospital elsewhere too, where another
clerk wrote their name. Whatever depends on chance depends on the household's own stream of draws.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final, TypeVar

from libs.thai.dates import BANGKOK
from tools.population import catalog, naming, protagonist
from tools.population.catalog import ChronicDisease, Drug, Illness
from tools.population.draws import Draws, Table
from tools.population.facilities import Facility, Practitioner
from tools.population.facts import Allergy, Chronic, Registration, Stay, Visit
from tools.population.people import Household, Person, prefix_for
from tools.population.vitals import has_group, laboratory_result, safe_drugs, vitals_of

_Thing = TypeVar("_Thing")

YEAR: Final = 365
_CHILD_BELOW, _ELDER_FROM, _ADULT_FROM = 15, 60, 18
_ELSEWHERE: Final = 0.03
_ALLERGIC_CHILD, _ALLERGIC_ADULT = 0.01, 0.05
_ACUTE_VISITS: Final = (1.5, 0.8, 1.2)
_STAYS: Final = (0.03, 0.025, 0.08)
_PREVALENCE_AGES: Final = (35, 45, 55, 65)
_CHRONIC_CARE_DAYS: Final = 88
_OUTBREAK_DAYS: Final = 28
_OUTBREAK_WANTED, _OUTBREAK_MOST, _OUTBREAK_LEAST = 24, 0.2, 0.004
# The share of all people who live in the district of the outbreak: hospital A's second district.
_FOCUS_SHARE: Final = 0.45 * 0.30
_SCREENED, _SCREENED_FROM = 0.35, 35
_FLU_SHOT: Final = 0.25
# The childhood programme ends at this age.
_VACCINATED_BELOW: Final = 6
_OPENS, _CLOSES = 8, 16

_ILLNESS_TABLES: Final = tuple(
    tuple(
        Table([
            illness.months[month] * (illness.child, illness.adult, illness.elder)[age] for illness in catalog.ILLNESSES
        ])
        for age in range(3)
    )
    for month in range(12)
)  # fmt: skip
_STAY_TABLES: Final = tuple(
    Table([(stay.child, stay.adult, stay.elder)[age] for stay in catalog.ADMISSIONS]) for age in range(3)
)


class CourseMaker:
    """Makes registrations with all that was done for them. Numbers (PID, SEQ, AN) run on from call to call."""

    def __init__(self, seed: int, people: int, today: date, facilities: Sequence[Facility], focus: str) -> None:
        """`people` is how many there will be: in a small country the outbreak takes a larger share."""
        self._seed = seed
        self._today = today
        self._facilities = facilities
        self._focus = focus
        self._outbreak = min(_OUTBREAK_MOST, max(_OUTBREAK_LEAST, _OUTBREAK_WANTED / (people * _FOCUS_SHARE)))
        self._registered = [0] * len(facilities)
        self._visited = [0] * len(facilities)
        self._admitted = [0] * len(facilities)

    def registrations(self, household: Household) -> Iterator[Registration]:
        """Yields each member's registration at the facility of the household, and then those elsewhere."""
        draws = Draws(f"{self._seed}/course/{household.number}")
        for person in household.members:
            registration = self._register(household, person, household.home)
            if person.number == 0:
                protagonist.fill(registration, self._today, self._facilities[household.home])
            else:
                self._live(draws, registration)
            self._number(registration)
            yield registration
            if person.number and draws.chance(_ELSEWHERE):
                yield self._elsewhere(draws, household, person, registration)

    def _register(self, household: Household, person: Person, facility: int) -> Registration:
        self._registered[facility] += 1
        number = self._registered[facility]
        made_at = datetime(self._today.year - 1, 8, 1, 9, 0, tzinfo=BANGKOK) + timedelta(minutes=number % 400)
        is_local = facility == household.home
        return Registration(
            facility, household, person, f"{number:07d}", f"{(self._today.year + 543) % 100:02d}{number:07d}",
            person.citizen_id, person.prefix, person.given_th, person.family_th, person.given_en, person.family_en,
            person.born, person.phone, is_local, made_at,
        )  # fmt: skip

    def _elsewhere(self, draws: Draws, household: Household, person: Person, first: Registration) -> Registration:
        """The same person at a hospital in another region, as another clerk wrote them down."""
        facility = 1 if household.home == 0 else 0
        registration = self._register(household, person, facility)
        registration.allergies = list(first.allergies) if draws.chance(0.4) else []
        _vary(draws, registration)
        self._add_acute(draws, registration, draws.between(1, 2))
        self._number(registration)
        return registration

    def _live(self, draws: Draws, registration: Registration) -> None:
        age = registration.person.age_on(self._today)
        group = _age_group(age)
        is_adult = age >= _ADULT_FROM
        if draws.chance(_ALLERGIC_ADULT if is_adult else _ALLERGIC_CHILD):
            registration.allergies.append(self._allergy(draws))
        if is_adult and registration.person.nation == "099":
            self._add_chronic(draws, registration, age)
        self._add_acute(draws, registration, draws.count(_ACUTE_VISITS[group]))
        self._add_vaccines(draws, registration, age)
        if age >= _SCREENED_FROM and not registration.chronic and draws.chance(_SCREENED):
            self._add_screening(draws, registration)
        if self._facilities[registration.facility].has_beds:
            if draws.chance(_STAYS[group]):
                usual = catalog.ADMISSIONS[draws.position(_STAY_TABLES[group])]
                self._add_stay(draws, registration, usual, draws.between(usual.days[1] + 2, YEAR - 1))
            if registration.household.district == self._focus and draws.chance(self._outbreak):
                self._add_dengue(draws, registration)

    def _allergy(self, draws: Draws) -> Allergy:
        drug = draws.pick(catalog.ALLERGENS)
        recorded_on = self._today - timedelta(days=draws.between(30, 3000))
        return Allergy(drug, recorded_on, draws.pick("1223"), draws.pick("1114"), draws.pick(("23", "27", "27", "24")))

    def _add_chronic(self, draws: Draws, registration: Registration, age: int) -> None:
        band = sum(age >= bound for bound in _PREVALENCE_AGES)
        found = [disease for disease in catalog.CHRONIC_DISEASES if draws.chance(disease.prevalence[band])]
        if not found:
            return
        for disease in found:
            since = self._today - timedelta(days=draws.between(400, 4000))
            registration.chronic.append(Chronic(disease.code, since))
        first = draws.between(1, _CHRONIC_CARE_DAYS)
        for days in range(first, YEAR, _CHRONIC_CARE_DAYS):
            self._add_chronic_care(draws, registration, found, days)

    def _add_chronic_care(
        self, draws: Draws, registration: Registration, found: Sequence[ChronicDisease], days: int
    ) -> None:
        visit = self._visit(draws, registration, days, catalog.MEDICINE, complaint="มาตรวจตามนัด รับยาต่อเนื่อง", fever=36.6)
        visit.diagnoses = tuple((disease.code, "1" if place == 0 else "4") for place, disease in enumerate(found))
        visit.drugs = safe_drugs(_once(drug for disease in found for drug in disease.drugs), registration.allergies)
        codes = {disease.code for disease in found}
        visit.results = tuple(
            laboratory_result(draws, test, codes) for test in _once(test for disease in found for test in disease.tests)
        )
        visit.next_visit = visit.at.date() + timedelta(days=_CHRONIC_CARE_DAYS + 2)
        visit.is_appointed = True
        visit.is_chronic_care = bool(codes & {"E119", "I10"})
        if visit.is_chronic_care and "I10" in codes:
            visit.systolic += 14
            visit.diastolic += 6

    def _add_acute(self, draws: Draws, registration: Registration, count: int) -> None:
        for _ in range(count):
            days = draws.between(1, YEAR - 1)
            day = self._today - timedelta(days=days)
            group = _age_group(registration.person.age_on(day))
            illness = catalog.ILLNESSES[draws.position(_ILLNESS_TABLES[day.month - 1][group])]
            if registration.person.born < day:
                self._add_illness(draws, registration, illness, days)

    def _add_illness(self, draws: Draws, registration: Registration, illness: Illness, days: int) -> Visit:
        is_centre = not self._facilities[registration.facility].has_beds
        clinic = catalog.GENERAL if is_centre else illness.clinic
        visit = self._visit(draws, registration, days, clinic, complaint=illness.complaint, fever=illness.fever)
        codes = [(illness.code, "1")]
        if illness.cause:
            codes.append((illness.cause, "5"))
        visit.diagnoses = tuple(codes)
        visit.drugs = safe_drugs(illness.drugs, registration.allergies)
        if has_group(illness.drugs, registration.allergies) and illness.code == "J029":
            visit.drugs = (*visit.drugs, (catalog.AZITHROMYCIN, catalog.AZITHROMYCIN.usual_amount))
        tests = () if is_centre else illness.tests
        visit.results = tuple(laboratory_result(draws, test, {illness.code}) for test in tests)
        visit.procedure = illness.procedure
        visit.code506 = illness.code506
        if illness.code506:
            visit.ill_since = visit.at.date() - timedelta(days=draws.between(1, 4))
        return visit

    def _add_dengue(self, draws: Draws, registration: Registration) -> None:
        """A case of the outbreak: the more recent the day, the more of them."""
        fraction = draws.fraction()
        days = 1 + int((_OUTBREAK_DAYS - 1) * fraction * fraction)
        fever = next(illness for illness in catalog.ILLNESSES if illness.code == "A979")
        longest = catalog.DENGUE_STAY.days[1] + 2
        if draws.chance(0.2) and days > longest:
            visit = self._add_stay(draws, registration, catalog.DENGUE_STAY, days)
            visit.code506 = "26"
        else:
            visit = self._add_illness(draws, registration, fever, days)
            if draws.chance(0.35):
                visit.diagnoses = (("A970", "1"),)
                visit.code506 = "26"
        visit.ill_since = visit.at.date() - timedelta(days=draws.between(2, 5))

    def _add_stay(self, draws: Draws, registration: Registration, usual: catalog.Admission, days: int) -> Visit:
        visit = self._visit(draws, registration, days, catalog.EMERGENCY, complaint=usual.complaint, fever=38.2)
        diagnoses = [(usual.code, "1")]
        if usual.comorbid:
            diagnoses.append((usual.comorbid, "2"))
        visit.diagnoses = ((usual.code, "1"),)
        visit.results = tuple(laboratory_result(draws, test, {usual.code}) for test in usual.tests)
        admitted = visit.at + timedelta(hours=2)
        length = draws.between(*usual.days)
        discharged = (admitted + timedelta(days=length)).replace(hour=draws.between(9, 14), minute=30)
        visit.stay = Stay(
            "", usual.ward, admitted, discharged, tuple(diagnoses),
            safe_drugs(usual.drugs, registration.allergies), ((catalog.PARACETAMOL, 20),), usual.procedure,
            usual.drg, usual.relative_weight, visit.provider,
        )  # fmt: skip
        return visit

    def _add_screening(self, draws: Draws, registration: Registration) -> None:
        days = draws.between(1, YEAR - 1)
        visit = self._visit(draws, registration, days, catalog.GENERAL, complaint="ตรวจคัดกรองสุขภาพประจำปี", fever=36.5)
        visit.diagnoses = (("Z131", "1"),)
        visit.results = (laboratory_result(draws, catalog.GLUCOSE, set()),)
        visit.is_screening = True

    def _add_vaccines(self, draws: Draws, registration: Registration, age: int) -> None:
        if age < _VACCINATED_BELOW:
            due: dict[date, list[str]] = {}
            for code, at_age in catalog.CHILD_VACCINES:
                due.setdefault(registration.person.born + timedelta(days=at_age), []).append(code)
            for day, codes in due.items():
                if day < self._today and draws.chance(0.92):
                    self._vaccinate(draws, registration, day, codes)
        elif age >= _ELDER_FROM and draws.chance(_FLU_SHOT):
            day = self._today - timedelta(days=draws.between(20, 250))
            self._vaccinate(draws, registration, day, [catalog.FLU_VACCINE])

    def _vaccinate(self, draws: Draws, registration: Registration, day: date, codes: list[str]) -> None:
        days = (self._today - day).days
        if days >= YEAR:
            registration.earlier_vaccines.extend((day, code) for code in codes)
            return
        visit = self._visit(draws, registration, days, catalog.GENERAL, complaint="มารับวัคซีน", fever=36.6)
        visit.diagnoses = (("Z269", "1"),)
        visit.vaccines = tuple(codes)

    def _visit(
        self, draws: Draws, registration: Registration, days: int, clinic: str, *, complaint: str, fever: float
    ) -> Visit:
        facility = self._facilities[registration.facility]
        day = self._today - timedelta(days=days)
        taken = {visit.at.date() for visit in registration.visits}
        while day in taken:
            day -= timedelta(days=1)
        at = datetime(
            day.year, day.month, day.day, draws.between(_OPENS, _CLOSES - 1), draws.between(0, 59), tzinfo=BANGKOK
        )
        doctors = facility.practitioners_of("doctor") or facility.practitioners_of("nurse", "public-health-officer")
        doctor: Practitioner = draws.pick(doctors)
        nurse: Practitioner = draws.pick(facility.practitioners_of("nurse"))
        age = registration.person.age_on(day)
        vitals = vitals_of(draws, registration.person.sex, age, fever)
        visit = Visit("", at, clinic, complaint, *vitals, doctor.provider, nurse.provider)
        registration.visits.append(visit)
        return visit

    def _number(self, registration: Registration) -> None:
        """Gives the visits their numbers, in the order in which they happened."""
        registration.visits.sort(key=lambda visit: visit.at)
        place = registration.facility
        for visit in registration.visits:
            self._visited[place] += 1
            visit.seq = f"{self._visited[place]:010d}"
            if visit.stay is not None:
                self._admitted[place] += 1
                visit.stay.an = f"{(visit.at.year + 543) % 100:02d}{self._admitted[place]:07d}"


def _age_group(age: int) -> int:
    return 0 if age < _CHILD_BELOW else 1 if age < _ELDER_FROM else 2


def _once(things: Iterable[_Thing]) -> tuple[_Thing, ...]:
    return tuple(dict.fromkeys(things))


def _vary(draws: Draws, registration: Registration) -> None:
    """Makes of a registration what another clerk would have written."""
    ways: tuple[Callable[[Draws, Registration], None], ...] = (
        _misspell_given, _misspell_family, _write_title_inside, _disorder, _lose_citizen_id, _guess_birthday,
        _new_phone, _marry,
    )  # fmt: skip
    for _ in range(draws.between(1, 2)):
        draws.pick(ways)(draws, registration)
    registration.given_en = naming.roman_variant(draws, registration.given_en)


def _misspell_given(draws: Draws, registration: Registration) -> None:
    registration.given = naming.misspell(draws, registration.given)


def _misspell_family(draws: Draws, registration: Registration) -> None:
    registration.family = naming.misspell(draws, registration.family)


def _write_title_inside(_: Draws, registration: Registration) -> None:
    title = {"001": "ด.ช.", "002": "ด.ญ.", "003": "นาย", "004": "น.ส.", "005": "นาง"}[registration.prefix]
    registration.given = f"{title}{registration.person.given_th}"


def _disorder(_: Draws, registration: Registration) -> None:
    registration.given = naming.disorder(registration.given)


def _lose_citizen_id(_: Draws, registration: Registration) -> None:
    registration.citizen_id = ""


def _guess_birthday(_: Draws, registration: Registration) -> None:
    registration.born = date(registration.born.year, 1, 1)


def _new_phone(draws: Draws, registration: Registration) -> None:
    registration.phone = f"09{draws.between(10_000_000, 99_999_999)}"


def _marry(draws: Draws, registration: Registration) -> None:
    if registration.prefix == "004":
        registration.prefix = prefix_for("female", _ADULT_FROM, is_married=True)
        registration.family = naming.family_name(draws).thai


def drugs_given(registration: Registration) -> tuple[Drug, ...]:
    """Every drug that was given to the person, each once, in order of the visits."""
    return _once(drug for visit in registration.visits for drug, _ in visit.drugs)
