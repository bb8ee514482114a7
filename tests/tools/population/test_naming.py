"""Names and draws."""

from hypothesis import given
from hypothesis import strategies as st

from libs.thai import citizen_id, names
from tools.population import naming, numbers
from tools.population.draws import Draws, Table


def test_there_are_hundreds_of_names_in_both_scripts():
    for sex in ("male", "female"):
        listed = naming.given_names(sex)
        assert len({name.thai for name in listed}) == len(listed) >= 180
    families = naming.families()
    assert len(families) >= 700
    assert all(name.roman and name.roman[0].isupper() for name in (*families, *naming.given_names("male")))
    assert all(names.normalize(name.thai) == name.thai for name in (*families, *naming.given_names("female")))


def test_a_disordered_name_normalizes_to_the_name():
    for name in naming.given_names("female"):
        sent = naming.disorder(name.thai)
        assert sent != name.thai
        assert names.normalize(sent) == name.thai


@given(st.integers(0, 500))
def test_a_misspelt_name_is_near_the_name(seed):
    draws = Draws(str(seed))
    name = naming.given_name(draws, "male").thai
    assert abs(len(naming.misspell(draws, name)) - len(name)) <= 2


@given(st.integers(0, 10**6), st.sets(st.integers(0, 10**9), min_size=2, max_size=50))
def test_citizen_ids_of_different_people_differ_and_are_synthetic(seed, people):
    made = {numbers.citizen_id(seed, person) for person in people}
    assert len(made) == len(people)
    assert all(citizen_id.is_synthetic(number) for number in made)


@given(st.text(max_size=20))
def test_draws_depend_on_their_seed_alone(seed):
    one, other = Draws(seed), Draws(seed)
    assert [one.fraction() for _ in range(5)] == [other.fraction() for _ in range(5)]


def test_draws_stay_the_same_between_versions_of_python():
    draws = Draws("the first household")
    assert [draws.between(0, 999) for _ in range(4)] == [511, 841, 586, 398]


@given(st.integers(0, 10**6))
def test_a_table_is_drawn_in_proportion(seed):
    draws = Draws(str(seed))
    table = Table((1, 0, 3))
    drawn = [draws.position(table) for _ in range(200)]
    assert 1 not in drawn
    assert drawn.count(2) > drawn.count(0)
