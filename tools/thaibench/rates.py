"""How often what happens: every rate of the benchmark, in one place, with its reason.

They were set before anything was measured, from how Thai hospitals register people: most by the chip of the smart card,
which fills every field without an error; some typed from paper; a few by what a relative says. Nobody publishes such
rates for Thailand. Those of typing lie in the range that studies of hospital registries elsewhere report, 1 to 5 in a
hundred fields; life events follow the order of the national statistics.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class Ids(StrEnum):
    """What the registrations say of numbers."""

    WITH = "with"
    """As hospitals send them: most are there, few are wrong."""
    WITHOUT = "without"
    """None that somebody issued: no citizen id, no passport, no other number."""
    WRONG = "wrong"
    """Most are there, and several in a hundred are wrong."""


class Level(StrEnum):
    """How well the registrations were written."""

    STANDARD = "standard"
    HARD = "hard"
    """Few by card, many by hearsay, and three times the errors: registers of camps, catastrophes and the past."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Probabilities, unless a comment says otherwise."""

    # Registrations read from the smart card, and typed from paper; the rest is told by somebody.
    by_card: float = 0.68
    typed: float = 0.27
    # Of persons.
    foreign: float = 0.05
    # A second or third registration at a facility, whose clerk did not find the first.
    twice_at_one: float = 0.12
    # Of births; Thailand counts about 1 in 90.
    twins: float = 0.011
    # Twins whose given names begin alike, as parents like it.
    twins_named_alike: float = 0.6
    # A person with the whole name of somebody else of the same sex in the neighbourhood, beyond those that chance makes.
    namesakes: float = 0.004
    # Sons who bear their father's given name.
    named_as_father: float = 0.003
    # Wives who take the husband's family name, and those who take นาง; both at once or one of them.
    takes_family: float = 0.62
    takes_title: float = 0.75
    divorces: float = 0.12
    # Changes the given name at the registry, in a life as an adult.
    renamed: float = 0.015
    # Men who are monks for a while; of their registrations then, those by the name in religion.
    monk: float = 0.03
    monastic_name: float = 0.5
    # Moves and changes of telephone in a year.
    moves: float = 0.035
    changes_phone: float = 0.10
    # Children first registered before they had a name, where the hospital never put it right.
    unnamed_newborn: float = 0.03
    # Of typed fields. What is told has `hearsay` times as many.
    slip_in_given: float = 0.030
    slip_in_family: float = 0.035
    slip_in_roman: float = 0.03
    hearsay: float = 3.0
    # Kinds of slips in a Thai name, in proportion: neighbour key, shift, mark dropped, mark changed, sound-alike, letter
    # dropped, letters swapped.
    slips: tuple[float, ...] = (0.22, 0.07, 0.20, 0.08, 0.30, 0.08, 0.05)
    # Romanised by the clerk rather than copied from a passport or card.
    roman_variant: float = 0.35
    has_roman_card: float = 0.45
    has_roman_typed: float = 0.12
    # Codes in a disorder that the eye does not see, and the title written into the given name.
    disordered: float = 0.01
    title_in_name: float = 0.05
    no_title: float = 0.06
    given_and_family_exchanged: float = 0.001
    # Birth dates: one digit wrong, day and month swapped, a year of the Buddhist era sent as it is, or converted wrongly.
    digit_in_birth: float = 0.006
    swapped_birth: float = 0.004
    buddhist_birth: float = 0.004
    misconverted_birth: float = 0.003
    # 1 January of the year, or the year alone; of those told, and of those typed who were born before 1950.
    first_of_january: float = 0.06
    year_alone: float = 0.03
    no_birth: float = 0.002
    no_sex: float = 0.006
    other_sex: float = 0.002
    no_phone: float = 0.18
    # A relative's telephone in place of one's own.
    relatives_phone: float = 0.10
    digit_in_phone: float = 0.006
    no_place: float = 0.08
    wrong_place: float = 0.01
    no_address: float = 0.15
    no_family: float = 0.003
    # Citizen ids of typed and told registrations; of those by card only `relatives_card`.
    no_id: float = 0.12
    digits_swapped_in_id: float = 0.003
    digit_in_id: float = 0.003
    relatives_id: float = 0.002
    dummy_id: float = 0.004
    relatives_card: float = 0.0005


STANDARD: Final = Rates()
_TIMES: Final = 3.0
HARD: Final = replace(
    STANDARD,
    by_card=0.15,
    typed=0.60,
    unnamed_newborn=STANDARD.unnamed_newborn * _TIMES,
    slip_in_given=STANDARD.slip_in_given * _TIMES,
    slip_in_family=STANDARD.slip_in_family * _TIMES,
    slip_in_roman=STANDARD.slip_in_roman * _TIMES,
    digit_in_birth=STANDARD.digit_in_birth * _TIMES,
    swapped_birth=STANDARD.swapped_birth * _TIMES,
    buddhist_birth=STANDARD.buddhist_birth * _TIMES,
    misconverted_birth=STANDARD.misconverted_birth * _TIMES,
    first_of_january=STANDARD.first_of_january * _TIMES,
    year_alone=STANDARD.year_alone * _TIMES,
    no_birth=STANDARD.no_birth * _TIMES,
    no_phone=0.45,
    no_place=0.20,
    wrong_place=STANDARD.wrong_place * _TIMES,
    no_family=STANDARD.no_family * _TIMES,
    twins=STANDARD.twins * _TIMES,
    namesakes=STANDARD.namesakes * _TIMES,
)


def rates_of(level: Level, ids: Ids) -> Rates:
    """The rates of that level, with wrong numbers where these are asked for."""
    rates = HARD if level is Level.HARD else STANDARD
    if ids is not Ids.WRONG:
        return rates
    # Five in a hundred of all, by card or not: a rule that trusts the number alone then joins strangers by the thousand.
    return replace(rates, digits_swapped_in_id=0.015, digit_in_id=0.015, relatives_id=0.012, dummy_id=0.015)
