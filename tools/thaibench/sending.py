"""One registration as a hospital sends it: a life on one day, through the hands of those who wrote it down."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from libs.thai.dates import age_on
from tools.population import naming
from tools.population.draws import Draws, Table
from tools.thaibench import slips, words
from tools.thaibench.lives import ADULT, Household, Person
from tools.thaibench.rates import Ids, Rates

COLUMNS: Final = (
    "record_id", "facility", "hn", "source_date", "prefix", "given", "family", "given_roman", "family_roman", "sex",
    "birth_date", "citizen_id", "passport", "other_id", "phone", "address", "place_code", "nationality",
)  # fmt: skip
_THAI: Final = "099"
_CARD, _TYPED, _TOLD = "card", "typed", "told"
_OLD: Final = 1950
_ABBREVIATED: Final = {"เด็กชาย": "ด.ช.", "เด็กหญิง": "ด.ญ.", "นางสาว": "น.ส.", "นาย": "นาย", "นาง": "นาง"}
_NO_FAMILY: Final = ("", "-", "ไม่ทราบ", "ไม่มี")
_FACILITIES: Final = 1200


@dataclass(slots=True)
class Sent:
    """What one registration says. `made` lists what happened to it on the way, for the truth file."""

    facility: str
    hn: str
    source_date: str
    prefix: str = ""
    given: str = ""
    family: str = ""
    given_roman: str = ""
    family_roman: str = ""
    sex: str = ""
    birth_date: str = ""
    citizen_id: str = ""
    passport: str = ""
    other_id: str = ""
    phone: str = ""
    address: str = ""
    place_code: str = ""
    nationality: str = ""
    made: str = ""

    def row(self, record_id: str) -> tuple[str, ...]:
        """The values in the order of COLUMNS."""
        return (
            record_id, self.facility, self.hn, self.source_date, self.prefix, self.given, self.family,
            self.given_roman, self.family_roman, self.sex, self.birth_date, self.citizen_id, self.passport,
            self.other_id, self.phone, self.address, self.place_code, self.nationality,
        )  # fmt: skip


def facility_near(draws: Draws, place_code: str) -> str:
    """Where somebody who lives there goes: mostly to one of two near by, sometimes to any in the country."""
    near = int(place_code[:4]) * 7 + draws.between(0, 1) if draws.chance(0.8) else draws.between(0, _FACILITIES - 1)
    return f"9{near % _FACILITIES:04d}"


class Clerk:
    """Writes registrations down, at the given rates."""

    def __init__(self, draws: Draws, rates: Rates, ids: Ids) -> None:
        """All that is drawn comes from `draws`."""
        self._draws = draws
        self._rates = rates
        self._ids = ids
        self._kinds = Table(rates.slips)

    def write(self, person: Person, household: Household, day: int, facility: str, *, is_newborn: bool) -> Sent:
        """The registration of the person on that day (an ordinal) at that facility."""
        draws, rates = self._draws, self._rates
        sent = Sent(facility, f"{draws.between(1, 9_999_999):07d}", date.fromordinal(day).isoformat())
        way = self._way(person, is_newborn=is_newborn)
        sent.made = way
        # How many times as many slips as when a form is typed.
        times = 0.0 if way == _CARD else (1.0 if way == _TYPED else rates.hearsay)
        self._name(sent, person, day, times)
        self._sex_and_birth(sent, person, times)
        self._home(sent, person, household, day, times)
        sent.nationality = person.nation
        if self._ids is not Ids.WITHOUT:
            self._numbers(sent, person, household, times)
        if is_newborn:
            self._unname(sent, person, day)
        elif times:
            self._disfigure(sent)
        return sent

    def _way(self, person: Person, *, is_newborn: bool) -> str:
        rates = self._rates
        fraction = self._draws.fraction()
        if person.nation != _THAI or is_newborn:
            # Without a chip: the passport or a permit is copied, or nothing is at hand.
            return _TYPED if fraction < rates.by_card + rates.typed else _TOLD
        if fraction < rates.by_card:
            return _CARD
        return _TYPED if fraction < rates.by_card + rates.typed else _TOLD

    def _name(self, sent: Sent, person: Person, day: int, times: float) -> None:
        draws, rates = self._draws, self._rates
        given, family = person.names_on(day)
        sent.prefix = _title(person, day)
        is_foreign = person.nation != _THAI
        if (given, family) != person.names[0][1:]:
            sent.made += " name-changed"
        self._spell(sent, given.thai, family.thai, times)
        if draws.chance(rates.has_roman_typed if times and not is_foreign else rates.has_roman_card):
            sent.given_roman, sent.family_roman = given.roman, family.roman
        if person.robed[0] <= day < person.robed[1]:
            self._robe(sent)
        if not times:
            return
        if draws.chance(rates.slip_in_given * times):
            sent.given = self._slip(sent, sent.given, "given")
        if draws.chance(rates.slip_in_family * times):
            sent.family = self._slip(sent, sent.family, "family")
        if sent.given_roman:
            self._romanize(sent, times)
        if draws.chance(rates.no_family * times):
            sent.family, sent.family_roman = draws.pick(_NO_FAMILY), ""
            sent.made += " no-family"

    def _spell(self, sent: Sent, given: str, family: str, times: float) -> None:
        """A foreign name as it is usually spelt, or, unless a card tells, as it was heard."""
        sent.given, sent.family = words.spell(given, None), words.spell(family, None)
        if not times or (sent.given, sent.family) == (given, family):
            return
        heard = words.spell(given, self._draws), words.spell(family, self._draws)
        if heard != (sent.given, sent.family):
            sent.given, sent.family = heard
            sent.made += " heard"

    def _romanize(self, sent: Sent, times: float) -> None:
        draws, rates = self._draws, self._rates
        if draws.chance(rates.roman_variant):
            sent.given_roman = slips.romanize_otherwise(draws, sent.given_roman)
            sent.family_roman = slips.romanize_otherwise(draws, sent.family_roman)
            sent.made += " romanized"
        if draws.chance(rates.slip_in_roman * times):
            sent.given_roman, _ = slips.slip(draws, sent.given_roman.lower(), self._kinds)
            sent.given_roman = sent.given_roman.capitalize()
            sent.made += " roman-slip"

    def _slip(self, sent: Sent, name: str, field: str) -> str:
        told, kind = slips.slip(self._draws, name, self._kinds)
        if kind:
            sent.made += f" {field}:{kind}"
        return told

    def _robe(self, sent: Sent) -> None:
        draws = self._draws
        sent.prefix = "พระภิกษุ" if draws.chance(0.2) else "พระ"
        sent.made += " monk"
        if draws.chance(self._rates.monastic_name):
            name = words.monastic_name(draws)
            sent.family = name.thai
            if sent.family_roman:
                sent.family_roman = name.roman
            sent.made += " monastic-name"

    def _sex_and_birth(self, sent: Sent, person: Person, times: float) -> None:
        draws, rates = self._draws, self._rates
        sent.sex = person.sex
        sent.birth_date = person.born.isoformat()
        if not times:
            return
        if draws.chance(rates.no_sex):
            sent.sex = ""
        elif draws.chance(rates.other_sex):
            sent.sex = "female" if person.sex == "male" else "male"
            sent.made += " other-sex"
        self._birth(sent, person, times)

    def _birth(self, sent: Sent, person: Person, times: float) -> None:
        draws, rates = self._draws, self._rates
        born = person.born
        # What is known of a birth by hearsay, or of those born before births were registered everywhere.
        if times > 1 or born.year < _OLD:
            if draws.chance(rates.first_of_january):
                sent.birth_date = f"{born.year}-01-01"
                sent.made += " first-of-january"
                return
            if draws.chance(rates.year_alone):
                sent.birth_date = f"{born.year}"
                sent.made += " year-alone"
                return
        fraction = draws.fraction()
        for chance, told, reason in (
            (rates.digit_in_birth * times, slips.change_birth, "birth:digit"),
            (rates.swapped_birth * times, lambda _, day: slips.swap_birth(day), "birth:swapped"),
            (rates.buddhist_birth * times, lambda _, day: slips.buddhist_birth(day), "birth:buddhist"),
            (rates.misconverted_birth * times, lambda _, day: slips.misconvert_birth(day), "birth:misconverted"),
            (rates.no_birth * times, lambda _, __: "", "birth:missing"),
        ):
            if fraction < chance:
                sent.birth_date = told(draws, born)
                sent.made += f" {reason}"
                return
            fraction -= chance

    def _home(self, sent: Sent, person: Person, household: Household, day: int, times: float) -> None:
        draws, rates = self._draws, self._rates
        # The card's chip holds the address in the house register, where most stay registered when they move.
        home = person.homes[0][1] if not times and draws.chance(0.6) else person.home_on(day)
        if not draws.chance(rates.no_phone):
            sent.phone = person.phone_on(day) or person.home_phone
            if draws.chance(rates.relatives_phone):
                sent.phone = household.members[0].phone_on(day) or person.home_phone
            if times and draws.chance(rates.digit_in_phone * times):
                sent.phone = slips.change_digit(draws, sent.phone, 2)
        if not times:
            sent.place_code, sent.address = home.place_code, home.line
            return
        if not draws.chance(rates.no_place):
            sent.place_code = home.place_code
            if draws.chance(rates.wrong_place):
                sent.place_code = draws.pick(household.members).homes[-1][1].place_code[:4] + "01"
                sent.made += " wrong-place"
        if not draws.chance(rates.no_address):
            sent.address = home.line

    def _numbers(self, sent: Sent, person: Person, household: Household, times: float) -> None:
        draws, rates = self._draws, self._rates
        sent.passport, sent.other_id = person.passport, person.other_id
        number = person.citizen_id
        if not number:
            return
        if not times and self._ids is not Ids.WRONG:
            sent.citizen_id = number
            if draws.chance(rates.relatives_card):
                self._take_relatives(sent, person, household)
            return
        if times and draws.chance(rates.no_id * times):
            return
        sent.citizen_id = number
        fraction = draws.fraction()
        for chance, reason in (
            (rates.relatives_id, ""),
            (rates.digits_swapped_in_id, "id:swapped"),
            (rates.digit_in_id, "id:digit"),
            (rates.dummy_id, "id:dummy"),
        ):
            if fraction < chance:
                if not reason:
                    self._take_relatives(sent, person, household)
                    return
                sent.citizen_id = self._wrong(sent, reason)
                sent.made += f" {reason}"
                return
            fraction -= chance

    def _wrong(self, sent: Sent, reason: str) -> str:
        if reason == "id:dummy":
            return slips.dummy_id(sent.facility)
        if reason == "id:swapped":
            return slips.swap_digits(self._draws, sent.citizen_id)
        return slips.change_digit(self._draws, sent.citizen_id, 1)

    def _take_relatives(self, sent: Sent, person: Person, household: Household) -> None:
        other = self._draws.pick(household.members)
        if other is not person and other.citizen_id:
            sent.citizen_id = other.citizen_id
            sent.made += " id:relative"

    def _unname(self, sent: Sent, person: Person, day: int) -> None:
        """As a ward writes a child that has no name yet: of its mother, and by her family name."""
        if person.mother is None:
            return
        given, family = person.mother.names_on(day)
        sent.given, sent.family = f"บุตรนาง{words.spell(given.thai, None)}", words.spell(family.thai, None)
        sent.prefix = _ABBREVIATED[_title(person, day)]
        sent.given_roman = sent.family_roman = sent.citizen_id = ""
        sent.made += " newborn"

    def _disfigure(self, sent: Sent) -> None:
        """What a form does to a name that nobody misspelt."""
        draws, rates = self._draws, self._rates
        fraction = draws.fraction()
        if fraction < rates.title_in_name:
            sent.given, sent.prefix = sent.prefix + sent.given, ""
        elif fraction < rates.title_in_name + rates.no_title:
            sent.prefix = ""
        elif fraction < rates.title_in_name + rates.no_title + rates.disordered:
            sent.given = naming.disorder(sent.given)
        elif draws.chance(rates.given_and_family_exchanged):
            sent.given, sent.family = sent.family, sent.given
            sent.made += " exchanged"
        elif fraction > 0.5:  # noqa: PLR2004 - half of the clerks abbreviate
            sent.prefix = _ABBREVIATED.get(sent.prefix, sent.prefix)


def _title(person: Person, day: int) -> str:
    if age_on(person.born, date.fromordinal(day)) < ADULT:
        return "เด็กชาย" if person.sex == "male" else "เด็กหญิง"
    if person.rank:
        return person.rank
    if person.sex == "male":
        return "นาย"
    is_married = person.title_from and person.title_from <= day and not 0 < person.title_until <= day
    return "นาง" if is_married else "นางสาว"
