"""Codes as they are stored, and what is asked of them.

What search needs stands in `value_sets`: `members` for `:in` and `:not-in`, `below` and `above` for the modifiers of those
names.
"""

from services.records.store.terminology.value_sets import above, below, members

__all__ = ["above", "below", "members"]
