"""FHIR bundles as they come from outside: what of them is registered, and what is stored under which id.

An entry that its sender gave no way to be found again (no PUT, no ifNoneExist) gets an identifier derived from its
fullUrl, or from its content where it has none, and is stored unless that is there; so the same bundle again changes
nothing, and what was stored under a fullUrl stays as it is.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import orjson
from nhip.patient_index.v1 import resources_pb2
from nhip.types.v1 import types_pb2

from libs.ids import derived_id
from libs.thai import facilities, identifiers, places
from services.exchange.mapping.pieces import Json

MAX_ENTRIES = 5_000
SOURCE_ENTRY = "https://nhip.th/fhir/NamingSystem/source-entry"
# Of the types of FHIR R4, those that have no identifier at all, and those that have one only.
_WITHOUT_IDENTIFIER = frozenset({"AuditEvent", "Binary", "Linkage", "OperationOutcome", "Parameters", "Provenance"})
_WITH_ONE_IDENTIFIER = frozenset({"Bundle", "Composition", "QuestionnaireResponse"})
_TYPES = frozenset({"transaction", "batch", "collection"})
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_DATE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")
_THAI = re.compile(r"[\u0e00-\u0e7f]")
_VERSION = re.compile(r'(?:W/)?"?([0-9]{1,18})"?')
_LANGUAGE = "http://hl7.org/fhir/StructureDefinition/language"
_NATIONALITY = "http://hl7.org/fhir/StructureDefinition/patient-nationality"
_ADDRESS_CODE = f"{identifiers.EXTENSIONS}/ex-address-address-code"
_OWN_TYPES = frozenset({"localHn", "MR"})
_SEXES = {
    "male": types_pb2.SEX_MALE,
    "female": types_pb2.SEX_FEMALE,
    "other": types_pb2.SEX_OTHER,
    "unknown": types_pb2.SEX_UNKNOWN,
}
_DAY_LENGTH = 10


class BundleError(ValueError):
    """A bundle cannot be taken. `entry` counts from 0, or is None where all of it is meant; no value is repeated."""

    def __init__(self, entry: int | None, expression: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.entry = entry
        self.expression = expression
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry on its way to records. `id` is the id that the resource gets, where it is given here."""

    position: int
    method: str
    url: str
    full_url: str
    resource: Json | None = field(repr=False)
    if_none_exist: str = field(default="", repr=False)
    if_match: int = 0
    id: str = ""

    @property
    def is_patient(self) -> bool:
        """True for a Patient that is to be stored, and so to be registered first."""
        return self.resource is not None and self.resource.get("resourceType") == "Patient"


def parse(data: bytes) -> Json:
    """The bundle. Raises BundleError: JSON_INVALID, BUNDLE_EXPECTED, BUNDLE_TYPE, BUNDLE_TOO_LARGE."""
    try:
        found = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise BundleError(None, "", "JSON_INVALID", f"the file is no JSON, at {place}") from None
    if not isinstance(found, dict) or found.get("resourceType") != "Bundle":
        raise BundleError(None, "", "BUNDLE_EXPECTED", "the file is no FHIR Bundle")
    if found.get("type") not in _TYPES:
        message = "a bundle to be imported is a transaction, a batch or a collection"
        raise BundleError(None, "Bundle.type", "BUNDLE_TYPE", message)
    entries = found.get("entry", [])
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        message = f"a bundle holds at most {MAX_ENTRIES} entries"
        raise BundleError(None, "Bundle.entry", "BUNDLE_TOO_LARGE", message)
    return found


def entries_of(bundle: Json, organization_id: str) -> list[Entry]:
    """The entries, in order, each with a way to be found again. Raises BundleError."""
    return [_entry(position, told, organization_id) for position, told in enumerate(bundle.get("entry", []))]


