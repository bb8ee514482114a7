"""Bodies: read strictly, written without loss."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.fhir.body import BodyError, canonical, dump, parse, read_exactly
from libs.fhir.misfits import MAX_DEPTH

words = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=9)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from("abcdef"), json_values))
def test_what_is_written_is_read_back(value):
    assert parse(dump(value)) == value


@pytest.mark.parametrize(
    "number", ["1.00", "0.10", "1e3", "12345678901234567890", "3.14", "100", "-0", "-0.0", "1.0E-5"]
)
def test_a_number_keeps_the_form_it_was_written_in(number):
    assert dump(parse(f'{{"value":{number}}}'.encode())) == f'{{"value":{number}}}'.encode()


def test_equal_content_has_equal_canonical_bytes():
    assert canonical(parse(b'{"b":1.50,"a":[{"d":1,"c":2}]}')) == canonical(parse(b'{"a":[{"c":2,"d":1}],"b":1.50}'))
    assert canonical(parse(b'{"a":1.5}')) != canonical(parse(b'{"a":1.50}'))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"a":1', "not JSON"),
        (b"", "not JSON"),
        (b'{"a":1,"a":2}', "a stands twice"),
        (b'{"a":{"b":1,"b":1}}', "b stands twice"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":1e999}', "too large"),
        (b'{"a":' + b"9" * 400 + b"}", "more digits"),
        (b'["a"]', "JSON object"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b'{"a":"\\u0000"}', "a string holds a character"),
        (b'{"a":"\\ud800"}', "a string holds a character"),
        (b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", "nested deeper"),
        (b'{"a":' * 100000, "nested deeper"),
    ],
)
def test_what_is_no_resource_is_refused(raw, said):
    with pytest.raises(BodyError, match=said):
        parse(raw)


def test_depth_is_counted_and_brackets_in_strings_are_not():
    deep = b'{"a":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}"
    assert parse(deep)
    assert parse(b'{"a":"' + b"[" * 500 + b'"}')


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"b":"x: y, z"}',
        b'{"a": 1, "b": [1.5, true, null]}',
        '{"a":"ไทย"}'.encode(),
        b'{"a":123456789012345}',
    ],
)
def test_what_says_all_that_its_bytes_say_is_read_at_once(raw):
    assert read_exactly(raw) == json.loads(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":1}',
        b'{"a": 1, "a": 1}',
        b'{"a":{"b":1,"b":2}}',
        b'{"\\u0061":1,"a":2}',
        b'{"a":1.00}',
        b'{"a":1E5}',
        b'{"a":-0}',
        b'{"a":12345678901234567}',
        b'{"a":1 ,"b":2}',
        b'{"a":\n1}',
        b'{"a":"\\u0e01"}',
        b'{"a":1',
        b"",
        b"\xff",
    ],
)
def test_what_may_say_more_is_left_to_the_careful_reader(raw):
    assert read_exactly(raw) is None
