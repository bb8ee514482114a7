"""Figures are those of the answers, and a failure counts as one whatever it was."""

import pytest

from tools.load.tally import Tally, percentile


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(share, value):
    assert percentile([float(number) for number in range(100, 0, -1)], share) == value


def test_of_one_answer_every_percentile_is_that_answer_and_of_none_zero():
    assert percentile([0.3], 0.99) == 0.3
    assert percentile([], 0.5) == 0.0


def test_refusals_and_broken_connections_are_failures_of_their_kind():
    tally = Tally()
    tally.answered("read", 0.010, 200, b"")
    tally.answered("read", 0.020, 503, b"DATABASE_UNAVAILABLE")
    tally.broke("write", ConnectionError("reset"))
    assert (tally.requests, tally.failed) == (3, 2)
    assert tally.failures == {"read": {"503": 1}, "write": {"ConnectionError": 1}}
    assert tally.first["read"] == "503 DATABASE_UNAVAILABLE"
    rows = {kind: rest for kind, *rest in tally.rows()}
    assert rows["read"][:2] == [2, 1]
    assert rows["write"][:2] == [0, 1]
    assert rows["all"] == [2, 2, 10.0, 20.0, 20.0]
