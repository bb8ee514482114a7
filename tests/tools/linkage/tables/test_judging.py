"""The matrix counts pairs."""

from tools.linkage.tables.judging import judge


def test_within_one_table_every_two_are_a_pair():
    matrix = judge([1, 1, 1, 4], ["a", "a", "b", "b"], [0, 0, 0, 0])
    told = (matrix.true_positive, matrix.false_positive, matrix.false_negative, matrix.true_negative)
    assert told == (1, 2, 1, 2)
    assert (round(matrix.precision, 4), matrix.recall, round(matrix.f1, 4)) == (0.3333, 0.5, 0.4)


def test_across_two_tables_only_pairs_across_count():
    matrix = judge([1, 1, 1, 4], ["a", "a", "a", "a"], [0, 0, 1, 1])
    told = (matrix.true_positive, matrix.false_positive, matrix.false_negative, matrix.true_negative)
    assert told == (2, 0, 2, 0)


def test_who_has_no_truth_is_one_with_nobody():
    matrix = judge([1, 1], ["", ""], [0, 0])
    assert (matrix.true_positive, matrix.false_positive) == (0, 1)
    assert (matrix.precision, matrix.recall, matrix.f1) == (0.0, 1.0, 0.0)
