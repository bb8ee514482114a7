"""Page tokens are opaque, sound, and bound to their query."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.errors import InvalidArgumentError
from libs.pages import PageTokens

tokens = PageTokens(b"k" * 32)


@given(st.lists(st.one_of(st.integers(-(2**53), 2**53), st.text(), st.none())), st.text())
def test_a_token_gives_back_its_position(position, query):
    assert tokens.read(tokens.write(position, query), query) == position


def test_no_token_is_the_first_page():
    assert tokens.read("", "query") is None


@given(st.text(max_size=80))
def test_what_was_not_written_here_is_refused(text):
    if text:
        with pytest.raises(InvalidArgumentError):
            tokens.read(text, "query")


def test_a_token_of_another_query_or_key_is_refused():
    token = tokens.write([1], "query", "10661")
    for reader, query in ((tokens, ("query", "10662")), (PageTokens(b"x" * 32), ("query", "10661"))):
        with pytest.raises(InvalidArgumentError) as refused:
            reader.read(token, *query)
        assert refused.value.reason == "PAGE_TOKEN_INVALID"


@given(st.text(min_size=6, max_size=40))
def test_nobody_reads_what_a_token_holds(place):
    raw = base64.urlsafe_b64decode(tokens.write([place], "query") + "==")
    assert place.encode() not in raw
    assert len(tokens.write(["a"], "query")) == len(tokens.write(["ab"], "query"))


def test_the_same_place_is_the_same_token():
    assert tokens.write([1], "query") == tokens.write([1], "query") != tokens.write([2], "query")
