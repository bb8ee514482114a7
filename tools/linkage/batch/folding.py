"""Names folded to what is compared, each spelling once, with their keys of sound.

The string distances of DuckDB count letters since 2.0; before, they counted bytes, of which Thai has three a letter, so
that two names without a common letter were 0.8 alike. A test holds them to letters.
"""

from collections.abc import Sequence
from typing import Final

from libs.thai import names, sounds

Folded = tuple[str, str, str, str, int]
"""A name as it was sent, folded, its sound, its skeleton (libs.thai.sounds), and the sex that a title in it tells: 0 for none,
1 male, 2 female."""

_SEXES: Final = {"male": 1, "female": 2}


def fold_given(told: Sequence[str]) -> list[Folded]:
    """Given names, which may begin with a title. Placeholders fold to ""."""
    rows = []
    for text in told:
        clean = names.clean(text, "")
        folded = names.match_key(clean.given)
        sex = _SEXES.get(clean.prefix.sex or "", 0) if clean.prefix else 0
        rows.append((text, folded, sounds.sound_of(folded), sounds.skeleton_of(folded), sex))
    return rows


def fold_families(told: Sequence[str]) -> list[Folded]:
    """Family names, and names in which no title is looked for. Placeholders fold to ""."""
    rows = []
    for text in told:
        folded = "" if names.is_placeholder(text) else names.match_key(text)
        rows.append((text, folded, sounds.sound_of(folded), sounds.skeleton_of(folded), 0))
    return rows
