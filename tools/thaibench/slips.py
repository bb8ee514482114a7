"""The slips of those who write: of the fingers on a Thai keyboard, of the ear, of the calendar, of a number."""

from datetime import date
from typing import Final

from libs.thai import citizen_id
from libs.thai.dates import BUDDHIST_OFFSET
from tools.population.draws import Draws, Table

# The Kedmanee layout (TIS 820-2538), row by row, as the keys lie; a blank is a key without a letter of a name.
_ROWS: Final = (
    ("   ภถุึคตจขช", "     ู      "),
    ("ๆไำพะัีรนยบล", "  ฎฑธ ๊ณฯญฐ "),
    ("ฟหกดเ้่าสวง", "ฤฆฏโฌ็๋ษศซ "),
    ("ผปแอิืทมใฝ", "  ฉฮ ์ ฒฬฦ"),
)
_LATIN: Final = (("qwertyuiop", ""), ("asdfghjkl", ""), ("zxcvbnm", ""))
# What sounds alike: consonants of one sound, and vowels that differ in length only.
_SOUNDS: Final = (
    "ศษส", "ซส", "ณน", "ธทฒฑ", "พภผ", "ญย", "ฎด", "ฏต", "ฐถ", "ขคฆ", "ลรฬ", "ใไ", "ิี", "ุู", "ึื", "ฤร", "ชฉ", "ฝฟ", "หฮ",
)  # fmt: skip
_TONES: Final = "\u0e48\u0e49\u0e4a\u0e4b"
_MARKS: Final = "\u0e31\u0e34\u0e35\u0e36\u0e37\u0e38\u0e39\u0e47\u0e48\u0e49\u0e4a\u0e4b\u0e4c"
# Clusters that sound alike though their letters differ.
_ALIKE: Final = (
    ("พงษ์", "พงศ์"), ("พงศ์", "พงษ์"), ("ณัฐ", "ณัฏฐ"), ("ณัฏฐ", "ณัฐ"), ("รรณ", "ัน"), ("พันธ์", "พันธุ์"), ("สิทธิ์", "สิทธ"),
    ("วัฒน์", "วัตน์"), ("ศักดิ์", "ศักดิ"), ("ภัทร", "พัทร"), ("จันทร์", "จันท์"), ("ประเสริฐ", "ประเสริด"), ("กุล", "กูล"),
    ("วิทย์", "วิทธ์"), ("เพชร", "เพ็ชร"), ("สวัสดิ์", "สวัสดิ"), ("รัตน์", "รัต"), ("สุวรรณ", "สุวัน"), ("โพธิ์", "โพธ"), ("ทร", "ซ"),
)  # fmt: skip
_ROMAN: Final = (
    ("ph", "p"), ("th", "t"), ("kh", "k"), ("ch", "j"), ("w", "v"), ("ae", "e"), ("ue", "u"), ("o", "or"), ("ai", "ay"),
    ("r", "l"), ("i", "ee"), ("u", "oo"), ("a", "ar"), ("k", "g"), ("si", "sri"), ("sak", "sakdi"), ("wat", "watt"),
    ("rat", "ratt"), ("phon", "porn"), ("phong", "pong"), ("chai", "chay"), ("at", "att"), ("wong", "vongs"),
)  # fmt: skip


def _neighbours() -> dict[str, str]:
    found: dict[str, str] = {}
    for rows in (_ROWS, _LATIN):
        for number, (plain, _) in enumerate(rows):
            for place, letter in enumerate(plain):
                near = plain[max(0, place - 1) : place] + plain[place + 1 : place + 2]
                near += "".join(
                    rows[other][0][place : place + 1] for other in (number - 1, number + 1) if 0 <= other < len(rows)
                )
                found[letter] = near.replace(" ", "")
    return {letter: near for letter, near in found.items() if near and letter != " "}


def _shifts() -> dict[str, str]:
    pairs = [(low, high) for plain, shifted in _ROWS for low, high in zip(plain, shifted, strict=True)]
    return {one: other for low, high in pairs for one, other in ((low, high), (high, low)) if " " not in (low, high)}


def _sounds() -> dict[str, str]:
    found: dict[str, str] = {}
    for group in _SOUNDS:
        for letter in group:
            found[letter] = found.get(letter, "") + group.replace(letter, "")
    return found


_NEIGHBOURS: Final = _neighbours()
_SHIFTS: Final = _shifts()
_SOUND: Final = _sounds()

KINDS: Final = ("neighbour-key", "shift", "mark-dropped", "mark-changed", "sound-alike", "letter-dropped", "swapped")