def _entry(position: int, told: object, organization_id: str) -> Entry:
    place = f"Bundle.entry[{position}]"
    if not isinstance(told, dict):
        raise BundleError(position, place, "ENTRY_INVALID", "an entry is an object")
    request = _object(told.get("request"))
    method = _text(request.get("method")) or "POST"
    resource = told.get("resource")
    if method in ("GET", "DELETE"):
        return Entry(position, method, _text(request.get("url")), _text(told.get("fullUrl")), None)
    if method not in ("POST", "PUT"):
        raise BundleError(
            position, f"{place}.request.method", "METHOD_UNSUPPORTED", "an entry is a POST, PUT or DELETE"
        )
    if not isinstance(resource, dict) or not _TYPE.fullmatch(_text(resource.get("resourceType"))):
        raise BundleError(position, f"{place}.resource", "RESOURCE_MISSING", "the entry holds no resource")
    version = _VERSION.fullmatch(_text(request.get("ifMatch")))
    entry = Entry(
        position,
        method,
        _text(request.get("url")),
        _text(told.get("fullUrl")),
        resource,
        _text(request.get("ifNoneExist")),
        int(version[1]) if version else 0,
    )
    return entry if entry.is_patient else _findable(entry, organization_id)


def _findable(entry: Entry, organization_id: str) -> Entry:
    """The entry as one that changes nothing when it is sent again. Raises BundleError IDENTIFIER_IMPOSSIBLE."""
    resource = entry.resource or {}
    kind = resource["resourceType"]
    if (entry.method == "POST" and entry.if_none_exist) or (entry.method == "PUT" and "/" in entry.url):
        return entry
    if kind in _WITHOUT_IDENTIFIER:
        place = f"Bundle.entry[{entry.position}].request"
        message = f"a {kind} carries no identifier by which it could be found again; send it as PUT"
        raise BundleError(entry.position, place, "IDENTIFIER_IMPOSSIBLE", message)
    own = _text(resource.get("id"))
    told = entry.full_url or (f"{kind}/{own}" if own else "")
    name = told or hashlib.sha256(orjson.dumps(resource, option=orjson.OPT_SORT_KEYS)).hexdigest()
    number = {"system": SOURCE_ENTRY, "value": derived_id(kind, organization_id, "fhir", name)}
    numbers = number if kind in _WITH_ONE_IDENTIFIER else [*_objects(resource.get("identifier")), number]
    return replace(
        entry,
        method="POST",
        url=kind,
        resource={**resource, "identifier": numbers},
        if_none_exist=f"identifier={quote(SOURCE_ENTRY, safe='')}%7C{number['value']}",
    )


def filed(entry: Entry, registration_id: str) -> Entry:
    """A Patient's entry under the id of its registration."""
    resource = {**(entry.resource or {}), "id": registration_id}
    return replace(entry, method="POST", url="Patient", id=registration_id, resource=resource)


def as_update(entry: Entry) -> Entry:
    """A Patient's entry when the Patient turns out to be filed already."""
    return replace(entry, method="PUT", url=f"Patient/{entry.id}", id="", if_none_exist="")


def registration_of(
    entry: Entry, organization_id: str, *, takes_any_number: bool = False
) -> resources_pb2.Registration:
    """The registration that a Patient asks for. Raises BundleError LOCAL_NUMBER_MISSING.

    With `takes_any_number`, as where a Patient is created, another number stands in for the organisation's own.
    """
    patient = entry.resource or {}
    own, others = _numbers(patient, organization_id)
    if takes_any_number and not own:
        own = others[0].value if others else ""
    if not own:
        place = f"Bundle.entry[{entry.position}].resource.identifier"
        message = "the Patient carries neither the organisation's own number nor a citizen id"
        raise BundleError(entry.position, place, "LOCAL_NUMBER_MISSING", message)
    made = resources_pb2.Registration(
        organization_id=organization_id,
        local_number=own,
        identifiers=others[:20],
        names=list(_names(patient))[:10],
        sex=_SEXES.get(_text(patient.get("gender")), types_pb2.SEX_UNKNOWN),
        nationality=_nationality(patient),
    )
    born, died = _text(patient.get("birthDate")), _text(patient.get("deceasedDateTime"))[:_DAY_LENGTH]
    if _DATE.fullmatch(born):
        made.birth_date = born
    if len(died) == _DAY_LENGTH and _DATE.fullmatch(died):
        made.death_date = died
    telecoms = (one for one in _objects(patient.get("telecom")) if one.get("system") == "phone")
    made.phone = next((_text(one.get("value"))[:32] for one in telecoms), "")
    address = next(iter(_objects(patient.get("address"))), None)
    if address is not None:
        made.address.CopyFrom(_address(address))
    return made


