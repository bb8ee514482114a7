"""PERSON, ADDRESS, HOME and DEATH: one registration, and the Patient that is filed under its id.

What the files say of one person comes in four of them, and not always in the same zip. A registration is composed of
what is new and what was told before.
"""

from typing import NamedTuple

from nhip.patient_index.v1 import resources_pb2
from nhip.types.v1 import types_pb2

from libs.f43.schema import FILES
from libs.thai import identifiers, names, places
from services.exchange.mapping.pieces import Draft, Json, Row, columns, date_of, epoch_of, facility, without_blanks
from services.exchange.model import KnownPerson

_PERSON = columns(
    "PERSON", "CID", "PASSPORT", "PRENAME", "NAME", "LNAME", "SEX", "BIRTH", "NATION", "TELEPHONE", "MOBILE",
    "DISCHARGE", "DDISCHARGE", "D_UPDATE",
)  # fmt: skip
_HOME = columns(
    "HOME", "ROOMNO", "CONDO", "HOUSE", "VILLANAME", "SOISUB", "SOIMAIN", "ROAD", "VILLAGE", "CHANGWAT", "AMPUR", "TAMBON",
)  # fmt: skip
_ADDRESS = columns(
    "ADDRESS", "ROOMNO", "CONDO", "HOUSENO", "VILLANAME", "SOISUB", "SOIMAIN", "ROAD", "VILLAGE", "CHANGWAT", "AMPUR",
    "TAMBON",
)  # fmt: skip

_TYPE_AREA = FILES["PERSON"].index["TYPEAREA"]
_SEXES = {"1": types_pb2.SEX_MALE, "2": types_pb2.SEX_FEMALE}
_GENDERS = {
    types_pb2.SEX_MALE: "male",
    types_pb2.SEX_FEMALE: "female",
    types_pb2.SEX_OTHER: "other",
    types_pb2.SEX_UNKNOWN: "unknown",
}
_DIED = "1"
# TYPEAREA: registered here and living here; living here, registered elsewhere.
_LIVES_IN_THE_AREA = frozenset({"1", "3"})
_REGISTERED_HOUSE = "1"
_CONTACT = "2"
_LINE_WIDTH = 400


class Places(NamedTuple):
    """Where a person may live: by the HOME that PERSON names, and by ADDRESS of type 1 and 2."""

    home: types_pb2.Address | None = None
    registered: types_pb2.Address | None = None
    contact: types_pb2.Address | None = None


def registration_of(
    organization_id: str, row: Row, local_number: str, told: Places, before: resources_pb2.Registration | None = None
) -> resources_pb2.Registration:
    """The registration that a row of PERSON asks for.

    `before` is the registration as it was told last: what other files said of it stays until they say otherwise.
    """
    picked = _PERSON(row)
    citizen_id, passport, prefix, given, family, sex, birth, nation, phone, mobile, left, left_on, updated = picked
    name = names.clean(given, family, prefix)
    registration = resources_pb2.Registration(
        organization_id=organization_id,
        local_number=local_number,
        names=[
            types_pb2.PersonName(
                language="th", prefix=name.prefix.full if name.prefix else "", given=name.given, family=name.family
            )
        ],
        sex=_SEXES.get(sex, types_pb2.SEX_UNKNOWN),
        birth_date=date_of(birth) or "",
        phone=mobile or phone,
        nationality=nation,
        death_date=date_of(left_on) or "" if left == _DIED else "",
    )
    registration.source_updated_at.seconds = epoch_of(updated)
    systems = (
        (identifiers.CITIZEN_ID, citizen_id),
        (identifiers.PASSPORT, passport),
    )
    registration.identifiers.extend(
        types_pb2.Identifier(system=system, value=value) for system, value in systems if value
    )
    address = residence(row[_TYPE_AREA], told)
    if address is not None:
        registration.address.CopyFrom(address)
    if before is not None:
        if address is None and before.HasField("address"):
            registration.address.CopyFrom(before.address)
        registration.death_date = registration.death_date or before.death_date
    return registration


