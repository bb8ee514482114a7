"""What a caller may not read changes nothing of what they are told: two stores, the same requests, equal bytes."""

import pytest

from services.records.store.searching import pages
from services.records.visibility import visible
from tests.noninterference import playing
from tests.noninterference.judging import CALLERS
from tests.noninterference.stores import Countries
from tests.support.postgres import template

# The world, and the request pairs of one caller in it; the long run (`make test-noninterference`) has many of both.
SEED, PAIRS = 1, 180
BY_NAME = {one.name: one for one in CALLERS}


@pytest.fixture(scope="session")
def countries(postgres):
    """The databases of a world, filled once for all tests of a worker; dropped after."""
    made = Countries(postgres, template(postgres, "records"))
    yield made
    made.drop()


@pytest.mark.parametrize("name", BY_NAME)
async def test_what_a_caller_may_not_read_changes_no_answer(countries, name):
    assert await playing.play(countries, SEED, BY_NAME[name], PAIRS) >= PAIRS


async def test_a_leak_is_found_and_told_in_few_words(countries, monkeypatch):
    # As if totals were of what everybody filed.
    monkeypatch.setattr(pages, "visible", lambda row, view: f"({visible(row, view)} OR true)")
    with pytest.raises(playing.Failure) as found:
        await playing.play(countries, SEED, BY_NAME["emergency-3"], PAIRS)
    assert len(found.value.asked) == 1
    assert len(found.value.differences) == 1
    assert "--differences" in str(found.value)
