"""SNOMED CT's release format 2, a snapshot as a zip: concepts, descriptions, and what is a kind of what."""

import csv
import io
from collections.abc import Iterator

from tools.terminology.reading import Json, Source

_IS_A = "116680003"
_FULL_NAME, _SYNONYM = "900000000000003001", "900000000000013009"
_ACTIVE = "1"


def concepts(source: Source) -> Iterator[Json]:
    """Each concept; its display is the full name, its synonyms are designations. Definitions stay with the publisher."""
    names: dict[str, list[tuple[str, str, str]]] = {}
    for row in _rows(source, "sct2_Description_Snapshot"):
        if row["active"] == _ACTIVE:
            names.setdefault(row["conceptId"], []).append((row["typeId"], row["languageCode"], row["term"]))
    parents: dict[str, list[str]] = {}
    for row in _rows(source, "sct2_Relationship_Snapshot"):
        if row["active"] == _ACTIVE and row["typeId"] == _IS_A:
            parents.setdefault(row["sourceId"], []).append(row["destinationId"])
    for row in _rows(source, "sct2_Concept_Snapshot"):
        called = names.get(row["id"], [])
        full = next((term for kind, _, term in called if kind == _FULL_NAME), "")
        yield {
            "code": row["id"],
            "display": full,
            "parents": parents.get(row["id"], []),
            "designations": [
                {"language": language, "text": term} for kind, language, term in called if kind == _SYNONYM
            ],
            "properties": [],
            "isInactive": row["active"] != _ACTIVE,
        }


def _rows(source: Source, name: str) -> Iterator[dict[str, str]]:
    with source.member(".txt", contains=name) as file:
        yield from csv.DictReader(io.TextIOWrapper(file, "utf-8"), delimiter="\t", quoting=csv.QUOTE_NONE)
