"""Names folded to what is compared, and the sound of their consonants.

The string distances of DuckDB count letters since 2.0; before, they counted bytes, of which Thai has three a letter, so
that two names without a common letter were 0.8 alike. A test holds them to letters.
"""

from collections.abc import Sequence
from typing import Final

from libs.thai import names

# Alike in sound, by the first of each: the consonants that have one sound at the beginning of a syllable.
_CLASSES: Final = (
    "ก", "ขฃคฅฆ", "ง", "จ", "ฉชฌ", "ซศษส", "ญย", "ดฎ", "ตฏ", "ถฐทธฑฒ", "นณ", "บ", "ป", "ผพภ", "ฝฟ", "ม", "รลฬฤ", "ว", "หฮ",
    "อ",
)  # fmt: skip
_SOUND: Final = {ord(letter): group[0] for group in _CLASSES for letter in group}
_SILENCED: Final = "์"
_SILENT_VOWELS: Final = "ิุ"
# What romanisations of one sound differ in, applied in this order.
_ROMAN: Final = (
    ("sr", "s"), ("ph", "p"), ("th", "t"), ("kh", "k"), ("ch", "j"), ("w", "v"), ("g", "k"), ("b", "p"), ("d", "t"),
    ("r", "l"), ("y", "i"),
)  # fmt: skip
_VOWELS: Final = str.maketrans("", "", "aeiou")


def sound_of(folded: str) -> str:
    """The consonants of a folded Thai name by their sound, without those that are silenced; Latin by its own rules."""
    if folded.isascii():
        return roman_sound_of(folded)
    kept: list[str] = []
    for letter in folded.replace("รร", "").replace("ทร", "ซ"):
        if letter == _SILENCED:
            while kept and kept[-1] in _SILENT_VOWELS:
                kept.pop()
            if kept:
                kept.pop()
        elif letter in _SILENT_VOWELS or ord(letter) in _SOUND:
            kept.append(letter)
    return "".join(_SOUND[ord(letter)] for letter in kept if ord(letter) in _SOUND)


def roman_sound_of(folded: str) -> str:
    """The consonants of a romanised name, those alike that romanisations confuse."""
    told = folded
    for old, new in _ROMAN:
        told = told.replace(old, new)
    told = told[:1] + told[1:].translate(_VOWELS)
    return "".join(letter for place, letter in enumerate(told) if place == 0 or letter != told[place - 1])


Folded = tuple[str, str, str, int]
"""A name as it was sent, folded, its sound, and the sex that a title in it tells: 0 for none, 1 male, 2 female."""

_SEXES: Final = {"male": 1, "female": 2}


def fold_given(told: Sequence[str]) -> list[Folded]:
    """Given names, which may begin with a title. Placeholders fold to ""."""
    rows = []
    for text in told:
        clean = names.clean(text, "")
        folded = names.match_key(clean.given)
        sex = _SEXES.get(clean.prefix.sex or "", 0) if clean.prefix else 0
        rows.append((text, folded, sound_of(folded), sex))
    return rows


def fold_families(told: Sequence[str]) -> list[Folded]:
    """Family names, and names in which no title is looked for. Placeholders fold to ""."""
    rows = []
    for text in told:
        folded = "" if names.is_placeholder(text) else names.match_key(text)
        rows.append((text, folded, sound_of(folded), 0))
    return rows
