"""What identity decides: pure."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nhip.audit.v1 import service_pb2 as audit
from nhip.claims.v1 import service_pb2 as claims
from nhip.exchange.v1 import service_pb2 as exchange
from nhip.identity.v1 import service_pb2 as identity
from nhip.patient_index.v1 import service_pb2 as patient_index
from nhip.records.v1 import exports_pb2 as exports
from nhip.records.v1 import service_pb2 as records
from nhip.records.v1 import subscriptions_pb2 as subscriptions
from nhip.records.v1 import terminology_pb2 as terminology
from nhip.surveillance.v1 import service_pb2 as surveillance
from nhip.types.v1.types_pb2 import PurposeOfUse

from libs.access.caller import (
    EMERGENCY,
    OPERATIONS,
    PATIENT_REQUEST,
    PAYMENT,
    TREATMENT,
    Caller,
    CallerKind,
    Scopes,
)
from libs.errors import InvalidArgumentError, PermissionDeniedError, ResourceExhaustedError
from libs.runtime.policy import methods_of
from libs.thai import citizen_id, identifiers
from services.identity.model import (
    Attempts,
    Consent,
    ConsentCategory,
    ConsentDecision,
    Organization,
    OrganizationKind,
    PractitionerRole,
    SigningKey,
)
from services.identity.rules import directory, grants, rotation, scopes

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLIENT, CITIZEN, PRACTITIONER = CallerKind.CLIENT, CallerKind.CITIZEN, CallerKind.PRACTITIONER


@pytest.mark.parametrize(
    ("allowed", "wanted", "is_covered"),
    [
        ("claims.read", "claims.read", True),
        ("claims.read", "claims.write", False),
        ("system/*.cruds", "system/Patient.rs", True),
        ("system/*.rs", "system/Patient.crs", False),
        ("system/Patient.rs", "system/*.rs", False),
        ("system/Patient.rs", "system/Observation.r", False),
        ("system/*.cruds", "user/Patient.r", True),
        ("user/*.cruds", "patient/Patient.r", True),
        ("user/*.cruds", "system/Patient.r", False),
        ("patient/*.rs", "user/Patient.r", False),
        ("user/*.rs user/Observation.cu", "user/Observation.crus", True),
        ("user/*.rs user/Observation.cu", "user/Condition.crus", False),
        # Neither the letters' order nor SMART 1 nor a query is understood, so nothing covers it.
        ("user/*.cruds", "user/Patient.sr", False),
        ("user/*.cruds", "user/Patient.read", False),
        ("user/*.cruds", "user/Observation.rs?category=laboratory", False),
        ("user/*.cruds", "user/Patient.", False),
        ("user/*.cruds", "openid", False),
    ],
)
def test_a_scope_is_covered_by_the_same_or_a_wider_one(allowed, wanted, is_covered):
    assert scopes.covers(allowed.split(), wanted) is is_covered


interactions = st.sets(st.sampled_from("cruds"), min_size=1).map(
    lambda letters: "".join(letter for letter in "cruds" if letter in letters)
)
fhir_scopes = st.builds(
    "{}/{}.{}".format,
    st.sampled_from(["patient", "user", "system"]),
    st.sampled_from(["*", "Patient", "Observation", "Condition"]),
    interactions,
)


@given(st.lists(fhir_scopes, max_size=4), fhir_scopes)
def test_a_token_never_grants_more_than_its_grant(allowed, wanted):
    before, after = Scopes.parse(" ".join(allowed)), Scopes.parse(wanted)
    if not scopes.covers(allowed, wanted):
        return
    for resource_type in ("Patient", "Observation", "Condition", "Encounter"):
        for letter in "cruds":
            assert before.allow_fhir(resource_type, letter) or not after.allow_fhir(resource_type, letter)


@given(st.lists(fhir_scopes, min_size=1, max_size=4), st.randoms())
def test_asking_for_nothing_and_asking_for_everything_are_the_same(allowed, random):
    shuffled = random.sample(allowed, len(allowed))
    assert scopes.granted(allowed, " ".join(shuffled)) == scopes.granted(allowed, "") == tuple(sorted(set(allowed)))


def test_a_scope_beyond_the_grant_is_refused():
    with pytest.raises(InvalidArgumentError) as refusal:
        scopes.granted(["claims.read"], "claims.read claims.pay")
    assert refusal.value.reason == "SCOPE_EXCEEDED"


def every_declared_scope():
    """The scopes that the contracts of all services ask for."""
    contracts = (
        audit,
        claims,
        exchange,
        exports,
        identity,
        patient_index,
        records,
        subscriptions,
        surveillance,
        terminology,
    )
    return {
        scope
        for contract in contracts
        for service in contract.DESCRIPTOR.services_by_name.values()
        for method in methods_of(service)
        for scope in method.scopes
    }


def test_the_platforms_scopes_are_those_that_the_contracts_ask_for():
    assert every_declared_scope() == scopes.PLATFORM_SCOPES


@pytest.mark.parametrize(
    "held", [*scopes.ROLE_SCOPES.values(), scopes.CITIZEN_SCOPES, scopes.BOOTSTRAP_SCOPES, scopes.EXCHANGE_SCOPES]
)
def test_every_scope_that_identity_hands_out_is_understood(held):
    assert scopes.require_known(held) == tuple(sorted(held))
    for name in held:
        assert name in scopes.PLATFORM_SCOPES or Scopes.parse(name).allow_any_fhir()


def test_each_role_has_its_scopes_and_only_administrators_administer():
    assert set(scopes.ROLE_SCOPES) == set(PractitionerRole)
    for held in (*scopes.ROLE_SCOPES.values(), scopes.CITIZEN_SCOPES, scopes.EXCHANGE_SCOPES):
        assert not {"identity.admin", "audit.read", "claims.pay", "tariff.write"} & set(held)
    assert not Scopes.parse(" ".join(scopes.BOOTSTRAP_SCOPES)).allow_any_fhir()


@pytest.mark.parametrize("unknown", ["claims.raed", "user/Patient.sr", "two words", "", "user/patient.r"])
def test_a_scope_that_would_grant_nothing_is_refused(unknown):
    with pytest.raises(InvalidArgumentError) as refusal:
        scopes.require_known(["claims.read", unknown])
    assert refusal.value.fields[0].field == "client.scopes[1]"


@pytest.mark.parametrize(
    ("kind", "purpose", "stated"),
    [
        (CITIZEN, 0, PATIENT_REQUEST),
        (CITIZEN, PATIENT_REQUEST, PATIENT_REQUEST),
        (PRACTITIONER, 0, 0),
        (PRACTITIONER, TREATMENT, TREATMENT),
        (CLIENT, OPERATIONS, OPERATIONS),
        (CLIENT, PurposeOfUse.PURPOSE_OF_USE_RESEARCH, PurposeOfUse.PURPOSE_OF_USE_RESEARCH),
    ],
)
def test_the_purposes_that_a_token_states(kind, purpose, stated):
    assert grants.purpose_of(kind, purpose, "") == stated


@pytest.mark.parametrize(
    ("kind", "purpose"),
    [
        (CITIZEN, TREATMENT),
        (CITIZEN, EMERGENCY),
        (CLIENT, EMERGENCY),
        (CLIENT, PATIENT_REQUEST),
        (PRACTITIONER, PATIENT_REQUEST),
        (PRACTITIONER, PurposeOfUse.PURPOSE_OF_USE_RESEARCH),
    ],
)
def test_the_purposes_that_it_does_not(kind, purpose):
    with pytest.raises(InvalidArgumentError) as refusal:
        grants.purpose_of(kind, purpose, "a reason")
    assert refusal.value.reason == "PURPOSE_REFUSED"


def test_whoever_breaks_the_glass_says_why():
    assert grants.purpose_of(PRACTITIONER, EMERGENCY, "unconscious") == EMERGENCY
    for silent in ("", "  \n"):
        with pytest.raises(InvalidArgumentError) as refusal:
            grants.purpose_of(PRACTITIONER, EMERGENCY, silent)
        assert refusal.value.reason == "REASON_REQUIRED"


def test_tokens_live_for_minutes():
    assert (
        grants.lifetime(PRACTITIONER, TREATMENT) == grants.lifetime(CITIZEN, PATIENT_REQUEST) == timedelta(minutes=15)
    )
    assert grants.lifetime(CLIENT, PAYMENT) == grants.lifetime(PRACTITIONER, EMERGENCY) == timedelta(minutes=10)


def test_a_login_is_of_one_person():
    assert grants.is_citizen_login("", "", "1") is True
    assert grants.is_citizen_login("ว1", "10661", "") is False
    for login in (("", "", ""), ("ว1", "", ""), ("ว1", "10661", "1"), ("", "10661", "")):
        with pytest.raises(InvalidArgumentError) as refusal:
            grants.is_citizen_login(*login)
        assert refusal.value.reason == "LOGIN_INCOMPLETE"


def test_ten_failures_close_the_door_until_the_window_ends():
    grants.require_attempt(None, NOW)
    grants.require_attempt(Attempts(9, NOW + timedelta(seconds=30)), NOW)
    with pytest.raises(ResourceExhaustedError) as refusal:
        grants.require_attempt(Attempts(10, NOW + timedelta(seconds=30)), NOW)
    assert refusal.value.retry_after_seconds == 30
    grants.require_attempt(Attempts(10, NOW), NOW)


def a_key(key_id="k1", *, signs_from=NOW, not_after=NOW + rotation.LONGEST_USE):
    return SigningKey(key_id, "{}", b"", signs_from, not_after)


def test_a_new_key_signs_only_once_everybody_had_time_to_learn_it():
    turn = rotation.turn([a_key()], NOW, at_once=False, retire_older=False)
    assert turn.signs_from == NOW + rotation.ACTIVATION
    assert turn.retired == ()


@given(st.integers(0, 90), st.integers(0, 20))
def test_a_key_outlives_every_token_that_it_signed(days, minutes_later):
    old = a_key()
    now = NOW + timedelta(days=days)
    turn = rotation.turn([old], now, at_once=False, retire_older=False)
    (after,) = turn.shortened or (old,)
    assert after.not_after <= old.not_after
    signed_at = turn.signs_from
    if rotation.can_sign(old, signed_at):
        assert after.not_after >= signed_at + grants.LONGEST_LIFETIME
    assert (after.version > old.version) is (after.not_after < old.not_after)


def test_a_leaked_key_goes_at_once_and_its_successor_signs_at_once():
    turn = rotation.turn([a_key("k1"), a_key("k2")], NOW, at_once=False, retire_older=True)
    assert [key.key_id for key in turn.retired] == ["k1", "k2"]
    assert turn.signs_from == NOW


def test_a_key_has_its_turn_for_a_month():
    key = a_key()
    assert rotation.is_due([], NOW)
    assert not rotation.is_due([key], NOW + rotation.ROTATE_EVERY - timedelta(seconds=1))
    assert rotation.is_due([key], NOW + rotation.ROTATE_EVERY)
    assert rotation.past([key], key.not_after) == (key,)
    assert rotation.past([key], key.not_after - timedelta(seconds=1)) == ()
    assert rotation.can_sign(key, key.not_after - grants.LONGEST_LIFETIME)
    assert not rotation.can_sign(key, key.not_after - grants.LONGEST_LIFETIME + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("place_code", "region"), [("", 0), ("10", 13), ("501001", 1), ("9001", 12), ("40", 7), ("34", 10)]
)
def test_the_health_region_follows_from_the_province(place_code, region):
    organization = Organization("10661", "n", "", OrganizationKind.HOSPITAL, "", place_code, 5)
    assert directory.with_health_region(organization).health_region == region


@given(st.text(alphabet="0123456789", min_size=12, max_size=12))
def test_a_citizen_id_is_the_same_however_it_is_written(first12):
    number = citizen_id.make("9" + first12[1:])
    for written in (number, citizen_id.format_for_people(number), f" {number} "):
        assert directory.sound_identifier(identifiers.CITIZEN_ID, written) == (identifiers.CITIZEN_ID, number)


@given(st.text(max_size=40))
def test_a_mask_shows_at_most_four_characters_and_at_most_half(value):
    masked = directory.masked(value)
    assert len(masked) == len(value)
    shown = len(re.sub("^•*", "", masked)) if "•" not in value else 0
    assert shown <= min(4, len(value) // 2)


def test_only_a_citizen_decides():
    citizen = Caller(CITIZEN, "citizen/1", citizen_key="key")
    assert directory.require_citizen(citizen) == "key"
    for other in (Caller(PRACTITIONER, "practitioner/1", "10661", citizen_key="key"), Caller(CITIZEN, "citizen/2")):
        with pytest.raises(PermissionDeniedError) as refusal:
            directory.require_citizen(other)
        assert refusal.value.reason == "CITIZEN_ONLY"


def test_a_decision_is_the_same_if_it_ends_at_the_same_time():
    held = Consent("c", "key", "", ConsentCategory.GENERAL, ConsentDecision.PERMIT, version=3, recorded_at=NOW)
    asked = Consent("c", "key", "", ConsentCategory.GENERAL, ConsentDecision.PERMIT)
    assert directory.is_same_decision(held, asked)
    assert not directory.is_same_decision(None, asked)
    ending = Consent("c", "key", "", ConsentCategory.GENERAL, ConsentDecision.PERMIT, expires_at=NOW)
    assert not directory.is_same_decision(held, ending)
