"""What a search must ask for: exact criteria that name one person, never a browse."""

from libs.thai.identifiers import Local, parse_local
from services.patient_index.model import Criteria, FiledName, Identifier, Key
from services.patient_index.rules.blocking import (
    family_and_birth_key,
    given_and_birth_key,
    identifier_key,
    name_and_year_key,
)
from services.patient_index.rules.registering import folded, registration_id_of

_FULL_DATE = 10


def criteria_of(
    identifier: Identifier | None, name: FiledName | None, birth_date: str, organization_id: str, local_number: str
) -> Criteria | None:
    """The criteria of a search, all of which must hold; None where it is too wide.

    Enough are an identifier; or a name and a birth date; or an organisation and its number.
    """
    keys: list[Key] = []
    registration_ids: list[str] = []
    given = family = ""
    if identifier is not None:
        own = parse_local(identifier.system)
        if own is not None and own.kind in (Local.HN, Local.PID):
            registration_ids.append(registration_id_of(own.facility, identifier.value))
        else:
            keys.append(identifier_key(identifier))
    if name is not None:
        given, family, _ = folded(name)
        key = _name_key(given, family, birth_date)
        if key is not None:
            keys.append(key)
    if organization_id and local_number:
        registration_ids.append(registration_id_of(organization_id, local_number))
    if not keys and not registration_ids:
        return None
    return Criteria(tuple(dict.fromkeys(keys)), tuple(dict.fromkeys(registration_ids)), given, family, birth_date)


def _name_key(given: str, family: str, birth_date: str) -> Key | None:
    """The finest key that finds the name with the birth date; None where one of them is missing."""
    if len(birth_date) == _FULL_DATE and given:
        return given_and_birth_key(given, birth_date)
    if len(birth_date) == _FULL_DATE and family:
        return family_and_birth_key(family, birth_date)
    return name_and_year_key(given, family, birth_date) if given and family and birth_date else None
