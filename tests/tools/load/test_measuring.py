"""Every profile runs against a real platform, and what it costs is read from its processes."""

import pytest

from tools.capacity.measuring import measure
from tools.load.profiles import NIGHTLY_FILES, PROFILES
from tools.nhip.services import SERVICES


@pytest.mark.xdist_group("whole")
def test_a_short_day_of_each_profile_is_answered_and_costs_something_everywhere():
    found = measure(people=60, rate=1.0, seconds=4.0)
    assert [day.name for day in found.days] == [*(profile.name for profile in PROFILES), NIGHTLY_FILES]
    assert all(day.units > 0 and not day.failed for day in found.days)
    assert found.memory_bytes.keys() == {service.name for service in SERVICES}
    for day in found.days:
        assert day.cost.services["edge"] + day.cost.services["exchange"] > 0
        assert day.cost.services["records"] > 0
        assert day.cost.databases["records"] > 0
        assert day.cost.log_bytes > 0