def residence(type_area: str, told: Places) -> types_pb2.Address | None:
    """Where the person lives: the HOME of people of the area; for others what ADDRESS says, contact before register."""
    ordered = (told.contact, told.registered, told.home)
    if type_area in _LIVES_IN_THE_AREA:
        ordered = (told.home, told.contact, told.registered)
    return next((address for address in ordered if address is not None), None)


def home_address(row: Row) -> types_pb2.Address:
    """The address of a house, of a row of HOME."""
    return _address(*_HOME(row))


def person_address(row: Row) -> types_pb2.Address:
    """The address of a row of ADDRESS."""
    return _address(*_ADDRESS(row))


def is_contact(address_type: str) -> bool:
    """Whether a row of ADDRESS says where the person is reached, and not where the register has them."""
    return address_type == _CONTACT


def _address(
    room: str, building: str, house: str, estate: str, lane: str, main_lane: str, road: str, village: str,
    province: str, district: str, sub_district: str,
) -> types_pb2.Address:  # fmt: skip
    code = places.compose(province, district, sub_district)
    found = places.find(code) if code else None
    told = (
        house,
        room and f"ห้อง {room}",
        building,
        estate,
        _named("ซอย", lane),
        _named("ซอย", main_lane),
        _named("ถนน", road),
    )
    return types_pb2.Address(
        line=" ".join(part for part in told if part)[:_LINE_WIDTH],
        village="" if village in ("", places.UNKNOWN_PART, "00") else village,
        place_code=code,
        postal_code=found.postcode if found else "",
    )


def _named(kind: str, name: str) -> str:
    return name if not name or name.startswith(kind) else f"{kind}{name}"


def patient_of(registration: resources_pb2.Registration, person: KnownPerson) -> Draft:
    """The Patient of a registration, as the facility files it: with its own numbers before those of others."""
    registration_id, organization_id = person.registration_id, registration.organization_id
    own = ((identifiers.Local.HN, person.hn), (identifiers.Local.PID, person.pid))
    numbers = [{"system": identifiers.local(organization_id, kind), "value": value} for kind, value in own if value]
    body: Json = {
        "resourceType": "Patient",
        "id": registration_id,
        "identifier": numbers + [{"system": one.system, "value": one.value} for one in registration.identifiers],
        "active": True,
        "name": [_name(one) for one in registration.names],
        "gender": _GENDERS.get(registration.sex, "unknown"),
        "managingOrganization": facility(organization_id),
    }
    if registration.birth_date:
        body["birthDate"] = registration.birth_date
    if registration.phone:
        body["telecom"] = [{"system": "phone", "value": registration.phone}]
    if registration.HasField("address"):
        body["address"] = [_fhir_address(registration.address)]
    if registration.death_date:
        body["deceasedDateTime"] = registration.death_date
    return Draft("Patient", registration_id, body, registration.source_updated_at.seconds)


def _name(name: types_pb2.PersonName) -> Json:
    parts = [part for part in (f"{name.prefix}{name.given}", name.family) if part]
    return without_blanks(
        {
            "use": "official",
            "text": " ".join(parts) or None,
            "family": name.family or None,
            "given": [name.given] if name.given else None,
            "prefix": [name.prefix] if name.prefix else None,
        }
    )


def _fhir_address(address: types_pb2.Address) -> Json:
    code = address.place_code
    named = [places.find(code[:length]) for length in (6, 4, 2) if length <= len(code)]
    by_length = {len(place.code): place.name_th for place in named if place is not None}
    village = f"หมู่ {address.village.lstrip('0')}" if address.village else ""
    line = [part for part in (address.line, village) if part]
    extension = {
        "url": f"{identifiers.EXTENSIONS}/ex-address-address-code",
        "extension": [
            {
                "url": level,
                "valueCoding": {"system": identifiers.LOCATION, "code": code[:length]},
            }
            for level, length in (("province", 2), ("district", 4), ("subdistrict", 6))
            if length <= len(code)
        ],
    }
    return without_blanks(
        {
            "extension": [extension] if code else None,
            "use": "home",
            "line": line or None,
            "city": by_length.get(6),
            "district": by_length.get(4),
            "state": by_length.get(2),
            "postalCode": address.postal_code or None,
            "country": "TH",
        }
    )
