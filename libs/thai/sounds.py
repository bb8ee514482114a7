"""How names sound: the same for spellings that one ear hears alike, in Thai, in Latin letters, and across the two.

Three keys, from narrow to broad. `sound_of` keeps the consonants of one script by their sound: ศิริพร and สิริภร. For
Latin letters it makes alike what romanisations confuse: Somchai and Somchay. `skeleton_of` has one alphabet for both
scripts, so that สมชาย, Somchai and what a clerk heard of it meet; it is coarse, and says little by itself.
"""

import re
from typing import Final

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

# The skeleton's alphabet: stops by place, all that hisses, nasals but m, liquids, and the rest.
_SKELETON: Final = {
    ord(letter): code
    for code, letters in (
        ("k", "กขฃคฅฆ"), ("s", "จฉชฌซศษส"), ("t", "ดตถทธฎฏฐฑฒ"), ("p", "บปผพภ"), ("f", "ฝฟ"), ("m", "ม"), ("n", "นณง"),
        ("l", "รลฬฤ"), ("w", "ว"), ("y", "ย"), ("h", "หฮ"),
    )
    for letter in letters
}  # fmt: skip
# Letters that make one sound, the longest first.
_ROMAN_SKELETON: Final = (
    ("sch", "s"), ("tch", "s"), ("sh", "s"), ("ch", "s"), ("ph", "p"), ("th", "t"), ("kh", "k"), ("gh", "k"), ("ng", "n"),
    ("ny", "y"), ("sr", "s"), ("ck", "k"), ("x", "s"), ("j", "s"), ("z", "s"), ("c", "k"), ("q", "k"), ("g", "k"),
    ("d", "t"), ("b", "p"), ("r", "l"), ("v", "w"),
)  # fmt: skip
# Heard within a word as part of a vowel, or not at all: สมชาย is Somchai, แก้ว Keo, หมาย Mai.
_GLIDES: Final = "wyh"
_SILENT_END: Final = re.compile("(?:[ทตด]ร|กษณ|[ก-ฮ])[ิุ]?์")
_LEADING_H: Final = re.compile("^ห(?=[งญนมยรลว])|(?<=[เแโใไ])ห(?=[งญนมยรลว])")
# รร is a before another consonant (ธรรม, พรรณ).
_DOUBLE_R: Final = re.compile("รร(?=[ก-ฮ])")


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
    return _single(told)


def skeleton_of(folded: str) -> str:
    """What is left of a folded name in either script when vowels, tones and near sounds are taken for one.

    Empty for names of vowels alone and for other scripts.
    """
    if folded.isascii():
        told = folded
        for old, new in _ROMAN_SKELETON:
            told = told.replace(old, new)
        told = "".join(letter for letter in told if letter in "kstpfmnlwyh")
    else:
        told = _SILENT_END.sub("", folded)
        told = _DOUBLE_R.sub("", told).replace("รร", "น").replace("ทร", "ซ")
        # A leading ห is not heard: it gives the next its tone. ญ is n but at the beginning.
        told = _LEADING_H.sub("", told)
        told = told[:1].replace("ญ", "ย") + told[1:].replace("ญ", "น")
        told = "".join(_SKELETON.get(ord(letter), "") for letter in told)
    return _single(told[:1] + "".join(letter for letter in told[1:] if letter not in _GLIDES))


def _single(told: str) -> str:
    return "".join(letter for place, letter in enumerate(told) if place == 0 or letter != told[place - 1])
