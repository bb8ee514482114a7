"""The arithmetic of capacity, by examples that can be reckoned by hand."""

import pytest

from tools.capacity.model import Cost, Demand, plan

VISIT = Cost({"edge": 0.02, "records": 0.05}, {"records": 0.03, "postgresql": 0.01}, 40_000, 10_000)
ROW = Cost({"edge": 0.0, "records": 0.0004, "exchange": 0.0008}, {"records": 0.0002, "exchange": 0.0002}, 4_000, 2_000)
DEMAND = Demand("a day", visits_a_second=10, visits_a_day=100_000, rows_a_day=2_160_000, night_hours=6)


def of(name, found):
    return next(service for service in found.services if service.name == name)


def test_pods_are_what_the_peak_takes_with_half_of_each_core_idle():
    found = plan(DEMAND, VISIT, ROW)
    # 10 visits a second of 50 ms: half a core, and so one pod, of which there are at least two.
    assert of("records", found).cores == pytest.approx(0.5)
    assert of("records", found).pods == 2
    heavier = plan(DEMAND.part("ten", 10), VISIT, ROW)
    assert of("records", heavier).pods == 10
    assert of("edge", heavier).pods == 4


def test_the_night_decides_where_it_takes_more_than_the_day():
    found = plan(DEMAND, VISIT, ROW)
    # 100 rows a second of 0.8 ms.
    assert DEMAND.rows_a_second == pytest.approx(100)
    assert of("exchange", found).cores == pytest.approx(0.08)


def test_what_postgresql_does_for_all_is_laid_on_each_database_by_its_part():
    found = plan(DEMAND, VISIT, ROW)
    # 30 ms and the 10 ms that are nobody's, ten times a second.
    assert of("records", found).database_cores == pytest.approx(0.4)
    assert of("records", found).database_given == 1
    assert of("edge", found).database_given == 0


def test_the_log_is_reckoned_at_its_worst_and_by_the_day_and_what_stays_by_the_year():
    found = plan(DEMAND, VISIT, ROW)
    assert found.log_bytes_a_second == pytest.approx(max(10 * 40_000, 100 * 4_000))
    assert found.log_bytes_a_day == pytest.approx(100_000 * 40_000 + 2_160_000 * 4_000)
    assert found.stored_bytes_a_year == pytest.approx(365 * (100_000 * 10_000 + 2_160_000 * 2_000))


def test_a_part_of_the_demand_has_that_part_of_everything_and_the_same_night():
    region = DEMAND.part("a region", 0.1)
    assert (region.visits_a_second, region.rows_a_day, region.night_hours) == (1.0, 216_000, 6)


def test_all_together_are_the_sum_of_the_services():
    found = plan(DEMAND, VISIT, ROW)
    assert found.pods == sum(service.pods for service in found.services) == 6
    assert found.database_given == sum(service.database_given for service in found.services)
