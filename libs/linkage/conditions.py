"""What a level of a comparison asks of a pair, as data that reads as Python and as SQL alike.

A condition that needs a value which one side does not have is not met: in SQL it is NULL, which no CASE takes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from rapidfuzz.distance import DamerauLevenshtein, JaroWinkler

Value = str | int | None
Row = Mapping[str, Value]
Condition = Mapping[str, Any]
"""`test` names one of TESTS, the rest are its arguments."""
Met = Callable[[Row, Row], bool]


class ConditionError(ValueError):
    """A condition cannot be read; the message says which and why."""


def columns_of(condition: Condition) -> tuple[str, ...]:
    """The columns that a condition looks at, each once."""
    if condition["test"] in _JOINED:
        return tuple(dict.fromkeys(column for one in condition["of"] for column in columns_of(one)))
    return tuple(dict.fromkeys(condition[name] for name in ("column", "other") if name in condition))


def read(condition: Condition) -> Met:
    """The condition as a function of a pair. Raises ConditionError."""
    return _tested(condition)[0](condition)


def sql(condition: Condition) -> str:
    """The condition as SQL of DuckDB over columns `<name>_l` and `<name>_r`. Raises ConditionError."""
    return _tested(condition)[1](condition)


def is_equality(condition: Condition, column: str) -> bool:
    """True if the condition is that this column is the same on both sides, and nothing more."""
    return bool(condition["test"] == "equal" and condition["column"] == column)


def _tested(condition: Condition) -> tuple[Callable[[Condition], Met], Callable[[Condition], str]]:
    test = str(condition.get("test"))
    if test not in TESTS:
        raise ConditionError(f"no test is named {test!r}; there are {', '.join(sorted(TESTS))}")
    needed = _ARGUMENTS[test]
    if condition.keys() != needed:
        raise ConditionError(f"{test} takes {', '.join(sorted(needed))}; given: {', '.join(sorted(condition))}")
    return TESTS[test]


def _equal(told: Condition) -> Met:
    column = told["column"]
    return lambda one, other: one[column] is not None and one[column] == other[column]


def _equal_sql(told: Condition) -> str:
    return f"{told['column']}_l = {told['column']}_r"


def _alike(told: Condition) -> Met:
    column, least = told["column"], told["least"]

    def is_met(one: Row, other: Row) -> bool:
        first, second = one[column], other[column]
        if first is None or second is None:
            return False
        return bool(JaroWinkler.similarity(str(first), str(second)) >= least)

    return is_met


def _alike_sql(told: Condition) -> str:
    return f"jaro_winkler_similarity({told['column']}_l, {told['column']}_r) >= {told['least']!r}"


def _slips(told: Condition) -> Met:
    column, most, letters = told["column"], told["most"], told["letters"]

    def is_met(one: Row, other: Row) -> bool:
        first, second = one[column], other[column]
        if first is None or second is None or min(len(str(first)), len(str(second))) < letters:
            return False
        return bool(DamerauLevenshtein.distance(str(first), str(second), score_cutoff=most) <= most)

    return is_met


def _slips_sql(told: Condition) -> str:
    one, other = f"{told['column']}_l", f"{told['column']}_r"
    return (
        f"least(length({one}), length({other})) >= {told['letters']} "
        f"and damerau_levenshtein({one}, {other}) <= {told['most']}"
    )


def _crossed(told: Condition) -> Met:
    column, other_column = told["column"], told["other"]

    def is_met(one: Row, other: Row) -> bool:
        values = (one[column], one[other_column], other[other_column], other[column])
        return None not in values and values[0] == values[2] and values[1] == values[3]

    return is_met


def _crossed_sql(told: Condition) -> str:
    one, two = told["column"], told["other"]
    return f"{one}_l = {two}_r and {two}_l = {one}_r"


def _either(told: Condition) -> Met:
    column, other_column = told["column"], told["other"]

    def is_met(one: Row, other: Row) -> bool:
        return (one[column] is not None and one[column] == other[other_column]) or (
            one[other_column] is not None and one[other_column] == other[column]
        )

    return is_met


def _either_sql(told: Condition) -> str:
    one, two = told["column"], told["other"]
    return f"{one}_l = {two}_r or {two}_l = {one}_r"


def _begin(told: Condition) -> Met:
    column, letters = told["column"], told["letters"]

    def is_met(one: Row, other: Row) -> bool:
        first, second = one[column], other[column]
        if first is None or second is None:
            return False
        return len(str(first)) >= letters and str(first)[:letters] == str(second)[:letters]

    return is_met


def _begin_sql(told: Condition) -> str:
    column, letters = told["column"], told["letters"]
    return f"length({column}_l) >= {letters} and left({column}_l, {letters}) = left({column}_r, {letters})"


def _lacks(told: Condition) -> Met:
    column = told["column"]
    return lambda one, other: one[column] is None or other[column] is None


def _lacks_sql(told: Condition) -> str:
    return f"{told['column']}_l is null or {told['column']}_r is null"


def _apart(told: Condition) -> Met:
    column, gaps = told["column"], frozenset(told["by"])

    def is_met(one: Row, other: Row) -> bool:
        gap = _gap(one[column], other[column])
        return gap is not None and gap in gaps

    return is_met


def _apart_sql(told: Condition) -> str:
    gaps = ", ".join(str(int(gap)) for gap in told["by"])
    return f"abs({told['column']}_l - {told['column']}_r) in ({gaps})"


def _within(told: Condition) -> Met:
    column, most = told["column"], told["most"]

    def is_met(one: Row, other: Row) -> bool:
        gap = _gap(one[column], other[column])
        return gap is not None and gap <= most

    return is_met


def _within_sql(told: Condition) -> str:
    return f"abs({told['column']}_l - {told['column']}_r) <= {told['most']!r}"


def _gap(one: Value, other: Value) -> int | None:
    return None if one is None or other is None else abs(int(one) - int(other))


def _rivals(told: Condition) -> Met:
    column, least, times = told["column"], told["least"], told["times"]

    def is_met(one: Row, other: Row) -> bool:
        first, second = one[column], other[column]
        if first is None or second is None:
            return False
        fewer, more = sorted((int(first), int(second)))
        return bool(fewer >= least and fewer * times >= more)

    return is_met


def _rivals_sql(told: Condition) -> str:
    one, other = f"{told['column']}_l", f"{told['column']}_r"
    return f"least({one}, {other}) >= {told['least']!r} and least({one}, {other}) * {told['times']!r} >= greatest({one}, {other})"


def _words(told: Condition) -> Met:
    column, least, share = told["column"], told["least"], told["share"]

    def is_met(one: Row, other: Row) -> bool:
        first, second = one[column], other[column]
        if first is None or second is None:
            return False
        mine, theirs = set(str(first).split(" ")), set(str(second).split(" "))
        common = len(mine & theirs)
        return bool(common >= least and common >= share * min(len(mine), len(theirs)))

    return is_met


def _words_sql(told: Condition) -> str:
    one, other = (f"string_split({told['column']}_{side}, ' ')" for side in "lr")
    common = f"len(list_intersect({one}, {other}))"
    fewer = f"least(len(list_distinct({one})), len(list_distinct({other})))"
    return f"{common} >= {told['least']!r} and {common} >= {told['share']!r} * {fewer}"


def _any(told: Condition) -> Met:
    parts: Sequence[Met] = [read(one) for one in told["of"]]
    return lambda one, other: any(part(one, other) for part in parts)


def _all(told: Condition) -> Met:
    parts: Sequence[Met] = [read(one) for one in told["of"]]
    return lambda one, other: all(part(one, other) for part in parts)


def _joined_sql(word: str) -> Callable[[Condition], str]:
    return lambda told: word.join(f"({sql(one)})" for one in told["of"])


_JOINED: Final = frozenset({"any", "all"})
TESTS: Final[Mapping[str, tuple[Callable[[Condition], Met], Callable[[Condition], str]]]] = {
    "equal": (_equal, _equal_sql),
    "alike": (_alike, _alike_sql),
    "slips": (_slips, _slips_sql),
    "crossed": (_crossed, _crossed_sql),
    "either": (_either, _either_sql),
    "begin": (_begin, _begin_sql),
    "lacks": (_lacks, _lacks_sql),
    "apart": (_apart, _apart_sql),
    "within": (_within, _within_sql),
    "rivals": (_rivals, _rivals_sql),
    "words": (_words, _words_sql),
    "any": (_any, _joined_sql(" or ")),
    "all": (_all, _joined_sql(" and ")),
}
"""Each test as Python and as SQL.

