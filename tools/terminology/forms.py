"""Which form of file holds what, and who reads it."""

from collections.abc import Callable, Iterator, Mapping

from tools.terminology import claml, fhir, loinc, rf2, tables
from tools.terminology.reading import Json, Source, SourceError

Reader = Callable[[Source], Iterator[Json]]
FORMS: Mapping[str, Mapping[str, Reader]] = {
    "csv": {"concepts": tables.concepts, "mappings": tables.mappings, "interactions": tables.interactions},
    "fhir": {"concepts": fhir.concepts, "mappings": fhir.mappings},
    "claml": {"concepts": claml.concepts},
    "loinc": {"concepts": loinc.concepts},
    "rf2": {"concepts": rf2.concepts},
}


def rows_of(source: Source, form: str, kind: str) -> Iterator[Json]:
    """The rows of a source: concepts, mappings or interactions, as the loading RPCs take them. Raises SourceError."""
    reader = FORMS.get(form, {}).get(kind)
    if reader is None:
        raise SourceError(f"no {kind} are read from {form}")
    return reader(source)
