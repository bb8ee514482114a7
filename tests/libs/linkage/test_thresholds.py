"""Thresholds without labels, and one-to-one."""

import math
import random

import pytest

from libs.linkage.assigning import one_to_one
from libs.linkage.thresholds import TooFewPairsError, expected_false, threshold


def _pairs(seed: int, false: int, true: int, slope: float):
    """Weights of false pairs that thin out by `slope` bits, and of true ones far above."""
    chance = random.Random(seed)  # noqa: S311 (a test that runs the same each time)
    return (
        [-40.0 + chance.expovariate(1 / slope) for _ in range(false)],
        [chance.gauss(30.0, 8.0) for _ in range(true)],
    )


@pytest.mark.parametrize("slope", [2.0, 4.0, 6.0])
def test_the_precision_asked_for_is_reached_without_labels(slope):
    false, true = _pairs(7, 50_000, 5_000, slope)
    at = threshold(false + true, 0.995)
    above_false, above_true = sum(one >= at for one in false), sum(one >= at for one in true)
    assert above_true / (above_true + above_false) >= 0.995
    assert above_true / len(true) > 0.95, "and most of the true pairs are above"


def test_a_heavier_tail_raises_the_threshold():
    light, heavy = (
        threshold([*false, *true], 0.999) for false, true in (_pairs(3, 50_000, 5_000, s) for s in (4.0, 7.0))
    )
    assert heavy > light + 3


def test_the_expected_false_pairs_are_about_those_there_are():
    false, true = _pairs(11, 200_000, 5_000, 5.0)
    assert sum(one >= 2.0 for one in false) == pytest.approx(expected_false(false + true, 2.0), rel=0.5)


def test_a_precision_that_nothing_reaches_is_no_threshold():
    false, _ = _pairs(5, 5_000, 0, 9.0)
    assert threshold(false, 0.9999) == math.inf


def test_pairs_far_below_even_odds_keep_the_threshold_at_the_lowest_pair_above_them():
    far = [-5_000.0 + place / 1_000 for place in range(500)]
    assert threshold([*far, 3.0, 20.0, 30.0], 0.999) == 3.0


def test_pairs_that_do_not_thin_out_give_no_threshold():
    assert threshold([*(-20.0 + place / 50 for place in range(1_000)), 20.0, 30.0], 0.9) == math.inf


def test_too_few_pairs_are_told():
    with pytest.raises(TooFewPairsError, match="2 pairs lie below even odds"):
        threshold([-3.0, -2.0, 20.0], 0.99)


def test_each_record_has_one_partner_the_heaviest():
    pairs = [
        (5.0, "a1", "b1"),
        (9.0, "a1", "b2"),
        (8.0, "a2", "b2"),
        (2.0, "a2", "b1"),
        (9.0, "a3", "b3"),
        (9.0, "a3", "b4"),
    ]
    assert one_to_one(pairs) == one_to_one(reversed(pairs))
    assert one_to_one(pairs) == [(9.0, "a1", "b2"), (9.0, "a3", "b3"), (2.0, "a2", "b1")]
