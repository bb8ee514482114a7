"""The document: a Composition, what its sections hold, and all that these refer to.

The person has one Patient in it, whatever the registration that a fact was filed under: which organisation filed a fact stays
with it as `meta.source`. A reference whose target is not part of the document becomes a display, so that all that are left
resolve within.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import orjson
from nhip.records.v1 import person_pb2

from libs.fhir.references import parse_local, rewrite
from libs.ids import new_id
from services.edge.fhir.operations.summary.narrative import narrative, nothing
from services.edge.fhir.operations.summary.sections import Section, entries, sections

Json = dict[str, Any]
PROFILE = "http://hl7.org/fhir/uv/ips/StructureDefinition/Bundle-uv-ips"
_COMPOSITION = "http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips"
_LOINC = "http://loinc.org"


def document(base: str, gathered: person_pb2.GatherSummaryResponse, now: datetime) -> bytes:
    """The Bundle of type document for what was gathered; `base` is where the server is known to stand."""
    patient = orjson.loads(gathered.patient.body)
    bodies = [orjson.loads(one.body) for one in gathered.resources]
    others = {f"Patient/{one['id']}" for one in bodies if one["resourceType"] == "Patient"}
    bodies = [one for one in bodies if one["resourceType"] != "Patient"]
    pool = {_key(one): one for one in (*bodies, *(orjson.loads(one.body) for one in gathered.referred))}
    made = _Making(base, patient)
    subject = {"reference": f"{base}/{_key(patient)}"}
    found = [(one, entries(one, bodies)) for one in sections()]
    listed = [made.section(one, inside, pool, subject) for one, inside in found if inside or one.is_required]
    author = made.add(
        {"resourceType": "Device", "deviceName": [{"name": "National Health Information Platform", "type": "other"}]}
    )
    instant = now.isoformat(timespec="seconds")
    composition = {
        "resourceType": "Composition",
        "meta": {"profile": [_COMPOSITION]},
        "language": "th",
        "status": "final",
        "type": {"coding": [{"system": _LOINC, "code": "60591-5", "display": "Patient summary Document"}]},
        "subject": subject,
        "date": instant,
        "author": [{"reference": author}],
        "title": f"สรุปข้อมูลสุขภาพ / Patient summary: {_name(patient)}",
        "section": listed,
    }
    wanted = _reached([patient, *(one for _, inside in found for one in inside)], pool, others)
    rest = [_resolved(one, pool.keys() & {_key(body) for body in wanted}, _key(patient), others) for one in wanted]
    whole = [
        {"fullUrl": f"urn:uuid:{new_id()}", "resource": composition},
        *({"fullUrl": f"{base}/{_key(one)}", "resource": one} for one in rest),
        *made.entries,
    ]
    return orjson.dumps(
        {
            "resourceType": "Bundle",
            "meta": {"profile": [PROFILE]},
            "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{new_id()}"},
            "type": "document",
            "timestamp": instant,
            "entry": whole,
        }
    )


class _Making:
    """Collects what the document brings itself."""

    def __init__(self, base: str, patient: Json) -> None:
        self.entries: list[Json] = []
        self._base = base
        self._patient = patient

    def add(self, resource: Json) -> str:
        """Adds a resource of the document's own; the address that it has there."""
        address = f"urn:uuid:{new_id()}"
        self.entries.append({"fullUrl": address, "resource": resource})
        return address

    def section(self, section: Section, inside: list[Json], named: dict[str, Json], subject: Json) -> Json:
        """A section with its text and references; one that must stand and is empty says that nothing is known."""
        if inside:
            text = narrative(section.thai, section.title, inside, named)
            references = [f"{self._base}/{_key(one)}" for one in inside]
        elif section.nothing is not None:
            text = nothing(section.thai, section.title)
            references = [self.add(section.nothing(subject))]
        else:
            raise AssertionError("an empty section that need not stand is left out")
        return {
            "title": f"{section.thai} / {section.title}",
            # Without a display: what LOINC calls a section changes between its versions.
            "code": {"coding": [{"system": _LOINC, "code": section.code}], "text": section.title},
            "text": text,
            "entry": [{"reference": one} for one in references],
        }


def _reached(bodies: Iterable[Json], pool: dict[str, Json], others: set[str]) -> list[Json]:
    """The resources, and those of the pool that they lead to."""
    found: dict[str, Json] = {}
    waiting = list(bodies)
    while waiting:
        body = waiting.pop(0)
        if _key(body) in found:
            continue
        found[_key(body)] = body
        waiting += [pool[text] for text in _references(body) if text in pool and text not in others]
    return list(found.values())


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        text = value.get("reference")
        local = parse_local(text) if isinstance(text, str) else None
        if local is not None:
            yield str(local)
        for child in value.values():
            yield from _references(child)
    elif isinstance(value, list):
        for child in value:
            yield from _references(child)


def _resolved(body: Json, inside: set[str], patient: str, others: set[str]) -> Json:
    """The resource with references to what the document holds, and displays in place of the others."""

    def replaced(_: str, text: str) -> str:
        local = parse_local(text)
        if local is None:
            return text
        return patient if str(local) in others or str(local) == patient else str(local)

    rewrite(body, replaced)
    _drop(body, {*inside, patient})
    return body


def _drop(value: Any, inside: set[str]) -> None:
    if isinstance(value, dict):
        text = value.get("reference")
        local = parse_local(text) if isinstance(text, str) else None
        if local is not None and str(local) not in inside:
            del value["reference"]
            value.setdefault("display", f"{local.type}, not part of this summary")
        for child in value.values():
            _drop(child, inside)
    elif isinstance(value, list):
        for child in value:
            _drop(child, inside)


def _key(body: Json) -> str:
    return f"{body['resourceType']}/{body['id']}"


def _name(patient: Json) -> str:
    for name in patient.get("name", ()):
        parts = [*name.get("prefix", ()), *name.get("given", ()), name.get("family", "")]
        shown = name.get("text") or " ".join(filter(None, parts))
        if shown:
            return str(shown)
    return str(patient["id"])
