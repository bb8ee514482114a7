"""Thai personal names and the titles before them.

Hospitals write one name in many ways: the title inside the name, invisible characters from a web form, a tone mark
before its vowel, two marks where one is meant. Here all of these come to one form, in which names can be compared.
Titles are the registry's 504, with the sex each tells.
"""

import functools
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from importlib import resources
from types import MappingProxyType
from typing import Final


class PrefixGroup(Enum):
    """What a title tells of a life. Within one group people change title without being somebody else."""

    MALE = "male"
    """เด็กชาย, then นาย."""
    FEMALE = "female"
    """เด็กหญิง, then นางสาว, then นาง, and back."""
    MONASTIC = "monastic"
    TITLED = "titled"
    """A rank, a profession or a noble title; may come and go at any age."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """A title of the registry. `sex` is "male", "female" or None where the title tells none."""

    code: str
    short: str
    full: str
    sex: str | None
    group: PrefixGroup


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name whose title was taken out and whose spelling was put in order. Placeholders are ""."""

    prefix: Prefix | None
    given: str
    family: str


_SEX: Final = {"1": "male", "2": "female", "": None}
_BOY, _GIRL, _MISTER, _MISS, _MISTRESS = "001", "002", "003", "004", "005"
_FIRST_MONASTIC, _LAST_MONASTIC = "800", "899"


def _group(code: str) -> PrefixGroup:
    if code in (_BOY, _MISTER):
        return PrefixGroup.MALE
    if code in (_GIRL, _MISS, _MISTRESS):
        return PrefixGroup.FEMALE
    return PrefixGroup.MONASTIC if _FIRST_MONASTIC <= code <= _LAST_MONASTIC else PrefixGroup.TITLED


def _load() -> Mapping[str, Prefix]:
    text = resources.files(__package__).joinpath("data/prefixes.tsv").read_text(encoding="utf-8")
    prefixes = {}
    for line in text.splitlines()[1:]:
        code, short, full, sex = line.split("\t")
        prefixes[code] = Prefix(code, short, full, _SEX[sex], _group(code))
    return MappingProxyType(prefixes)


PREFIXES: Mapping[str, Prefix] = _load()
"""The titles by their three-digit code."""

# Titles with which many a given name begins (คุณากร, ขุนพล, พระพาย): they are titles only before a blank. นาย and นาง
# are not among them, for they are mostly written without one.
_SHORT_TITLE: Final = 4
_NEEDS_BLANK: Final = frozenset(
    {"เจ้า", "หลวง", "ท้าว", "หมื่น", "หม่อม", "พระยา", "พระราช", "พระเทพ", "พระญาณ", "พระมหา", "จอมพล", "คุณพระ"}
).union(
    prefix.full
    for prefix in PREFIXES.values()
    if len(prefix.full) <= _SHORT_TITLE and prefix.full not in ("นาย", "นาง")
)

# Forms that the registry's list does not have but forms and card readers do.
_ALIASES: Final = {
    "ดช.": _BOY,
    "ด.ช": _BOY,
    "ดญ.": _GIRL,
    "ด.ญ": _GIRL,
    "นส.": _MISS,
    "น.ส": _MISS,
    "mr.": _MISTER,
    "mr ": _MISTER,
    "mister ": _MISTER,
    "master ": _BOY,
    "mrs.": _MISTRESS,
    "mrs ": _MISTRESS,
    "miss ": _MISS,
    "ms.": _MISS,
    "ms ": _MISS,
}

