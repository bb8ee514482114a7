"""By what a resource is found: its search values as the index keeps them.

A value is a 64-bit token: the hash of (type, path, form) — the place — xor the hash of the value. Forms: a code with its
system, without, a system only, a typed identifier, a reference, any Patient, the identifier within a reference, an exact
string, a pair; and texts, whose hash stands in the dictionary `search_texts` too, so that a search for a part of a text
finds the texts, by them the tokens, and by those the resources.
"""

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from libs.fhir.body import Json
from libs.fhir.moments import BEGINNING, Span
from libs.fhir.search_numbers import Number, Token
from libs.fhir.search_parameters import (
    CONTENT_PATH,
    NARRATIVE_PATH,
    normalized,
    parameters_of,
    principal_code,
    principal_date,
)
from libs.fhir.search_values import Values, values_of
from services.records.model import DateEntry, IndexEntries, NumberEntry

# Under which rules the entries were made; what was indexed under older ones is indexed anew.
GENERATION: Final = 2
# A text of the dictionary; longer ones are cut into several, each beginning a little before the last one's end.
MAX_TEXT: Final = 2000
OVERLAP: Final = 100
# Of a longer text nobody searches the end.
MAX_TEXTS: Final = 16
_NOWHERE = Span(BEGINNING, BEGINNING)

# The forms of a value.
WITH_SYSTEM, ANY_SYSTEM, SYSTEM_ONLY, TYPED = "=", "*", "s", "o"
REFERENCE, ANY_PATIENT, IDENTIFIED = "@", "p", "i"
EXACT, PAIR, UNIT = "x", "$", "n"
# Of texts: a string's beginning and its rest, what a code is called, an address, what is read.
STRING, REST, CALLED, URI, READ = "t", "r", "d", "u", "c"


@lru_cache(maxsize=65536)
def _hashed(*parts: str) -> int:
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


@lru_cache(maxsize=16384)
def text_hash(text: str) -> int:
    """A hash that PostgreSQL makes too (`search_hash`): of texts, and of `Type/id`."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


@lru_cache(maxsize=8192)
def place(resource_type: str, path: str, form: str) -> int:
    """The place of a form of a path; a token is the place xor the hash of the value."""
    return _hashed(resource_type, path, form)


@lru_cache(maxsize=65536)
def token(resource_type: str, path: str, form: str, *value: str) -> int:
    """The token of a value that is searched as it is."""
    return place(resource_type, path, form) ^ _hashed(*value)


def reference(resource_type: str, path: str, text: str) -> int:
    """Finds `encounter=Encounter/1`."""
    return place(resource_type, path, REFERENCE) ^ text_hash(text)


def any_patient(resource_type: str, path: str) -> int:
    """Marks what refers to a Patient by this path: which, is known by where it is filed."""
    return place(resource_type, path, ANY_PATIENT)


def text_token(resource_type: str, path: str, form: str, text: str) -> int:
    """The token of a text."""
    return place(resource_type, path, form) ^ text_hash(text)


def unit_keys(system: str, code: str, unit: str) -> Iterator[int]:
    """What a quantity's unit is found by: with its system, and without by its code or by how it is written."""
    if system or code:
        yield _hashed(UNIT, system, code)
    for text in {code, unit} - {""}:
        yield _hashed(UNIT, text)


def texts_of(text: str) -> Iterator[str]:
    """A text as the dictionary holds it, in one piece or several."""
    plain = normalized(text).replace("\x00", "")
    if len(plain) <= MAX_TEXT:
        if plain:
            yield plain
        return
    for number in range(MAX_TEXTS):
        start = number * (MAX_TEXT - OVERLAP)
        if plain[start + (OVERLAP if number else 0) :]:
            yield plain[start : start + MAX_TEXT]


class _Entries:
    """Collects the tokens of one resource, and the texts that some of them are of."""

    def __init__(self, resource_type: str) -> None:
        self.type = resource_type
        self.tokens: set[int] = set()
        self.texts: dict[int, str] = {}

    def add(self, path: str, form: str, *value: str) -> None:
        self.tokens.add(token(self.type, path, form, *value))

    def add_texts(self, path: str, forms: tuple[str, str], texts: Iterable[str]) -> None:
        for number, text in enumerate(texts):
            self.add_text(path, forms[min(number, 1)], text)

    def add_text(self, path: str, form: str, text: str) -> None:
        hashed = text_hash(text)
        self.texts[hashed] = text
        self.tokens.add(place(self.type, path, form) ^ hashed)

    def add_token(self, path: str, one: Token) -> None:
        self.add(path, WITH_SYSTEM, one.system, one.code)
        self.add(path, ANY_SYSTEM, one.code)
        if one.system:
            self.add(path, SYSTEM_ONLY, one.system)


