"""A person as four files tell of them."""

from nhip.patient_index.v1 import resources_pb2
from nhip.types.v1 import types_pb2

from libs.fhir.validation import validate
from services.exchange.mapping.person import Places, home_address, patient_of, person_address, registration_of
from services.exchange.model import KnownPerson
from tests.services.exchange.files import HCODE, a_row

NOWHERE = Places()
HOME = home_address(a_row("HOME"))
REGISTERED = person_address(a_row("ADDRESS"))
CONTACT = person_address(a_row("ADDRESS", ADDRESSTYPE="2", CHANGWAT="10", AMPUR="01", TAMBON="01"))


def registered(
    told: Places = NOWHERE, before: resources_pb2.Registration | None = None, **values: str
) -> resources_pb2.Registration:
    return registration_of(HCODE, a_row("PERSON", **values), "660001", told, before)


def known(registration: resources_pb2.Registration) -> KnownPerson:
    return KnownPerson("1", "registration-1", "660001", "660001", registration.SerializeToString())


def test_a_registration_says_what_person_says() -> None:
    found = registered(PASSPORT="AA12", MOBILE="0812345678")
    assert (found.organization_id, found.local_number, found.birth_date) == (HCODE, "660001", "1980-02-29")
    assert (found.sex, found.nationality, found.phone) == (types_pb2.SEX_MALE, "099", "0812345678")
    (name,) = found.names
    assert (name.language, name.prefix, name.given, name.family) == ("th", "นาย", "สมชาย", "ใจดี")
    assert [one.system for one in found.identifiers] == [
        "https://terms.sil-th.org/id/th-cid", "http://hl7.org/fhir/sid/passport-THA",
    ]  # fmt: skip
    assert found.source_updated_at.ToJsonString() == "2024-03-01T05:00:00Z"


def test_people_of_the_area_live_in_their_house_and_others_where_they_are_reached() -> None:
    everywhere = Places(HOME, REGISTERED, CONTACT)
    assert [registered(everywhere, TYPEAREA=area).address.place_code for area in ("1", "2", "3", "4", "5")] == [
        "500101",
        "100101",
        "500101",
        "100101",
        "100101",
    ]
    assert registered(Places(HOME, REGISTERED), TYPEAREA="4").address.place_code == "570102"
    assert registered(Places(home=HOME), TYPEAREA="4").address.place_code == "500101"


def test_what_other_files_told_before_stays_until_they_say_otherwise() -> None:
    before = registered(Places(contact=CONTACT))
    before.death_date = "2024-01-01"
    after = registered(before=before)
    assert (after.address.place_code, after.death_date) == ("100101", "2024-01-01")
    assert registered(Places(home=HOME), before=before).address.place_code == "500101"


def test_who_was_discharged_as_dead_is_dead() -> None:
    assert registered(DISCHARGE="1", DDISCHARGE="20240210").death_date == "2024-02-10"
    assert registered(DISCHARGE="2", DDISCHARGE="20240210").death_date == ""


def test_an_unknown_sub_district_leaves_the_district() -> None:
    assert home_address(a_row("HOME", TAMBON="99")).place_code == "5001"
    assert home_address(a_row("HOME", CHANGWAT="99")).place_code == ""


def test_an_address_has_a_line_for_a_letter() -> None:
    address = home_address(a_row("HOME", ROAD="ห้วยแก้ว", SOIMAIN="1", VILLAGE="99"))
    assert (address.line, address.village) == ("12/3 ซอย1 ถนนห้วยแก้ว", "")


def test_the_patient_is_valid_and_carries_every_number() -> None:
    registration = registered(Places(home=HOME), MOBILE="0812345678", DISCHARGE="1", DDISCHARGE="20240210")
    draft = patient_of(registration, known(registration))
    assert draft.body is not None
    assert validate(draft.body, "Patient") == []
    assert draft.id == draft.body["id"] == "registration-1"
    assert {one["system"].rpartition("/")[2] for one in draft.body["identifier"]} == {"HN", "PID", "th-cid"}
    assert draft.body["deceasedDateTime"] == "2024-02-10"
    assert draft.body["address"][0]["postalCode"] == "50200"
    assert draft.body["gender"] == "male"


def test_a_bare_patient_is_valid_too() -> None:
    registration = registered(CID="", HN="", NAME="ไม่ทราบ", LNAME="ไม่ทราบ")
    draft = patient_of(registration, KnownPerson("1", "registration-1", "1", "", b""))
    assert draft.body is not None
    assert validate(draft.body, "Patient") == []
