"""The page says what was measured, and follows from it alone."""

import pytest

from tools.capacity.__main__ import MEASURED, PAGE
from tools.capacity.measuring import Day, Measured, cost_of
from tools.capacity.model import Cost
from tools.capacity.page import COUNTRY, page, worst_visit
from tools.load.costs import Spent
from tools.load.profiles import NIGHTLY_FILES, PROFILES


def a_day(name: str, records: float) -> Day:
    return Day(name, 40, 2.0, 400, 0, 10.0, 20.0, 30.0, Cost({"records": records}, {"records": 0.01}, 1000.0, 500.0))


def a_measurement() -> Measured:
    days = [a_day(profile.name, 0.01 * number) for number, profile in enumerate(PROFILES, 1)]
    return Measured(
        "2026-11-28", "2 cores", "so and so", 0.1, {"records": 2.0**20}, (*days, a_day(NIGHTLY_FILES, 0.001))
    )


def test_a_measurement_is_the_same_after_it_was_kept():
    assert Measured.of(a_measurement().text()) == a_measurement()


def test_the_plan_stands_the_dearest_of_the_days():
    assert worst_visit(a_measurement()).services == {"records": pytest.approx(0.03)}


def test_the_page_names_each_profile_and_what_the_country_needs():
    text = page(a_measurement())
    for profile in PROFILES:
        assert f"| {profile.name} | 40 visits |" in text
    # 70 visits a second of 30 ms by day, 463 rows of 10 ms of the database by night, on cores that are half busy.
    assert (round(COUNTRY.visits_a_second), round(COUNTRY.rows_a_second)) == (70, 463)
    assert "| records | 2.1 | 5 | 4.6 | 10 |" in text
    assert "2026-11-28: 2 cores; so and so" in text


def test_what_the_idle_platform_spends_is_no_visits():
    idle = Spent({"records": 0.6}, {"records": 0.3}, 600.0, 0.0, {})
    spent = Spent({"records": 3.0}, {"records": 0.5}, 10_000.0, 4_000.0, {})
    # Ten seconds at rest would have cost 1 s of records, and 0.5 s of its database.
    assert cost_of(spent, idle, 10.0, 20) == Cost({"records": 0.1}, {"records": 0.0}, 450.0, 200.0)


def test_the_page_that_is_committed_is_that_of_the_measurement_that_is():
    assert PAGE.read_text(encoding="utf-8") == page(Measured.of(MEASURED.read_text(encoding="utf-8")))
