"""Strict JSON, and values by the bytes they were written in."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.errors import InvalidArgumentError
from services.edge import soundjson

_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
_numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_values = st.recursive(
    st.none() | st.booleans() | _numbers | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
)


@given(_values, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_sound_documents_read_as_python_reads_them(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert soundjson.parse(text.encode()) == value


@given(_values)
def test_a_pretty_document_says_the_same(value):
    assert json.loads(soundjson.pretty(json.dumps(value).encode())) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body):
    try:
        soundjson.parse(body)
    except InvalidArgumentError as error:
        refused = error.reason
    else:
        refused = ""
    assert refused in {"", "JSON_MALFORMED", "JSON_DUPLICATE_KEY", "CHARACTER_REFUSED"}


@given(st.dictionaries(st.text('abc"\\ก', min_size=1), _values, max_size=5), st.sampled_from([None, 2]))
def test_members_are_found_where_they_stand(document, indent):
    text = " \n" + json.dumps(document, indent=indent)
    found = {
        name: (value, text[start:end]) for name, value, start, end in soundjson.members(text, soundjson.first(text))
    }
    assert {name: value for name, (value, _) in found.items()} == document
    assert {name: json.loads(piece) for name, (_, piece) in found.items()} == document


@given(st.lists(_values, max_size=5), st.sampled_from([None, 2]))
def test_elements_are_found_where_they_stand(values, indent):
    text = json.dumps(values, indent=indent)
    decoder = json.JSONDecoder()
    assert [decoder.raw_decode(text, at)[0] for at in soundjson.elements(text, 0)] == values


@given(st.dictionaries(st.sampled_from(["id", "a", "b"]), _values, max_size=3))
def test_a_member_is_set_and_the_others_stay(document):
    changed = soundjson.with_member(json.dumps(document), "id", "x-1")
    assert json.loads(changed) == {**document, "id": "x-1"}


def test_decimals_keep_their_digits():
    assert soundjson.with_member('{ "id" : "a", "v":1.10}', "id", "b") == '{ "id" : "b", "v":1.10}'


@pytest.mark.parametrize("text", ['{"a":"\\\\u0000"}', '{"a":"\\ud83d\\ude00"}', '{"a":"u0000"}'])
def test_what_only_looks_like_a_refused_character_is_taken(text):
    assert soundjson.parse(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    "text", ['{"a":"\\u0000"}', '{"\\u0000":1}', '{"a":"\\\\\\u0000"}', '["\\ud800"]', '{"\\udc00x":1}']
)
def test_what_cannot_be_stored_as_text_is_refused(text):
    with pytest.raises(InvalidArgumentError) as refused:
        soundjson.parse(text.encode())
    assert refused.value.reason == "CHARACTER_REFUSED"


async def test_a_large_document_is_read_aside():
    body = json.dumps(["x" * 1000] * 2000).encode()
    assert len(await soundjson.parse_aside(body)) == 2000
