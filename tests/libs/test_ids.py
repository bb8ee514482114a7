"""New ids sort by time; derived ids depend on every part."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from libs.ids import derived_id, new_id


def test_new_ids_are_version_seven_and_unique():
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert {uuid.UUID(one).version for one in ids} == {7}
    assert {uuid.UUID(one).variant for one in ids} == {uuid.RFC_4122}


def test_new_ids_sort_by_the_millisecond_they_were_made_in(monkeypatch):
    moments = iter([1_700_000_000_000_000_000, 1_700_000_000_001_000_000, 1_700_000_001_000_000_000])
    monkeypatch.setattr("libs.ids.time.time_ns", lambda: next(moments))
    ids = [new_id() for _ in range(3)]
    assert ids == sorted(ids)


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_the_same_parts_give_the_same_id(parts):
    assert derived_id(*parts) == derived_id(*parts)


@given(st.text(), st.text())
def test_derived_ids_are_of_version_five_in_a_namespace_of_our_own(first, second):
    namespace = uuid.UUID("5f0c3c1e-6d3c-5f5a-9d8b-0d7a4e1b2c90")
    name = "\x1f".join(one.replace("\x1f", " ") for one in (first, second))
    assert derived_id(first, second) == str(uuid.uuid5(namespace, name))


def test_where_parts_are_divided_matters():
    assert derived_id("a", "bc") != derived_id("ab", "c")


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_a_derived_id_is_the_version_five_of_the_specification(parts):
    namespace = uuid.UUID("5f0c3c1e-6d3c-5f5a-9d8b-0d7a4e1b2c90")
    name = "\x1f".join(part.replace("\x1f", " ") for part in parts)
    assert derived_id(*parts) == str(uuid.uuid5(namespace, name))
