"""Where in a JSON text stands what no resource may hold: asked once a reader has refused the text, and only then.

Readers that are quick do not tell where they were; this one walks the text piece by piece, without recursion, and needs about
half a microsecond for each.
"""

import json
import re
from typing import Final, NamedTuple

# Objects and arrays within each other.
MAX_DEPTH: Final = 64
LONGEST_NUMBER: Final = 40
# A string holds no control characters but tab and line ends (http://hl7.org/fhir/R4/datatypes.html#string), and no half of a
# surrogate pair, which no UTF-8 holds.
EXCLUDED: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")

TWICE: Final = "a name stands twice in one object"
TOO_DEEP: Final = f"objects and arrays are nested deeper than {MAX_DEPTH}"
NO_NUMBER: Final = "JSON knows no NaN and no Infinity"
TOO_LONG: Final = "a number has more digits than can be meant"
TOO_LARGE: Final = "a number is too large"
CHARACTER: Final = "a string holds a character that Unicode or FHIR excludes"

_PIECES = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_CONSTANTS = frozenset({"NaN", "Infinity", "-Infinity"})
_ENDLESS = (float("inf"), float("-inf"))


class Misfit(NamedTuple):
    """What is wrong, in words above, and where."""

    what: str
    # FHIRPath from the root: `Observation.note[0].text`. A name that could be no element's ends it, and is not repeated.
    expression: str
    # From 1.
    line: int
    column: int


class _Level:
    """An object or an array that is open."""

    __slots__ = ("index", "name", "names", "wants_name")

    def __init__(self, *, is_object: bool) -> None:
        self.names: set[str] | None = set() if is_object else None
        self.name = ""
        self.index = 0
        self.wants_name = is_object


def misfit_in(text: str) -> Misfit | None:
    """The first misfit of a JSON text; None where there is none, or something before it is not JSON."""
    walk = _Walk()
    for match in _PIECES.finditer(text):
        what = walk.what_is_wrong_with(match[0])
        if what:
            start = match.start()
            line = text.count("\n", 0, start) + 1
            return Misfit(what, walk.expression(what), line, start - text.rfind("\n", 0, start))
    return None


class _Walk:
    """The way from the root to where a text has been read so far."""

    def __init__(self) -> None:
        self._levels: list[_Level] = []
        self._root = ""

    def what_is_wrong_with(self, piece: str) -> str:
        """Takes the next piece; empty for nothing."""
        match piece[0]:
            case "{" | "[":
                self._levels.append(_Level(is_object=piece == "{"))
                return TOO_DEEP if len(self._levels) > MAX_DEPTH else ""
            case "}" | "]":
                del self._levels[-1:]
            case ",":
                for level in self._levels[-1:]:
                    level.index += 1
                    level.wants_name = level.names is not None
            case ":":
                pass
            case '"':
                return self._of_string(_said(piece))
            case _:
                return _of_number(piece)
        return ""

    def _of_string(self, said: str) -> str:
        level = self._levels[-1] if self._levels else None
        what = ""
        if level is not None and level.wants_name:
            what = _of_name(level, said)
        elif level is not None and len(self._levels) == 1 and level.name == "resourceType":
            self._root = said if _NAME.fullmatch(said) else ""
        return CHARACTER if EXCLUDED.search(said) else what

    def expression(self, what: str) -> str:
        """FHIRPath of the place."""
        expression = self._root
        for level in self._levels:
            if level.names is None:
                # Within an array that has just been opened there is nothing yet.
                is_open = what is TOO_DEEP and level is self._levels[-1]
                expression += "" if is_open else f"[{level.index}]"
            elif level.name:
                if not _NAME.fullmatch(level.name):
                    break
                expression += ("." if expression else "") + level.name
        return expression


def _of_name(level: _Level, said: str) -> str:
    level.wants_name = False
    level.name = said
    names = level.names or set()
    is_there = said in names
    names.add(said)
    level.names = names
    return TWICE if is_there else ""


def _of_number(piece: str) -> str:
    if piece in _CONSTANTS:
        return NO_NUMBER
    if piece[0] not in "-0123456789":
        return ""
    if len(piece) > LONGEST_NUMBER:
        return TOO_LONG
    try:
        return TOO_LARGE if float(piece) in _ENDLESS else ""
    except ValueError:
        return ""


def _said(piece: str) -> str:
    if "\\" not in piece:
        return piece[1:-1]
    try:
        return str(json.loads(piece, strict=False))
    except ValueError:
        return ""
