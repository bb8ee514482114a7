"""By what a resource is found: its search values as the index keeps them.

A token, a reference and a URI are 64-bit hashes of (type, parameter, form, value). Forms: with system, without, system only
(identifiers), reference, any Patient, URI.
"""

import hashlib
from functools import lru_cache

from libs.fhir.body import Json
from libs.fhir.moments import BEGINNING, Span
from libs.fhir.search_parameters import principal_date, values_of
from services.records.model import DateEntry, IndexEntries

# Longer values would not fit an index page; what is beyond is compared by nobody.
MAX_STRING = 200
_NOWHERE = Span(BEGINNING, BEGINNING)


@lru_cache(maxsize=65536)
def _hashed(*parts: str) -> int:
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def with_system(resource_type: str, parameter: str, system: str, code: str) -> int:
    """Finds `code=system|code`; with an empty system `code=|code`."""
    return _hashed(resource_type, parameter, "=", system, code)


def any_system(resource_type: str, parameter: str, code: str) -> int:
    """Finds `code=code`."""
    return _hashed(resource_type, parameter, "*", code)


def system_only(resource_type: str, parameter: str, system: str) -> int:
    """Finds `identifier=system|`."""
    return _hashed(resource_type, parameter, "s", system)


def reference(resource_type: str, parameter: str, text: str) -> int:
    """Finds `encounter=Encounter/1`."""
    return _hashed(resource_type, parameter, "@", text)


def any_patient(resource_type: str, parameter: str) -> int:
    """Marks what refers to a Patient by this parameter: which, is known by where it is filed."""
    return _hashed(resource_type, parameter, "p")


def uri(resource_type: str, parameter: str, text: str) -> int:
    """Finds `_profile=http://…`."""
    return _hashed(resource_type, parameter, "u", text)


def entries_of(body: Json, resource_type: str) -> IndexEntries:
    """The index entries of a valid resource."""
    values = values_of(body, resource_type)
    tokens: set[int] = set()
    for name, token in values.tokens:
        tokens.add(with_system(resource_type, name, token.system, token.code))
        tokens.add(any_system(resource_type, name, token.code))
        if name == "identifier":
            tokens.add(system_only(resource_type, name, token.system))
    for name, text in values.references:
        tokens.add(reference(resource_type, name, text))
        if text.startswith("Patient/"):
            tokens.add(any_patient(resource_type, name))
    tokens.update(uri(resource_type, name, text) for name, text in values.uris)
    principal = principal_date(resource_type)
    span = values.dates.get(principal, _NOWHERE)
    return IndexEntries(
        tokens=sorted(tokens),
        strings=sorted({(name, text[:MAX_STRING]) for name, text in values.strings}),
        dates=[DateEntry(name, one.low, one.high) for name, one in sorted(values.dates.items()) if name != principal],
        occurred_from=span.low,
        occurred_to=span.high,
    )