_MARK: Final = "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
_FOLLOWER: Final = f"{_MARK}\u0e30\u0e32\u0e33\u0e45"
_TONE: Final = "\u0e48-\u0e4b\u0e4c"
_VOWEL: Final = "\u0e31\u0e34-\u0e3a\u0e47"
_INVISIBLE: Final = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_TONE_FIRST: Final = re.compile(f"([{_TONE}]+)([{_VOWEL}]+)")
_REPEATED: Final = re.compile(f"([{_MARK}\u0e33])\\1+")
_SPLIT_AM: Final = re.compile("\u0e4d([\u0e48-\u0e4b]?)\u0e32")
_TONE_SPLIT_AM: Final = re.compile("([\u0e48-\u0e4b])\u0e4d\u0e32")
_TONE_AFTER_AM: Final = re.compile("\u0e33([\u0e48-\u0e4b])")
_ORPHANS: Final = re.compile(f"(^|(?<=\\s))[{_FOLLOWER}]+")
_NOT_LETTERS: Final = re.compile(r"[\W\d_]+", re.UNICODE)


# A name is put in order three times while it is folded: for its title, for what is no name, for its key.
@functools.lru_cache(4096)
def normalize(text: str) -> str:
    """Brings a name to its one spelling; idempotent.

    NFC; invisible characters removed and blanks made single; vowels before tone marks, as keyboards should send them;
    repeated marks made single; sara am in one piece after its tone; sara ae in one piece; marks without a consonant
    removed. The case of Latin letters is left.
    """
    told = unicodedata.normalize("NFC", text)
    told = " ".join(_INVISIBLE.sub("", told).split())
    if told.isascii():
        return told if told.isprintable() else "".join(letter for letter in told if letter.isprintable())
    if not told.isprintable():
        told = "".join(letter for letter in told if letter == " " or not unicodedata.category(letter).startswith("C"))
    told = told.replace("\u0e40\u0e40", "\u0e41")
    told = _REPEATED.sub(r"\1", told)
    told = _SPLIT_AM.sub("\\1\u0e33", told)
    told = _TONE_SPLIT_AM.sub("\\1\u0e33", told)
    told = _TONE_AFTER_AM.sub("\\1\u0e33", told)
    told = _TONE_FIRST.sub(r"\2\1", told)
    told = _REPEATED.sub(r"\1", told)
    return " ".join(_ORPHANS.sub("", told).split())


class _Letters(dict[int, int | None]):
    """Which characters stay: letters and marks. Those of alphabets are looked up in Unicode's tables once."""

    def __missing__(self, code: int) -> int | None:
        kept = code if unicodedata.category(chr(code))[0] in "LM" else None
        if code < _BEYOND_ALPHABETS:
            self[code] = kept
        return kept


# Beyond lie the hundred thousand signs of Chinese and others, which would fill the memory and not repeat.
_BEYOND_ALPHABETS: Final = 0x2E80
_LETTERS: Final = _Letters()


def match_key(text: str) -> str:
    """What is left to compare by: normalized, case folded, letters and marks only."""
    return normalize(text).casefold().translate(_LETTERS)


def split_prefix(text: str) -> tuple[Prefix | None, str]:
    """Takes the title off the front of a name: ("นายสมชาย") gives นาย and "สมชาย".

    The longest title wins. A title with which given names begin counts only before a blank, and none is taken if no
    name would be left. Where titles share a spelling, the lowest code stands for them.
    """
    told = normalize(text)
    folded = told.casefold()
    for spelling, code in _spellings().get(folded[:_INDEXED], ()):
        if not folded.startswith(spelling):
            continue
        rest = told[len(spelling) :]
        if spelling in _NEEDS_BLANK and not rest.startswith(" "):
            continue
        if not spelling.endswith((".", " ")) and _continues(rest):
            continue
        rest = rest.strip()
        if len(rest) > 1:
            return PREFIXES[code], rest
    return None, told


def find_prefix(text: str) -> Prefix | None:
    """The title that the text is, in short or full form or by its code; None if it is no title."""
    told = normalize(text)
    return PREFIXES.get(told) or _by_spelling().get(told.replace(" ", ""))


def prefixes_conflict(one: str | None, other: str | None) -> bool:
    """True if two title codes cannot be of one person: both tell a sex, and not the same.

    Growing up, marrying, ordination and promotion change titles; none of that is a conflict. Unknown codes never are.
    """
    first, second = PREFIXES.get(one or ""), PREFIXES.get(other or "")
    return bool(first and second and first.sex and second.sex and first.sex != second.sex)


