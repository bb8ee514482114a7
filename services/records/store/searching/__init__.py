"""Searches as SQL."""

from services.records.store.searching.building import State, may_see, same_person
from services.records.store.searching.explaining import explain
from services.records.store.searching.including import MAX_INCLUDED, by_tokens, included, referring
from services.records.store.searching.leading import is_led_whatever_its_values
from services.records.store.searching.pages import Page, Position, search

__all__ = [
    "MAX_INCLUDED", "Page", "Position", "State", "by_tokens", "explain", "included",
    "is_led_whatever_its_values", "may_see", "referring", "same_person", "search",
]  # fmt: skip
