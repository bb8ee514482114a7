"""Whether two registrations are one person: deterministic rules first, then the model's weight, held back by vetoes."""

from enum import Enum

from libs.thai import identifiers
from services.patient_index.model import Features, Grade, Match, Shares
from services.patient_index.rules import comparing
from services.patient_index.rules.comparing import DIFFERENT, EXACT, SAME, SIMILAR, SWAPPED
from services.patient_index.rules.registering import PASSPORTS, number_of
from services.patient_index.rules.weighing import FS_1, NO_SHARES, Model, probability

SAME_NUMBER_AND_BIRTH = "citizen-id-and-birth-date"
SAME_NUMBER_AND_NAME = "citizen-id-and-name"
SAME_PASSPORT_AND_BIRTH = "passport-and-birth-date"
SAME_PERMIT_AND_BIRTH = "work-permit-and-birth-date"
# Rules that ask for a review.
NUMBER_CONTRADICTED = "citizen-id-contradicted"
PERSON_CONTRADICTED = "person-contradicted"


class Claim(Enum):
    """What a citizen id is worth that two registrations show."""

    SOUND = "sound"
    """Those who show it agree with each other."""
    DISPUTED = "disputed"
    """Few show it, and they contradict each other: one of them is a slip."""
    SHARED = "shared"
    """Many show it who are not one person: a dummy number. It says nothing."""


def match(
    registration_id: str,
    one: Features,
    other: Features,
    claim: Claim,
    shares: Shares = NO_SHARES,
    *,
    is_thorough: bool = False,
    model: Model = FS_1,
) -> Match:
    """What the rules, else the model, say about `one` and the registration whose features are `other`.

    `claim` is what a citizen id is worth that both show; `model` decides where no rule does. A rule that decides spares the
    model, unless `is_thorough`.
    """
    rule = certain_rule(one, other, claim)
    if rule and not is_thorough:
        return Match(registration_id, Grade.CERTAIN, 0.0, 1.0, (), rule)
    fields = model.weigh(one, other, shares)
    shows_one_number = bool(number_of(one.identifiers)) and comparing.citizen_id_level(one, other) == SAME
    if shows_one_number and claim is Claim.SHARED:
        fields = tuple(field for field in fields if field.field != "citizen_id")
    weight = model.total(fields)
    if rule:
        grade = Grade.CERTAIN
    elif shows_one_number and claim is not Claim.SHARED:
        grade, rule = Grade.PROBABLE, NUMBER_CONTRADICTED
    else:
        grade = max(model.grade(weight), ceiling(one, other))
    return Match(registration_id, grade, weight, probability(weight), fields, rule, model.name)


def certain_rule(one: Features, other: Features, claim: Claim) -> str:
    """The name of the rule by which two are certainly one person; empty if none says so."""
    number, other_number = number_of(one.identifiers), number_of(other.identifiers)
    if (number and other_number and number != other_number) or comparing.contradict(one, other):
        return ""
    born_alike = comparing.birth_level(one, other) == EXACT
    if claim is Claim.SOUND and number and number == other_number:
        if born_alike:
            return SAME_NUMBER_AND_BIRTH
        if comparing.agree(one, other):
            return SAME_NUMBER_AND_NAME
    if born_alike and comparing.sex_level(one, other) != DIFFERENT:
        shared = {mine.system for mine in one.identifiers if mine in other.identifiers}
        same_nation = bool(one.nationality) and one.nationality == other.nationality
        if same_nation and any(system.startswith(PASSPORTS) for system in shared):
            return SAME_PASSPORT_AND_BIRTH
        if identifiers.WORK_PERMIT in shared:
            return SAME_PERMIT_AND_BIRTH
    return ""


def ceiling(one: Features, other: Features) -> Grade:
    """The surest grade that a weight alone may give to these two, however high it is.

    Brothers and sisters born on one day, fathers and sons of one name, and holders of two valid numbers look more alike
    than most pairs of one person do.
    """
    given = comparing.given_level(one, other)
    birth = comparing.birth_level(one, other)
    if given == DIFFERENT or comparing.are_a_generation_apart(one, other) or comparing.contradict(one, other):
        return Grade.POSSIBLE
    if comparing.have_other_citizen_ids(one, other):
        return Grade.PROBABLE if given == EXACT and birth == EXACT else Grade.POSSIBLE
    is_certain = (
        given == EXACT
        and comparing.family_level(one, other) in (EXACT, SIMILAR)
        and birth in (EXACT, SWAPPED)
        and comparing.sex_level(one, other) != DIFFERENT
    )
    return Grade.CERTAIN if is_certain else Grade.PROBABLE


def forbids_linking(one: Features, other: Features) -> bool:
    """True if two may not stand in one person unless somebody puts them there: two valid numbers, or a contradiction."""
    return comparing.have_other_citizen_ids(one, other) or comparing.contradict(one, other)