def slip(draws: Draws, name: str, kinds: Table) -> tuple[str, str]:
    """The name with one slip in it, and which of KINDS; the name itself and "" where it is too short for any."""
    if len(name) < 2:  # noqa: PLR2004 - one letter has no neighbour to be swapped with
        return name, ""
    kind = draws.position(kinds)
    # A name without marks or sound-alikes is still mistyped.
    for way in (kind, 0, 5):
        told = _WAYS[way](draws, name)
        if told and told != name:
            return told, KINDS[way]
    return name, ""


def _at(draws: Draws, name: str, letters: dict[str, str]) -> str:
    places = [place for place, letter in enumerate(name) if letter in letters]
    if not places:
        return ""
    place = draws.pick(places)
    return name[:place] + draws.pick(letters[name[place]]) + name[place + 1 :]


def _neighbour(draws: Draws, name: str) -> str:
    return _at(draws, name, _NEIGHBOURS)


def _shift(draws: Draws, name: str) -> str:
    return _at(draws, name, _SHIFTS)


def _drop_mark(draws: Draws, name: str) -> str:
    places = [place for place, letter in enumerate(name) if letter in _MARKS]
    if not places:
        return ""
    place = draws.pick(places)
    return name[:place] + name[place + 1 :]


def _change_mark(draws: Draws, name: str) -> str:
    places = [place for place, letter in enumerate(name) if letter in _TONES]
    if not places:
        return ""
    place = draws.pick(places)
    return name[:place] + draws.pick(_TONES) + name[place + 1 :]


def _sound_alike(draws: Draws, name: str) -> str:
    clusters = [(old, new) for old, new in _ALIKE if old in name]
    if clusters and draws.chance(0.5):
        old, new = draws.pick(clusters)
        return name.replace(old, new, 1)
    return _at(draws, name, _SOUND)


def _drop_letter(draws: Draws, name: str) -> str:
    place = draws.between(1, len(name) - 1)
    return name[:place] + name[place + 1 :]


def _swap(draws: Draws, text: str) -> str:
    places = [place for place in range(len(text) - 1) if text[place] != text[place + 1]]
    if not places:
        return ""
    place = draws.pick(places)
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]


_WAYS: Final = (_neighbour, _shift, _drop_mark, _change_mark, _sound_alike, _drop_letter, _swap)


def romanize_otherwise(draws: Draws, name: str) -> str:
    """Another way to write a name in Latin letters; a clerk changes one or two things."""
    told = name
    for _ in range(draws.between(1, 2)):
        ways = [(old, new) for old, new in _ROMAN if old in told]
        if ways:
            old, new = draws.pick(ways)
            told = told.replace(old, new, 1)
    return told


def change_digit(draws: Draws, number: str, start: int = 0) -> str:
    """The number with one digit changed, at `start` or after."""
    place = draws.between(start, len(number) - 1)
    return number[:place] + str((int(number[place]) + draws.between(1, 9)) % 10) + number[place + 1 :]


def swap_digits(draws: Draws, number: str) -> str:
    """The number with two neighbours swapped, after the first digit; itself where all are alike."""
    return number[:1] + (_swap(draws, number[1:]) or number[1:])


def dummy_id(facility: str) -> str:
    """The number that a facility writes where it has none: always the same, with a digit that checks."""
    return citizen_id.make(f"99{facility}{facility}")


def change_birth(draws: Draws, born: date) -> str:
    """The date with one digit of its year, month or day changed, still a date; YYYY-MM-DD."""
    written = born.isoformat()
    while True:
        told = change_digit(draws, written.replace("-", ""), 2)
        try:
            changed = date.fromisoformat(f"{told[:4]}-{told[4:6]}-{told[6:]}")
        except ValueError:
            continue
        return changed.isoformat()


def swap_birth(born: date) -> str:
    """Day and month in each other's place; the date as it is where there is no such month."""
    try:
        return born.replace(month=born.day, day=born.month).isoformat()
    except ValueError:
        return born.isoformat()


def buddhist_birth(born: date) -> str:
    """The year of the Buddhist era as it is."""
    return f"{born.year + BUDDHIST_OFFSET}{born.isoformat()[4:]}"


def misconvert_birth(born: date) -> str:
    """A two-digit Buddhist year read as one of the Common Era: 2527 (1984) as 1927."""
    return f"{1900 + (born.year + BUDDHIST_OFFSET) % 100}{born.isoformat()[4:]}"
