"""A line of the benchmark as the registration that a facility would send to the patient index."""

from collections.abc import Mapping
from typing import Final

from nhip.patient_index.v1 import resources_pb2
from nhip.types.v1 import types_pb2

from libs.thai import citizen_id, identifiers

_SEXES: Final = {"male": types_pb2.SEX_MALE, "female": types_pb2.SEX_FEMALE}
_PASSPORT: Final = "http://hl7.org/fhir/sid/passport-"
_BUDDHIST_FROM, _BUDDHIST_OFFSET = 2400, 543
# Countries by the benchmark's nationality, for the system of a passport.
_COUNTRIES: Final = {"048": "MMR", "056": "LAO", "057": "KHM"}


def registration_of(
    row: Mapping[str, str], organization_id: str = "", local_number: str = ""
) -> resources_pb2.Registration:
    """The registration. A citizen id that does not check is left out, as the index would refuse the whole.

    So is a date that lies in no calendar; a year of the Buddhist era becomes one of the Common Era, as importers do it.
    """
    message = resources_pb2.Registration(
        organization_id=organization_id or row["facility"],
        local_number=local_number or f"{row['hn']}-{row['record_id']}",
        names=[types_pb2.PersonName(language="th", prefix=row["prefix"], given=row["given"], family=row["family"])],
        sex=_SEXES.get(row["sex"], types_pb2.SEX_UNSPECIFIED),
        birth_date=_common_era(row["birth_date"]),
        address=types_pb2.Address(place_code=row["place_code"]),
        phone=row["phone"],
        nationality=row["nationality"],
    )
    if row["given_roman"]:
        message.names.add(language="en", given=row["given_roman"], family=row["family_roman"])
    for number in (row["citizen_id"], row["other_id"]):
        if number and citizen_id.is_valid(number):
            message.identifiers.add(system=identifiers.CITIZEN_ID, value=number)
    if row["passport"]:
        country = _COUNTRIES.get(row["nationality"], "XXX")
        message.identifiers.add(system=f"{_PASSPORT}{country}", value=row["passport"])
    return message


def _common_era(text: str) -> str:
    year = int(text[:4] or 0)
    return f"{year - _BUDDHIST_OFFSET}{text[4:]}" if year > _BUDDHIST_FROM else text