equal: the same. alike: Jaro and Winkler's similarity of at least `least`. slips: at most `most` letters wrong, missing,
too many or changed places, in words of `letters` or more. crossed: two columns have changed places. either: one of two
columns says what the other says on the other side. begin: the first `letters` are the same. lacks: one side has no value.
apart: whole numbers that differ by one of `by`. within: by `most` or less. rivals: counts of at least `least`, neither more
than `times` the other: two spellings so common are two names, and neither a slip of the other. words: of the words,
parted by single blanks, at least `least` in common, and `share` of those of the side that has fewer. any, all: of these.
"""
_ARGUMENTS: Final[Mapping[str, frozenset[str]]] = {
    "equal": frozenset({"test", "column"}),
    "alike": frozenset({"test", "column", "least"}),
    "slips": frozenset({"test", "column", "most", "letters"}),
    "crossed": frozenset({"test", "column", "other"}),
    "either": frozenset({"test", "column", "other"}),
    "begin": frozenset({"test", "column", "letters"}),
    "lacks": frozenset({"test", "column"}),
    "apart": frozenset({"test", "column", "by"}),
    "within": frozenset({"test", "column", "most"}),
    "rivals": frozenset({"test", "column", "least", "times"}),
    "words": frozenset({"test", "column", "least", "share"}),
    "any": frozenset({"test", "of"}),
    "all": frozenset({"test", "of"}),
}
