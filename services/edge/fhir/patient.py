"""FHIR Patient ⇄ registration. What the index needs of a Patient, in either family of Thai identifier systems.

Every step takes the document as it finds it: whether it is a sound Patient is for records to say.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

import orjson
from nhip.patient_index.v1 import resources_pb2
from nhip.types.v1 import types_pb2

from libs.errors import FieldViolation, InvalidArgumentError, UnauthenticatedError
from libs.thai import facilities, identifiers, names, places
from services.edge.asgi import Request

TYPE = "Patient"
LANGUAGE = "http://hl7.org/fhir/StructureDefinition/language"
PATIENT_NATIONALITY = "http://hl7.org/fhir/StructureDefinition/patient-nationality"
ADDRESS_CODE = f"{identifiers.EXTENSIONS}/ex-address-address-code"
STRUCTURED_LINE = f"{identifiers.EXTENSIONS}/ex-address-structured-line"
# Codes of Identifier.type that say "this organisation's number of the person": SIL-TH's, then HL7's table 0203.
LOCAL_TYPES = frozenset({"localHn", "MR"})
_SEX = {
    "male": types_pb2.SEX_MALE,
    "female": types_pb2.SEX_FEMALE,
    "other": types_pb2.SEX_OTHER,
    "unknown": types_pb2.SEX_UNKNOWN,
}
_GENDERS = {number: word for word, number in _SEX.items()}
_DATE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")
_THAI = re.compile(r"[\u0e00-\u0e7f]")
# What a Registration takes at most.
MAX_IDENTIFIERS, MAX_NAMES, MAX_PREFIX, MAX_NAME, MAX_LINE, MAX_PHONE = 20, 10, 100, 200, 400, 32


def organization_of(request: Request) -> str:
    """The organisation that the caller's token names; empty when it names none.

    Read without verifying: patient_index verifies the token and that it may register for this organisation. Raises
    UnauthenticatedError, reason TOKEN_MISSING, when there is no bearer token.
    """
    scheme, _, token = request.header(b"authorization").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthenticatedError("TOKEN_MISSING", "this method asks for a bearer token")
    try:
        payload = token.split(".")[1]
        claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        organization = claims.get("org", "")
    except (IndexError, binascii.Error, ValueError, AttributeError):
        return ""
    return organization if isinstance(organization, str) else ""


def to_registration(document: dict[str, Any], organization_id: str, place: str = TYPE) -> resources_pb2.Registration:
    """The registration that a Patient asks for. Raises InvalidArgumentError, reason LOCAL_NUMBER_MISSING, at `place`."""
    local_number, others = _numbers(document, organization_id)
    if not local_number:
        violation = FieldViolation(
            f"{place}.identifier",
            "LOCAL_NUMBER_MISSING",
            "one of: the organisation's HN (system …/hcode/5/{HCODE}/HN or type localHn or MR), a citizen id, another number",
        )
        raise InvalidArgumentError(
            "LOCAL_NUMBER_MISSING", "the Patient carries no number to know them by", fields=[violation]
        )
    found = demographics(document)
    found.organization_id = organization_id
    found.local_number = local_number
    found.identifiers.extend(others[:MAX_IDENTIFIERS])
    return found


def demographics(document: dict[str, Any]) -> resources_pb2.Registration:
    """What a Patient says of the person, without any number."""
    found = resources_pb2.Registration(sex=_SEX.get(_text(document.get("gender")), types_pb2.SEX_UNSPECIFIED))
    birth_date = _text(document.get("birthDate"))
    if _DATE.fullmatch(birth_date):
        found.birth_date = birth_date
    died = _text(document.get("deceasedDateTime"))[:10]
    if len(died) == len("YYYY-MM-DD") and _DATE.fullmatch(died):
        found.death_date = died
    found.names.extend(list(_names(document))[:MAX_NAMES])
    for address in _objects(document.get("address")):
        found.address.CopyFrom(_address(address))
        break
    for telecom in _objects(document.get("telecom")):
        if telecom.get("system") == "phone" and _text(telecom.get("value")):
            found.phone = _text(telecom.get("value"))[:MAX_PHONE]
            break
    found.nationality = _nationality(document)
    return found


def numbers_of(document: dict[str, Any]) -> list[types_pb2.Identifier]:
    """Every identifier with its system, as the platform spells it."""
    return [types_pb2.Identifier(system=system, value=value) for system, value, _ in _identifiers(document) if system]


def own_numbers(registration: resources_pb2.Registration) -> list[types_pb2.Identifier]:
    """The organisation's own number of the person, under its system; none where the organisation has no such system."""
    try:
        system = identifiers.local(registration.organization_id, identifiers.Local.HN)
    except ValueError:
        return []
    number = registration.local_number
    return [types_pb2.Identifier(system=system, value=number)] if number else []


def to_patient(registration: resources_pb2.Registration) -> dict[str, Any]:
    """A Patient as the index knows the registration."""
    shown = [*own_numbers(registration), *registration.identifiers]
    numbers = [{"system": number.system, "value": number.value} for number in shown]
    found: dict[str, Any] = {
        "resourceType": TYPE,
        "id": registration.registration_id,
        "identifier": numbers,
        "name": [_human_name(name) for name in registration.names],
        "gender": _GENDERS.get(registration.sex, ""),
        "birthDate": registration.birth_date,
        "deceasedDateTime": registration.death_date,
        "telecom": [{"system": "phone", "value": registration.phone}] if registration.phone else [],
    }
    if registration.organization_id:
        reference = {"system": identifiers.FACILITY, "value": registration.organization_id}
        found["managingOrganization"] = {"identifier": reference}
    return {name: value for name, value in found.items() if value}


