"""How alike two registrations are, field by field, in named levels.

Each comparison is symmetric and answers MISSING where one side says nothing.
"""

from datetime import date

from rapidfuzz.distance import OSA, JaroWinkler

from services.patient_index.model import Features, Sex
from services.patient_index.rules.registering import number_of

MISSING = "missing"
EXACT, SIMILAR, CLOSE, DIFFERENT = "exact", "similar", "close", "different"
SAME, TYPO = "same", "typo"
SWAPPED, ERA, NEAR, PARTIAL = "swapped", "era", "near", "partial"
SUB_DISTRICT, DISTRICT, PROVINCE = "sub_district", "district", "province"

# Jaro–Winkler over letters and marks of folded names. Above SIMILAR_FROM lie spelling variants; above CLOSE_FROM also
# rhyming names of brothers, which is why close says little.
_SIMILAR_FROM = 0.93
_CLOSE_FROM = 0.82
_SHORTEST_FOR_A_SLIP = 5
# A two-digit Buddhist year read as one of our era: 2527 (1984) becomes 1927, 2493 (1950) becomes 1993. And one that was
# not converted at all, or twice.
_ERA_GAPS = frozenset({43, 57, 543})
_FULL_DATE = 10
_YEAR = 4
# The least age of a parent: a gap in birth years that makes father and son of namesakes.
GENERATION_YEARS = 14
_RANK = {EXACT: 3, SIMILAR: 2, CLOSE: 1, DIFFERENT: 0, MISSING: -1}


def given_level(one: Features, other: Features) -> str:
    """Of the given names, in the script in which they agree best."""
    return _best(_name_level(one.given, other.given), _name_level(one.given_roman, other.given_roman))


def family_level(one: Features, other: Features) -> str:
    """Of the family names, in the script in which they agree best."""
    return _best(_name_level(one.family, other.family), _name_level(one.family_roman, other.family_roman))


def birth_level(one: Features, other: Features) -> str:
    """Of the birth dates: also day and month swapped, eras confused, one part off."""
    first, second = one.birth_date, other.birth_date
    if not first or not second:
        return MISSING
    if first == second:
        return EXACT if len(first) == _FULL_DATE else PARTIAL
    if len(first) < _FULL_DATE or len(second) < _FULL_DATE:
        known = min(len(first), len(second))
        return PARTIAL if first[:known] == second[:known] else DIFFERENT
    return _full_birth_level(first, second)


def _full_birth_level(first: str, second: str) -> str:
    year, month, day = first[:4], first[5:7], first[8:]
    other_year, other_month, other_day = second[:4], second[5:7], second[8:]
    gap = abs(int(year) - int(other_year))
    if year == other_year and month == other_day and day == other_month:
        return SWAPPED
    if month == other_month and day == other_day:
        if gap in _ERA_GAPS:
            return ERA
        return NEAR if gap == 1 or OSA.distance(year, other_year) == 1 else DIFFERENT
    if year == other_year and (month == other_month or day == other_day):
        return NEAR
    return NEAR if abs((date.fromisoformat(first) - date.fromisoformat(second)).days) == 1 else DIFFERENT


def sex_level(one: Features, other: Features) -> str:
    """Of the sexes."""
    if Sex.UNSPECIFIED in (one.sex, other.sex):
        return MISSING
    return SAME if one.sex == other.sex else DIFFERENT


def place_level(one: Features, other: Features) -> str:
    """Of the homes: the smallest area that both lie in."""
    first, second = one.place_code, other.place_code
    if not first or not second:
        return MISSING
    for length, level in ((6, SUB_DISTRICT), (4, DISTRICT), (2, PROVINCE)):
        if len(first) >= length and len(second) >= length and first[:length] == second[:length]:
            return level
    return DIFFERENT


def phone_level(one: Features, other: Features) -> str:
    """Of the telephones."""
    if not one.phone or not other.phone:
        return MISSING
    return SAME if one.phone == other.phone else DIFFERENT


def citizen_id_level(one: Features, other: Features) -> str:
    """Of the citizen ids: TYPO for one digit changed, or two neighbours swapped."""
    first, second = number_of(one.identifiers), number_of(other.identifiers)
    if not first or not second:
        return MISSING
    if first == second:
        return SAME
    return TYPO if OSA.distance(first, second, score_cutoff=1) == 1 else DIFFERENT


def have_other_citizen_ids(one: Features, other: Features) -> bool:
    """True if both have a citizen id and not the same."""
    first, second = number_of(one.identifiers), number_of(other.identifiers)
    return bool(first and second and first != second)


def are_a_generation_apart(one: Features, other: Features) -> bool:
    """True for birth years as of parent and child, unless a confusion of eras explains them."""
    if birth_level(one, other) != DIFFERENT:
        return False
    return abs(int(one.birth_date[:_YEAR]) - int(other.birth_date[:_YEAR])) >= GENERATION_YEARS


def agree(one: Features, other: Features) -> bool:
    """True if two who show the same number look like one person: born on the same day, or of the same name and sex.

    Never of two who contradict each other.
    """
    if contradict(one, other):
        return False
    if birth_level(one, other) == EXACT:
        return True
    return (
        sex_level(one, other) != DIFFERENT
        and given_level(one, other) in (EXACT, SIMILAR)
        and family_level(one, other) in (EXACT, SIMILAR, MISSING)
    )


def contradict(one: Features, other: Features) -> bool:
    """True if two cannot be one person, whatever number they show: of other sex and born in another year."""
    if not one.birth_date or not other.birth_date:
        return False
    return sex_level(one, other) == DIFFERENT and one.birth_date[:_YEAR] != other.birth_date[:_YEAR]


def _name_level(one: str, other: str) -> str:
    if not one or not other:
        return MISSING
    if one == other:
        return EXACT
    alike = JaroWinkler.similarity(one, other, score_cutoff=_CLOSE_FROM)
    if alike >= _SIMILAR_FROM:
        return SIMILAR
    if min(len(one), len(other)) >= _SHORTEST_FOR_A_SLIP and OSA.distance(one, other, score_cutoff=1) == 1:
        return SIMILAR
    return CLOSE if alike else DIFFERENT


def _best(one: str, other: str) -> str:
    return one if _RANK[one] >= _RANK[other] else other
