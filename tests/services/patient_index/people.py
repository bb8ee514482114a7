"""Synthetic people, told as one would on the telephone: `a_person(born="1984-02-29")`."""

from dataclasses import replace
from datetime import UTC, datetime

from nhip.patient_index.v1 import resources_pb2

from libs.thai import citizen_id
from libs.thai.identifiers import CITIZEN_ID
from services.patient_index.model import Features, Filed, FiledName, Held, Identifier, Incoming, Loaded, Sex
from services.patient_index.rules.blocking import keys_of
from services.patient_index.rules.registering import features_of, registration_id_of
from services.patient_index.rules.world import World

HOSPITAL_A, HOSPITAL_B, CLINIC = "99001", "99002", "99003"
NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
PASSPORT = "http://hl7.org/fhir/sid/passport-MMR"


def a_number(seed: int) -> str:
    """A valid citizen id that the registry never issues."""
    return citizen_id.make(f"9{seed:011d}")


def a_filing(
    *,
    number: str = "",
    passport: str = "",
    prefix: str = "นาย",
    given: str = "สมชาย",
    family: str = "ใจดีงาม",
    roman: tuple[str, str] | None = None,
    born: str = "1984-02-29",
    sex: int = Sex.MALE,
    place: str = "501203",
    phone: str = "081-234-5678",
    nationality: str = "099",
    organization: str = HOSPITAL_A,
    local_number: str = "1",
) -> Filed:
    """What an organisation filed."""
    identifiers = [Identifier(CITIZEN_ID, number)] if number else []
    identifiers += [Identifier(PASSPORT, passport)] if passport else []
    names = [FiledName("th", prefix, given, family)] if given or family else []
    names += [FiledName("en", "", *roman)] if roman else []
    return Filed(
        organization, local_number, "", tuple(identifiers), tuple(names), sex, born, place, phone, nationality, ""
    )


def a_person(**told) -> Features:
    """What is compared of a filing."""
    return features_of(a_filing(**told))


def an_incoming(*, written_at: datetime | None = None, **told) -> Incoming:
    """A registration ready to be placed."""
    filed = a_filing(**told)
    features = features_of(filed)
    return Incoming(
        registration_id_of(filed.organization_id, filed.local_number),
        filed.organization_id,
        filed.local_number,
        repr(filed).encode(),
        features,
        keys_of(features, filed.organization_id, filed.local_number),
        written_at or NOW,
        is_dated=written_at is not None,
    )


class Numbered:
    """Ids in the order of their making, so that a test is the same each time."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> str:
        """The next id."""
        self.made += 1
        return f"00000000-0000-7000-8000-{self.made:012d}"


class EveryBlock(dict):
    """Blocks of an index that holds nothing yet: every key was asked for."""

    def __missing__(self, key):
        """Makes the block, as the query that finds nobody does."""
        self[key] = set()
        return self[key]

    def get(self, key, default=None):
        """The block; there is always one."""
        return self[key]


def key_of(number: Identifier) -> str:
    """A key that a test can read."""
    return f"key of {number.value}"


def a_world(*held: Held) -> World:
    """A world with these registrations in it and every block loaded."""
    blocks = EveryBlock()
    for one in held:
        for key in keys_of(one.features, one.organization_id, one.local_number):
            blocks[key].add(one.registration_id)
    return World(Loaded({one.registration_id: one for one in held}, blocks), key_of, Numbered())


def a_message(filed: Filed | None = None, **told) -> resources_pb2.Registration:
    """A filing as a message."""
    filed = filed or a_filing(**told)
    message = resources_pb2.Registration(
        organization_id=filed.organization_id,
        local_number=filed.local_number,
        sex=filed.sex,
        birth_date=filed.birth_date,
        phone=filed.phone,
        nationality=filed.nationality,
    )
    for one in filed.identifiers:
        message.identifiers.add(system=one.system, value=one.value)
    for name in filed.names:
        message.names.add(language=name.language, prefix=name.prefix, given=name.given, family=name.family)
    if filed.place_code:
        message.address.place_code = filed.place_code
    return message


def with_number(features: Features, number: str) -> Features:
    """The same person with another citizen id."""
    return replace(features, identifiers=(Identifier(CITIZEN_ID, number),))