def _numbers(patient: Json, organization_id: str) -> tuple[str, list[types_pb2.Identifier]]:
    """The organisation's own number of the person (HN, else the citizen id), and what others issued."""
    own = citizen = ""
    others = []
    for number in _objects(patient.get("identifier")):
        system, value = identifiers.normalize(_text(number.get("system"))), _text(number.get("value")).strip()
        types = {_text(coding.get("code")) for coding in _objects(_object(number.get("type")).get("coding"))}
        local = identifiers.parse_local(system)
        if not value:
            continue
        if local is not None and _is_same(local.facility, organization_id):
            own = own or (value if local.kind is identifiers.Local.HN else "")
        elif local is None and not types.isdisjoint(_OWN_TYPES):
            own = own or value
        elif system:
            citizen = citizen or (value if system == identifiers.CITIZEN_ID else "")
            others.append(types_pb2.Identifier(system=system, value=value))
    return own or citizen, others


def _is_same(code: str, organization_id: str) -> bool:
    try:
        return code == organization_id or facilities.code5_of(code) == organization_id
    except facilities.FacilityCodeError:
        return False


def _names(patient: Json) -> Iterator[types_pb2.PersonName]:
    for name in _objects(patient.get("name")):
        given = " ".join(filter(None, map(_text, _list(name.get("given")))))
        family, prefix = _text(name.get("family")), " ".join(filter(None, map(_text, _list(name.get("prefix")))))
        if not given and not family:
            given, _, family = _text(name.get("text")).strip().partition(" ")
        if given or family:
            told = (
                _text(one.get("valueCode")) for one in _objects(name.get("extension")) if one.get("url") == _LANGUAGE
            )
            language = next(told, "") or ("th" if _THAI.search(given + family) else "en")
            yield types_pb2.PersonName(
                language=language[:2], prefix=prefix[:100], given=given.strip()[:200], family=family.strip()[:200]
            )


def _address(address: Json) -> types_pb2.Address:
    made = types_pb2.Address(line=" ".join(filter(None, map(_text, _list(address.get("line")))))[:400])
    postal_code = _text(address.get("postalCode"))
    made.postal_code = postal_code if re.fullmatch(r"[0-9]{5}", postal_code) else ""
    for extension in _objects(address.get("extension")):
        if extension.get("url") == _ADDRESS_CODE:
            made.place_code = _place(extension)
    return made


def _place(extension: Json) -> str:
    """The deepest known place of the three that the extension names."""
    told = {_text(part.get("url")): _code(part) for part in _objects(extension.get("extension"))}
    codes = (told.get(level, "") for level in ("subdistrict", "district", "province"))
    return next((code for code in codes if code and len(code) in (2, 4, 6) and places.find(code)), "")


def _nationality(patient: Json) -> str:
    for extension in _objects(patient.get("extension")):
        if extension.get("url") == _NATIONALITY:
            codes = (_code(part) for part in _objects(extension.get("extension")))
            return next((code for code in codes if re.fullmatch(r"[0-9]{3}", code)), "")
    return ""


def _code(extension: Mapping[str, Any]) -> str:
    concept = _object(extension.get("valueCodeableConcept"))
    codings = [_object(extension.get("valueCoding")), *_objects(concept.get("coding"))]
    return next((code for coding in codings if (code := _text(coding.get("code")))), _text(extension.get("valueCode")))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _objects(value: object) -> list[Json]:
    return [one for one in _list(value) if isinstance(one, dict)]
