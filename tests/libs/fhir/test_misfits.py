"""Where in a text stands what no resource may hold."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.fhir.misfits import CHARACTER, MAX_DEPTH, NO_NUMBER, TOO_DEEP, TOO_LARGE, TOO_LONG, TWICE, misfit_in

_names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=6)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | _names,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=4),
)


@pytest.mark.parametrize(
    ("text", "what", "expression", "line", "column"),
    [
        ('{"a":1,"a":2}', TWICE, "a", 1, 8),
        ('{"resourceType":"Basic",\n"b":[1,{"c":1,\n "c":2}]}', TWICE, "Basic.b[1].c", 3, 2),
        ('{"\\u0061":1,"a":2}', TWICE, "a", 1, 13),
        ('{"a":[{"b":1},{"b":1}],"a":1}', TWICE, "a", 1, 24),
        ('{"a":[1,-Infinity]}', NO_NUMBER, "a[1]", 1, 9),
        ('[{"a":1e400}]', TOO_LARGE, "[0].a", 1, 7),
        ('{"a":' + "1" * 41 + "}", TOO_LONG, "a", 1, 6),
        ('{"a":{"b":"\\u0007"}}', CHARACTER, "a.b", 1, 11),
        ('{"a":[["\\ud800"]]}', CHARACTER, "a[0][0]", 1, 8),
        ('{"a":{"b\\u0001":1}}', CHARACTER, "a", 1, 7),
        ('{"what the caller wrote":{"x":NaN}}', NO_NUMBER, "", 1, 31),
        ('{"a":' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}", TOO_DEEP, "a" + "[0]" * (MAX_DEPTH - 1), 1, MAX_DEPTH + 5),
    ],
)
def test_the_first_misfit_is_found_where_it_stands(text, what, expression, line, column):
    assert misfit_in(text) == (what, expression, line, column)


@given(_values, st.sampled_from([None, 1]), st.booleans())
def test_what_is_sound_has_none(value, indent, ascii_only):
    assert misfit_in(json.dumps(value, indent=indent, ensure_ascii=ascii_only)) is None


@given(st.text('{}[],:"\\u0da1e9- \nNaN', max_size=40))
def test_whatever_the_text_it_ends(text):
    found = misfit_in(text)
    assert found is None or (found.line >= 1 and found.column >= 1)
