"""A promise is kept or missed in the direction that its figure is better in."""

import pytest

from tools.measure.results import result


@pytest.mark.parametrize(
    ("told", "is_met"),
    [
        (result("rate", 300.0, "matches/s", "", floor=299), True),
        (result("rate", 300.0, "matches/s", "", floor=301), False),
        (result("time", 5.0, "ms", "", floor=6), True),
        (result("time", 5.0, "ms", "", floor=4), False),
        (result("lost", 0.5, "%", "", floor=1), True),
        (result("recall", 99.1, "%", "", least=99), True),
        (result("recall", 98.9, "%", "", least=99), False),
        (result("told", 1.0, "%", ""), True),
    ],
)
def test_promises_are_held(told, is_met):
    assert told.is_met is is_met
