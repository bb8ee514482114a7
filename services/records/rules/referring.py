"""What stored resources refer to, read off their bytes.

A stored body is JSON as the service itself writes it, without blanks, so that a reference is found without parsing: a
thousand resources in about a millisecond. A text that merely looks like a reference (within a narrative, say) cannot stand
there: its quotes would be escaped.
"""

import re
from collections.abc import Iterable, Sequence

from libs.fhir.references import LocalReference, parse_local
from services.records.model import Stored
from services.records.visibility import OPEN_TYPES

_REFERENCE = re.compile(rb'"reference":"([A-Z][A-Za-z]{1,63}/[A-Za-z0-9.-]{1,64})(?:/_history/[^"]*)?"')
# What the records of a person refer to without its being about a person.
SUPPORTING = frozenset({*OPEN_TYPES, "Device", "Group"})


def supporting(resources: Sequence[Stored], types: frozenset[str] = SUPPORTING) -> list[LocalReference]:
    """The resources of these types that are referred to, each once, without those that are given."""
    given = {one.key for one in resources}
    return [
        local
        for local in references_of(one.body for one in resources)
        if local.type in types and _key(local) not in given
    ]


def references_of(bodies: Iterable[bytes]) -> list[LocalReference]:
    """The local references of stored bodies, each once, in their order."""
    found: dict[bytes, None] = {}
    for body in bodies:
        found.update(dict.fromkeys(_REFERENCE.findall(body)))
    locals_ = (parse_local(text.decode()) for text in found)
    return [local for local in locals_ if local is not None]


def _key(local: LocalReference) -> str:
    return f"{local.type}/{local.id}"