def is_placeholder(text: str) -> bool:
    """True for what is written where no name is known: "-", "ไม่ทราบ", "unknown", "บุตรนาง…", nothing."""
    told = normalize(text).casefold()
    bare = _NOT_LETTERS.sub("", _MARKS_ONLY.sub("", told))
    if not bare:
        return True
    is_filler = len(bare) >= _FILLER and len(set(bare)) == 1
    return is_filler or told.replace(" ", "") in _PLACEHOLDERS or _NEWBORN.match(told) is not None


def clean(given: str, family: str, prefix_code: str = "") -> PersonName:
    """Puts a name in order: title out of the given name, spelling normalized, placeholders emptied.

    The code wins over a title written into the name, unless the code is unknown.
    """
    written, rest = split_prefix(given)
    told_family = normalize(family)
    return PersonName(
        PREFIXES.get(prefix_code) or written,
        "" if is_placeholder(rest) else rest,
        "" if is_placeholder(told_family) else told_family,
    )


# One letter over and over is no name.
_FILLER: Final = 3
_MARKS: Final = (*range(0x0E34, 0x0E3B), *range(0x0E47, 0x0E4F))
_MARKS_ONLY: Final = re.compile(f"[{''.join(map(chr, _MARKS))}]+")
_NEWBORN: Final = re.compile(r"(?:บุตร|ลูก)\s*(?:ของ)?\s*(?:นางสาว|นาง|น\.\s*ส\.|แม่)")
_WORDS_FOR_NO_NAME: Final = """
ไม่ทราบ ไม่ทราบชื่อ ไม่ทราบนามสกุล ไม่ทราบชื่อสกุล ไม่ระบุ ไม่ระบุชื่อ ไม่มี ไม่มีชื่อ ไม่มีนามสกุล ไม่มีชื่อสกุล ไม่มีข้อมูล
ไม่ปรากฏ ไม่ปรากฏชื่อ ไม่รู้ ไม่รู้จัก นิรนาม ชายไม่ทราบชื่อ หญิงไม่ทราบชื่อ ชายไทยไม่ทราบชื่อ หญิงไทยไม่ทราบชื่อ ทดสอบ ทดสอบระบบ
unknown unknow noname nolastname nosurname none null nil na n/a nan test testtest mr mrs nfn nln
"""
_PLACEHOLDERS: Final = frozenset(normalize(_WORDS_FOR_NO_NAME).casefold().split())


def _continues(rest: str) -> bool:
    """True if what follows is no beginning of a name but the rest of a syllable, as in นายิกา."""
    return bool(rest) and (rest[0] in _FOLLOWERS or not rest.strip())


_FOLLOWERS: Final = frozenset("\u0e30\u0e31\u0e32\u0e33\u0e45").union(map(chr, _MARKS))


@functools.cache
def _by_spelling() -> Mapping[str, Prefix]:
    found: dict[str, Prefix] = {}
    for prefix in PREFIXES.values():
        for spelling in (prefix.full, prefix.short):
            found.setdefault(normalize(spelling).replace(" ", ""), prefix)
    for spelling, code in _ALIASES.items():
        found.setdefault(spelling.strip(), PREFIXES[code])
    return MappingProxyType(found)


@functools.cache
def _spellings() -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Every spelling with its code, the longest first, by the letters that it begins with."""
    found: dict[str, str] = {}
    for prefix in PREFIXES.values():
        for spelling in (prefix.full, prefix.short):
            found.setdefault(normalize(spelling), prefix.code)
    for spelling, code in _ALIASES.items():
        found.setdefault(spelling, code)
    indexed: dict[str, list[tuple[str, str]]] = {}
    for spelling, code in sorted(found.items(), key=lambda entry: (-len(entry[0]), entry[0])):
        indexed.setdefault(spelling[:_INDEXED], []).append((spelling, code))
    return MappingProxyType({start: tuple(entries) for start, entries in indexed.items()})


_INDEXED: Final = 2