def entries_of(body: Json, resource_type: str, source: str = "") -> IndexEntries:
    """The index entries of a valid resource; `source` is the `meta.source` of one that names none."""
    values = values_of(body, resource_type)
    if source and "source" not in body.get("meta", {}):
        values.uris.add(("meta.source", source))
    found = _Entries(resource_type)
    for path, one in values.tokens:
        found.add_token(path, one)
    for path, system, code, value in values.typed:
        found.add(path, TYPED, system, code, value)
    for path, text in values.references:
        found.tokens.add(reference(resource_type, path, text))
        if text.startswith("Patient/"):
            found.tokens.add(any_patient(resource_type, path))
    for path, one in values.identified:
        found.add(path, IDENTIFIED, one.system, one.code)
        found.add(path, IDENTIFIED, one.code)
    for path, first, second in values.pairs:
        for left in pair_forms(first):
            for right in pair_forms(second):
                found.add(path, PAIR, left, right)
    _add_texts(found, values)
    principal = _paths_of(resource_type, principal_date(resource_type))
    spans = [span for path, span in values.dates if path in principal]
    span = Span(min(one.low for one in spans), max(one.high for one in spans)) if spans else _NOWHERE
    return IndexEntries(
        tokens=sorted(found.tokens),
        texts=sorted(found.texts.items()),
        dates=[
            DateEntry(path, one.low, one.high)
            for path, one in sorted(values.dates, key=lambda date: (date[0], date[1].low))
            if path not in principal
        ],
        numbers=[entry for number in values.numbers for entry in _number_entries(resource_type, number)],
        orders=sorted(_orders(resource_type, values)),
        occurred_from=span.low,
        occurred_to=span.high,
    )


@lru_cache(maxsize=1024)
def _paths_of(resource_type: str, name: str) -> frozenset[str]:
    """The paths of a parameter; none for no parameter."""
    return frozenset(parameters_of(resource_type)[name].paths) if name else frozenset()


def _add_texts(found: _Entries, values: Values) -> None:
    for path, text in values.strings:
        found.add_texts(path, (STRING, REST), texts_of(text))
        found.add(path, EXACT, text)
    for path, text in values.token_texts:
        found.add_texts(path, (CALLED, CALLED), texts_of(text))
    for path, text in values.uris:
        found.add_text(path, URI, text[:MAX_TEXT].replace("\x00", ""))
    for path, text in ((NARRATIVE_PATH, values.narrative), (CONTENT_PATH, values.content)):
        found.add_texts(path, (READ, READ), texts_of(text))


def pair_forms(one: Token) -> tuple[str, str]:
    """How a part of a pair may be asked for: without its system, and with it."""
    return (one.code, f"{one.system}|{one.code}")


def number_place(resource_type: str, path: str) -> int:
    """The place of the numbers of a path."""
    return place(resource_type, path, UNIT)


def about_any(code: str) -> int:
    """The code beside a number, of whichever system."""
    return _hashed(ANY_SYSTEM, code)


def about_with(system: str, code: str) -> int:
    """The code beside a number."""
    return _hashed(WITH_SYSTEM, system, code)


def _number_entries(resource_type: str, number: Number) -> Iterator[NumberEntry]:
    where = number_place(resource_type, number.path)
    units = list(unit_keys(number.system, number.code, number.unit))
    if not number.about:
        yield NumberEntry(where, 0, number.low, number.high, units)
    by_code: dict[str, list[str]] = {}
    for one in number.about:
        by_code.setdefault(one.code, []).append(one.system)
    for code, systems in by_code.items():
        keys = [*units, *(about_with(system, code) for system in systems)]
        yield NumberEntry(where, about_any(code), number.low, number.high, keys)


def _orders(resource_type: str, values: Values) -> set[int]:
    paths = _paths_of(resource_type, principal_code(resource_type))
    return {token(resource_type, path, ANY_SYSTEM, one.code) for path, one in values.tokens if path in paths}
