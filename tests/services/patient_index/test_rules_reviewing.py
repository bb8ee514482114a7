"""What verdicts come to, how urgent pairs are, and what a blind sample tells."""

from datetime import date

import pytest

from services.patient_index.model import Grade, Judged, Judgement, Match, Verdict
from services.patient_index.rules.matching import NUMBER_CONTRADICTED
from services.patient_index.rules.measuring import Proportion, agreement, qualities, settled, strata_of
from services.patient_index.rules.reviewing import REVIEW_RULES, agreed, is_disputed
from tests.services.patient_index.people import a_person

SAME, DIFFERENT, UNSURE = Verdict.SAME, Verdict.DIFFERENT, Verdict.UNSURE

COME_TO = [
    ([SAME], 1, SAME),
    ([SAME], 2, None),
    ([SAME, SAME], 2, SAME),
    ([UNSURE], 1, None),
    ([UNSURE, DIFFERENT], 1, DIFFERENT),
    ([SAME, DIFFERENT], 1, None),
    ([SAME, DIFFERENT, DIFFERENT], 1, DIFFERENT),
    ([SAME, DIFFERENT, UNSURE, SAME], 2, SAME),
    ([], 1, None),
]


@pytest.mark.parametrize(("verdicts", "needed", "outcome"), COME_TO)
def test_so_many_as_needed_say_the_same_and_more_than_say_otherwise(verdicts, needed, outcome):
    said = [Judgement(f"reviewer/{number}", verdict) for number, verdict in enumerate(verdicts)]
    assert agreed(said, needed) is outcome


def test_who_disagrees_or_is_unsure_makes_a_dispute():
    def said(*verdicts):
        return [Judgement("r", one) for one in verdicts]

    assert not is_disputed(said(SAME, SAME))
    assert is_disputed(said(UNSURE))
    assert is_disputed(said(SAME, DIFFERENT))


def a_match(rule: str = "", weight: float = 5.0) -> Match:
    return Match("other", Grade.PROBABLE, weight, 0.5, (), rule)


def test_contradicted_numbers_come_first_and_need_four_eyes_and_so_do_large_persons():
    assert REVIEW_RULES.priority(a_match(NUMBER_CONTRADICTED)) > REVIEW_RULES.priority(a_match(weight=12.0))
    assert REVIEW_RULES.reviewers_needed(a_match(NUMBER_CONTRADICTED), 2) == 2
    assert [REVIEW_RULES.reviewers_needed(a_match(), count) for count in (2, 5, 6)] == [1, 1, 2]


# From the closed form, computed by hand: (counted, total, low, high).
INTERVALS = [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (98, 100, 0.9300, 0.9945), (10, 10, 0.7225, 1.0)]


@pytest.mark.parametrize(("counted", "total", "low", "high"), INTERVALS)
def test_intervals_are_wilsons(counted, total, low, high):
    assert Proportion(counted, total).interval == pytest.approx((low, high), abs=5e-5)


def test_of_nothing_nothing_is_known():
    assert (Proportion(0, 0).share, Proportion(0, 0).interval) == (0.0, (0.0, 1.0))


def judged(*verdicts: Verdict, linked: bool = True, region: str = "01") -> Judged:
    return Judged(linked, {"region": region}, verdicts)


def test_precision_and_recall_are_estimated_over_all_and_by_stratum():
    sample = [
        *[judged(SAME, SAME) for _ in range(8)],
        judged(DIFFERENT, DIFFERENT, region="13"),
        judged(SAME, SAME, linked=False, region="13"),
        judged(SAME, SAME, linked=False),
        judged(DIFFERENT, DIFFERENT, linked=False),
        judged(SAME),
        judged(SAME, DIFFERENT),
        judged(SAME, UNSURE),
    ]
    total, bangkok, *rest = qualities(sample)[:1] + qualities(sample)[2:] + qualities(sample)[1:2]
    assert (total.precision, total.recall) == (Proportion(8, 9), Proportion(8, 10))
    assert (bangkok.stratum, bangkok.precision, bangkok.recall) == ("13", Proportion(0, 1), Proportion(0, 1))
    assert [(one.stratum, one.precision, one.recall) for one in rest] == [("01", Proportion(8, 8), Proportion(8, 9))]
    assert agreement(sample) == Proportion(12, 14)


def test_two_who_disagree_wait_for_a_third():
    assert settled([SAME, DIFFERENT]) is None
    assert settled([SAME, DIFFERENT, SAME]) is SAME


STRATA = [
    ({}, {"region": "01", "age": "40-64", "nationality": "thai", "script": "thai"}),
    ({"place": "", "born": "", "nationality": ""}, dict.fromkeys(("region", "age", "nationality"), "unknown")),
    ({"born": "2026-11-27"}, {"age": "0-4"}),
    ({"born": "1961-11-28"}, {"age": "40-64"}),
    ({"born": "1961-11-27"}, {"age": "65+"}),
    (
        {"nationality": "048", "given": "", "family": "", "roman": ("Aung", "Min")},
        {"nationality": "other", "script": "roman"},
    ),
    ({"roman": ("Somchai", "Jaidee")}, {"script": "both"}),
]


@pytest.mark.parametrize(("told", "expected"), STRATA)
def test_strata_are_few_and_nobodys(told, expected):
    found = strata_of(a_person(**told), date(2026, 11, 27))
    assert {name: found[name] for name in expected} == expected