def _numbers(document: dict[str, Any], organization_id: str) -> tuple[str, list[types_pb2.Identifier]]:
    """The organisation's own number of the person, and the numbers that others issued."""
    own, citizen, first = "", "", ""
    others = []
    for system, value, types in _identifiers(document):
        local = identifiers.parse_local(system)
        is_hn = local.kind is identifiers.Local.HN if local is not None else not types.isdisjoint(LOCAL_TYPES)
        if is_hn and (local is None or _is_same_facility(local.facility, organization_id)):
            own = own or value
            continue
        if local is not None and not _is_same_facility(local.facility, organization_id):
            others.append(types_pb2.Identifier(system=system, value=value))
            continue
        if system == identifiers.CITIZEN_ID or (not system and "cid" in types):
            system = identifiers.CITIZEN_ID  # noqa: PLW2901 its type says which system it has
            citizen = citizen or value
        first = first or value
        if system:
            others.append(types_pb2.Identifier(system=system, value=value))
    return own or citizen or first, others


def _is_same_facility(code: str, organization_id: str) -> bool:
    if code == organization_id:
        return True
    try:
        return facilities.code5_of(code) == organization_id
    except facilities.FacilityCodeError:
        return False


def _identifiers(document: dict[str, Any]) -> Iterator[tuple[str, str, frozenset[str]]]:
    """System in the platform's spelling, value, and the codes of the type."""
    for number in _objects(document.get("identifier")):
        value = _text(number.get("value")).strip()
        if value:
            codings = _objects(_object(number.get("type")).get("coding"))
            types = frozenset(_text(coding.get("code")) for coding in codings)
            yield normal_system(_text(number.get("system"))), value, types


def normal_system(system: str) -> str:
    """A system as the platform spells it; what is no URL stays as it is written."""
    try:
        return identifiers.normalize(system)
    except ValueError:
        return system.strip()


def _names(document: dict[str, Any]) -> Iterator[types_pb2.PersonName]:
    found = sorted(_objects(document.get("name")), key=lambda name: name.get("use") != "official")
    for name in found:
        prefix = " ".join(filter(None, map(_text, _list(name.get("prefix")))))
        given = " ".join(filter(None, map(_text, _list(name.get("given")))))
        family = _text(name.get("family"))
        if not given and not family:
            split, rest = names.split_prefix(_text(name.get("text")))
            prefix = prefix or (split.short if split else "")
            given, _, family = rest.strip().partition(" ")
        if given or family:
            language = _language(name) or ("th" if _THAI.search(given + family) else "en")
            yield types_pb2.PersonName(
                language=language,
                prefix=prefix[:MAX_PREFIX],
                given=given.strip()[:MAX_NAME],
                family=family.strip()[:MAX_NAME],
            )


def _human_name(name: types_pb2.PersonName) -> dict[str, Any]:
    found: dict[str, Any] = {
        "extension": [{"url": LANGUAGE, "valueCode": name.language}] if name.language else [],
        "family": name.family,
        "given": [name.given] if name.given else [],
        "prefix": [name.prefix] if name.prefix else [],
    }
    return {key: value for key, value in found.items() if value}


def _language(name: dict[str, Any]) -> str:
    for extension in _objects(name.get("extension")):
        if extension.get("url") == LANGUAGE:
            return _text(extension.get("valueCode"))[:2].lower()
    return ""


def _address(address: dict[str, Any]) -> types_pb2.Address:
    found = types_pb2.Address(line=" ".join(filter(None, map(_text, _list(address.get("line")))))[:MAX_LINE])
    postal_code = _text(address.get("postalCode"))
    if re.fullmatch(r"[0-9]{5}", postal_code):
        found.postal_code = postal_code
    for extension in _objects(address.get("extension")):
        parts = {_text(part.get("url")): _code_or_text(part) for part in _objects(extension.get("extension"))}
        if extension.get("url") == ADDRESS_CODE:
            found.place_code = _place_code(parts)
        elif extension.get("url") == STRUCTURED_LINE and re.fullmatch(r"[0-9A-Z]{1,2}", parts.get("villageNo", "")):
            found.village = parts["villageNo"].zfill(2)
    return found


def _place_code(parts: dict[str, str]) -> str:
    """The deepest place that the parts name, whether each is written in full or by its last two digits."""
    code = ""
    for name in ("province", "district", "subdistrict"):
        part = parts.get(name, "")
        wanted = len(code) + 2
        if not (part.isascii() and part.isdigit()):
            break
        code = code + part if len(part) == 2 else part[:wanted]  # noqa: PLR2004 digits of one level
        if len(code) != wanted:
            return ""
    return code if code and places.find(code) is not None else ""


def _nationality(document: dict[str, Any]) -> str:
    for extension in _objects(document.get("extension")):
        if extension.get("url") == PATIENT_NATIONALITY:
            for part in _objects(extension.get("extension")):
                code = _code_or_text(part)
                if part.get("url") == "code" and re.fullmatch(r"[0-9]{3}", code):
                    return code
    return ""


def _code_or_text(extension: dict[str, Any]) -> str:
    codings = [
        _object(extension.get("valueCoding")),
        *_objects(_object(extension.get("valueCodeableConcept")).get("coding")),
    ]
    for coding in codings:
        if code := _text(coding.get("code")):
            return code
    return _text(extension.get("valueString")) or _text(extension.get("valueCode"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in _list(value) if isinstance(item, dict)]
