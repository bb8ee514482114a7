"""Joining in the order of the weights, never across what is held apart."""

from hypothesis import given
from hypothesis import strategies as st

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


def test_twins_and_namesakes_may_not_be_joined():
    givens = ["missing", "exact", "similar", "close", "different"]
    births = ["missing", "exact", "partial", "swapped", "era", "near", "different"]
    assert deciding.may_join(givens, births) == "given in (1, 2) and birth in (1, 2, 3, 4, 5)"
