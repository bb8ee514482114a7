"""Joining in the order of the weights, never across what is held apart."""

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.linkage import person
from libs.linkage.model import read_model
from tools.linkage.batch import deciding

PAIRS = st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), max_size=40)


def test_links_are_transitive():
    persons = deciding.join(6, [(0, 1), (2, 3), (1, 2)], [])
    assert sorted(deciding.groups(persons)) == [(0, 1, 2, 3)]
    assert persons.cluster_of(4) != persons.cluster_of(5)


def test_two_who_are_apart_never_come_together_through_a_third():
    persons = deciding.join(3, [(0, 1), (1, 2)], [(0, 2)])
    assert list(deciding.groups(persons)) == [(0, 1)]
    assert list(deciding.groups(deciding.join(3, [(1, 2), (0, 1)], [(0, 2)]))) == [(1, 2)]


@given(PAIRS, PAIRS)
def test_nobody_is_with_somebody_they_are_apart_from(links, apart):
    apart = [pair for pair in apart if pair[0] != pair[1]]
    persons = deciding.join(16, links, apart)
    assert all(persons.cluster_of(one) != persons.cluster_of(other) for one, other in apart)
    for members in deciding.groups(persons):
        assert len({persons.cluster_of(member) for member in members}) == 1


@given(PAIRS)
def test_without_anybody_apart_every_link_is_kept(links):
    persons = deciding.join(16, links, [])
    assert all(persons.cluster_of(one) == persons.cluster_of(other) for one, other in links)


_LABELS = {
    comparison.field: ["missing", *(level.name for level in comparison.levels)]
    for comparison in read_model(person.template()).comparisons
    if comparison.field in deciding.LEVELS
}


def meets(condition, **levels):
    numbers = {name: _LABELS[name].index(level) for name, level in {**_USUAL, **levels}.items()}
    given, family, birth, citizen_id = (numbers[name] for name in ("given", "family", "birth", "citizen_id"))
    query = f"select {condition} from (select {given} as given, {family} as family, {birth} as birth, {citizen_id} as citizen_id)"
    return duckdb.connect().execute(query).fetchall()[0][0]


_USUAL = {"given": "exact", "family": "exact", "birth": "exact", "citizen_id": "missing"}


@pytest.mark.parametrize(
    ("levels", "joined"),
    [
        ({}, True),
        ({"given": "sound"}, True),
        ({"birth": "era"}, True),
        ({"given": "different"}, False),
        ({"given": "rival"}, False),
        ({"birth": "different"}, False),
        ({"birth": "missing"}, False),
        ({"given": "skeleton"}, False),
        ({"given": "skeleton", "family": "missing"}, True),
        ({"given": "skeleton", "family": "missing", "birth": "partial"}, False),
        ({"citizen_id": "different"}, True),
        ({"citizen_id": "different", "given": "similar"}, False),
    ],
)
def test_a_pair_may_be_joined_by_its_levels(levels, joined):
    assert meets(deciding.may_join(_LABELS), **levels) is joined


def test_two_names_on_one_birthday_are_twins():
    assert meets(deciding.are_twins(_LABELS), given="rival")
    assert meets(deciding.are_twins(_LABELS), given="different")
    assert not meets(deciding.are_twins(_LABELS), given="similar")
    assert not meets(deciding.are_twins(_LABELS), given="different", birth="slip")
