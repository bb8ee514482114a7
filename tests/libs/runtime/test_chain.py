"""Every call passes the stages, through a real server and a real database."""

import time

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from nhip.audit.v1 import resources_pb2

from libs.access.caller import TREATMENT
from libs.access.tokens import service_token
from libs.runtime.policy import PolicyMissingError, methods_of
from tests.support.served import NOTES, PLATFORM_KEY, refused, running, token
from tests.support.testing import the_testing_file, thing

OUTCOME = resources_pb2.AccessOutcome


def test_a_method_without_a_policy_stops_the_start():
    with pytest.raises(PolicyMissingError, match=r"LawlessService\.Do: it does not say who may call it"):
        methods_of(the_testing_file().services_by_name["LawlessService"])


def test_half_a_policy_stops_the_start_and_says_which_half_is_missing():
    with pytest.raises(PolicyMissingError, match="no service level; its request has no field kind"):
        methods_of(the_testing_file().services_by_name["CarelessService"])


async def test_a_call_without_a_deadline_is_refused(postgres):
    async with running(postgres) as service:
        code, reason, _ = await refused(service.call("Open", thing(), timeout=None))
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "DEADLINE_MISSING")
        assert service.api.calls == 0


async def test_a_slow_call_is_told_that_it_was_late_before_its_deadline_passes(postgres):
    async with running(postgres) as service:
        code, reason, _ = await refused(service.call("Open", thing(wish="wait"), timeout=0.4))
        assert (code, reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")


async def test_an_unknown_error_tells_the_caller_nothing_of_the_inside(postgres, caplog):
    async with running(postgres) as service:
        code, _, error = await refused(service.call("Open", thing(wish="crash")))
        assert code is grpc.StatusCode.INTERNAL
        assert "secret" not in (error.details() or "")
        assert "testing.Open failed" in caplog.text


async def test_a_domain_error_carries_reason_place_and_metadata(postgres):
    async with running(postgres) as service:
        code, reason, error = await refused(
            service.call("Write", thing(name="a", wish="fail"), metadata=token("things.write"))
        )
        assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_NOW")
        details = rpc_status.from_call(error).details
        bad = error_details_pb2.BadRequest()
        assert details[1].Unpack(bad)
        assert bad.field_violations[0].field == "wish"
        async with service.database.reading() as reader:
            assert await reader.fetch_value(NOTES) == 0


async def test_a_field_that_breaks_its_rule_is_named(postgres):
    async with running(postgres) as service:
        code, reason, error = await refused(service.call("Open", thing(name="Not Lower")))
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
        assert error.details().startswith("name: ")
        assert "Not Lower" not in error.details()


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ((), "TOKEN_MISSING"),
        ((("authorization", "Basic abc"),), "TOKEN_MISSING"),
        ((("authorization", "Bearer abc"),), "TOKEN_MALFORMED"),
    ],
)
async def test_a_call_without_a_sound_token_is_unauthenticated(postgres, metadata, reason):
    async with running(postgres) as service:
        assert (await refused(service.call("Read", thing(), metadata=metadata)))[:2] == (
            grpc.StatusCode.UNAUTHENTICATED,
            reason,
        )


async def test_an_expired_token_is_refused_also_when_it_was_verified_before(postgres):
    async with running(postgres) as service:
        metadata = token("things.write", now=time.time() - 60, seconds=30)
        assert (await refused(service.call("Write", thing(), metadata=metadata)))[1] == "TOKEN_EXPIRED"


async def test_a_token_must_grant_the_scope_and_state_a_purpose(postgres):
    async with running(postgres) as service:
        wrong_scope = await refused(service.call("Read", thing(), metadata=token("things.write", TREATMENT)))
        no_purpose = await refused(service.call("Read", thing(), metadata=token("things.read")))
        assert wrong_scope[:2] == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
        assert no_purpose[:2] == (grpc.StatusCode.PERMISSION_DENIED, "PURPOSE_MISSING")


async def test_smart_scopes_are_held_against_the_type_that_is_asked_for(postgres):
    async with running(postgres) as service:
        metadata = token("user/Observation.rs")
        assert (await service.call("ReadFhir", thing(type="Observation"), metadata=metadata)).name == "fhir"
        assert (await refused(service.call("ReadFhir", thing(type="Patient"), metadata=metadata)))[1] == "SCOPE_MISSING"


async def test_a_method_for_services_admits_the_named_service_only(postgres):
    async with running(postgres) as service:
        records = (("authorization", f"Bearer {service_token(PLATFORM_KEY, 'records')}"),)
        claims = (("authorization", f"Bearer {service_token(PLATFORM_KEY, 'claims')}"),)
        forged = (("authorization", f"Bearer {service_token(b'x' * 32, 'records')}"),)
        assert (await service.call("Serve", thing(), metadata=records)).name == "served"
        assert (await refused(service.call("Serve", thing(), metadata=claims)))[1] == "CALLER_REFUSED"
        assert (await refused(service.call("Serve", thing(), metadata=forged)))[1] == "TOKEN_REFUSED"
        assert (await refused(service.call("Serve", thing(), metadata=token("things.read"))))[1] == "CALLER_REFUSED"


async def test_a_read_is_recorded_before_it_is_answered(postgres):
    async with running(postgres) as service:
        await service.call("Read", thing(name="somebody"), metadata=token("things.read", TREATMENT))
        (event,) = await service.accesses()
        assert (event.service, event.method, event.caller_subject) == ("testing", "Read", "client/one")
        assert list(event.person_ids) == ["somebody"]
        assert list(event.registration_ids) == ["registration-1"]
        assert list(event.resources) == ["Observation/1"]
        assert (event.purpose, event.outcome) == (TREATMENT, OUTCOME.ACCESS_OUTCOME_GRANTED)


async def test_a_refusal_is_recorded_with_its_reason(postgres):
    async with running(postgres) as service:
        metadata = token("things.read", TREATMENT)
        await refused(service.call("Read", thing(wish="refuse"), metadata=metadata))
        await refused(service.call("Read", thing(), metadata=token("nothing")))
        first, second = await service.accesses()
        assert (first.outcome, first.reason) == (OUTCOME.ACCESS_OUTCOME_REFUSED, "CONSENT_REFUSED")
        assert (second.outcome, second.reason) == (OUTCOME.ACCESS_OUTCOME_REFUSED, "SCOPE_MISSING")


async def test_a_write_and_its_record_commit_together(postgres):
    async with running(postgres) as service:
        await service.call("Write", thing(name="a"), metadata=token("things.write"))
        (event,) = await service.accesses()
        assert event.outcome == OUTCOME.ACCESS_OUTCOME_GRANTED


async def test_a_repeated_request_is_carried_out_once_and_answered_twice(postgres):
    async with running(postgres) as service:
        request = thing(name="a", request_id="r-1")
        first = await service.call("Write", request, metadata=token("things.write"))
        second = await service.call("Write", request, metadata=token("things.write"))
        assert first == second
        async with service.database.reading() as reader:
            assert await reader.fetch_value(NOTES) == 1


async def test_a_request_id_for_another_request_is_refused(postgres):
    async with running(postgres) as service:
        await service.call("Write", thing(name="a", request_id="r-1"), metadata=token("things.write"))
        code, reason, _ = await refused(
            service.call("Write", thing(name="b", request_id="r-1"), metadata=token("things.write"))
        )
        assert (code, reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
