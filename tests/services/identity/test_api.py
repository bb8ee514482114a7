"""Identity through real stubs and the real chain."""

import grpc
import pytest
from nhip.identity.v1 import resources_pb2, service_pb2
from nhip.types.v1 import types_pb2

from libs.access.caller import CallerKind
from libs.ids import new_id
from libs.thai import identifiers
from tests.services.identity.calling import (
    CITIZEN_ID,
    DEVELOPMENT_LOGIN,
    OTHER_CITIZEN_ID,
    SECRET,
    an_identity,
    reason_of,
)


async def test_an_organisation_is_placed_in_its_health_region_and_announced(database_url):
    async with an_identity(database_url("identity")) as identity:
        made = await identity.an_organization("10661", place_code="501001")
        assert made.health_region == 1
        assert made.HasField("recorded_at")
        request = service_pb2.GetOrganizationRequest(organization_id="10661")
        answer = await identity.call("GetOrganization", request, await identity.admin())
        assert answer.organization == made
        announced = [event.organization_changed for key, event in await identity.feed("identity") if key == "10661"]
        assert announced == [made]


async def test_the_same_organisation_again_changes_nothing_and_other_content_is_refused(database_url):
    async with an_identity(database_url("identity")) as identity:
        made = await identity.an_organization()
        assert await identity.an_organization() == made
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await identity.an_organization(name="another")
        assert reason_of(refusal.value) == ("ALREADY_EXISTS", "ORGANIZATION_EXISTS")
        assert [key for key, _ in await identity.feed("identity")].count("10661") == 1


async def test_a_place_that_does_not_exist_is_refused(database_url):
    async with an_identity(database_url("identity")) as identity:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await identity.an_organization(place_code="009999")
        assert reason_of(refusal.value) == ("INVALID_ARGUMENT", "PLACE_UNKNOWN")


async def test_organisations_are_listed_in_pages(database_url):
    async with an_identity(database_url("identity")) as identity:
        for number in range(5):
            await identity.an_organization(f"1000{number}")
        token, listed, page_token = await identity.admin(), [], None
        while page_token != "":
            request = service_pb2.ListOrganizationsRequest(page_size=2, page_token=page_token or "")
            page = await identity.call("ListOrganizations", request, token)
            assert len(page.organizations) <= 2
            listed += [organization.organization_id for organization in page.organizations]
            page_token = page.next_page_token
        assert listed == [*(f"1000{number}" for number in range(5)), "nhip"]


async def test_an_unknown_organisation_is_not_found(database_url):
    async with an_identity(database_url("identity")) as identity:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            request = service_pb2.GetOrganizationRequest(organization_id="99999")
            await identity.call("GetOrganization", request, await identity.admin())
        assert reason_of(refusal.value) == ("NOT_FOUND", "ORGANIZATION_UNKNOWN")


async def test_a_licence_registered_again_updates_the_practitioner(database_url):
    async with an_identity(database_url("identity")) as identity:
        await identity.an_organization()
        first = await identity.a_practitioner()
        assert await identity.a_practitioner() == first
        changed = await identity.a_practitioner(role=resources_pb2.PRACTITIONER_ROLE_DENTIST)
        assert changed.practitioner_id == first.practitioner_id
        request = service_pb2.GetPractitionerRequest(practitioner_id=first.practitioner_id)
        answer = await identity.call("GetPractitioner", request, await identity.admin())
        assert answer.practitioner == changed
        announced = [event for key, event in await identity.feed("identity") if key == first.practitioner_id]
        assert [event.practitioner_changed.role for event in announced] == [
            resources_pb2.PRACTITIONER_ROLE_DOCTOR,
            resources_pb2.PRACTITIONER_ROLE_DENTIST,
        ]


async def test_a_hospital_registers_its_own_practitioners_only(database_url):
    async with an_identity(database_url("identity")) as identity:
        await identity.an_organization()
        name = types_pb2.PersonName(language="th", given="ก", family="ข")
        for organization, expected in (("10661", None), ("10662", ("PERMISSION_DENIED", "ORGANIZATION_REFUSED"))):
            practitioner = resources_pb2.Practitioner(organization_id="10661", licence="พ1", name=name, role=3)
            request = service_pb2.CreatePractitionerRequest(practitioner=practitioner)
            metadata = identity.running.token(scopes="practitioners.write", organization=organization)
            if expected is None:
                await identity.call("CreatePractitioner", request, metadata=metadata)
                continue
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await identity.call("CreatePractitioner", request, metadata=metadata)
            assert reason_of(refusal.value) == expected


async def test_an_unknown_practitioner_is_not_found(database_url):
    async with an_identity(database_url("identity")) as identity:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            request = service_pb2.GetPractitionerRequest(practitioner_id=new_id())
            await identity.call("GetPractitioner", request, await identity.admin())
        assert reason_of(refusal.value) == ("NOT_FOUND", "PRACTITIONER_UNKNOWN")


async def test_a_client_is_given_its_secret_once(database_url):
    async with an_identity(database_url("identity")) as identity:
        await identity.an_organization()
        client = resources_pb2.Client(client_id="hospital-a", organization_id="10661", scopes=["imports.write"])
        request = service_pb2.CreateClientRequest(client=client, request_id=new_id())
        made = await identity.call("CreateClient", request, await identity.admin())
        token = await identity.token(client_id="hospital-a", client_secret=made.client_secret)
        assert token.scope == "imports.write"
        again = await identity.call("CreateClient", request, await identity.admin())
        assert again.client == made.client
        assert again.client_secret == ""
        async with identity.running.database.reading() as reader:
            kept = await reader._connection.fetchval("SELECT string_agg(r::text, '') FROM remembered_requests r")
        assert made.client_secret.encode().hex() not in kept


async def test_the_same_client_again_changes_nothing_and_another_secret_is_refused(database_url):
    async with an_identity(database_url("identity")) as identity:
        await identity.an_organization()
        assert await identity.a_client() == await identity.a_client()
        for difference in ({"secret": SECRET + "!"}, {"secret": ""}, {"name": "another"}, {"scopes": ["claims.read"]}):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await identity.a_client(**difference)
            assert reason_of(refusal.value) == ("ALREADY_EXISTS", "CLIENT_EXISTS")


async def test_a_client_with_an_unknown_scope_or_organisation_is_refused(database_url):
    async with an_identity(database_url("identity")) as identity:
        await identity.an_organization()
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await identity.a_client(scopes=["claims.raed"])
        assert reason_of(refusal.value) == ("INVALID_ARGUMENT", "SCOPE_UNKNOWN")
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await identity.a_client(organization_id="99999")
        assert reason_of(refusal.value) == ("NOT_FOUND", "ORGANIZATION_UNKNOWN")


async def test_a_disabled_client_gets_no_token_until_it_is_enabled(database_url):
    async with an_identity(database_url("identity")) as identity:
        await identity.an_organization()
        await identity.a_client()
        for is_disabled in (True, False):
            request = service_pb2.UpdateClientRequest(client_id="hospital-a", is_disabled=is_disabled)
            answer = await identity.call("UpdateClient", request, await identity.admin())
            assert answer.client.is_disabled is is_disabled
            if is_disabled:
                with pytest.raises(grpc.aio.AioRpcError) as refusal:
                    await identity.token(client_id="hospital-a", client_secret=SECRET)
                assert reason_of(refusal.value) == ("UNAUTHENTICATED", "CLIENT_UNKNOWN")
        assert (await identity.token(client_id="hospital-a", client_secret=SECRET)).access_token


async def test_the_same_citizen_has_one_account_and_their_number_is_kept_nowhere(database_url):
    async with an_identity(database_url("identity")) as identity:
        identifier = types_pb2.Identifier(system="https://www.dopa.go.th", value=CITIZEN_ID)
        request = service_pb2.CreateAccountRequest(identifier=identifier, request_id=new_id())
        made = (await identity.call("CreateAccount", request, await identity.admin())).account
        assert (await identity.an_account()).account_id == made.account_id
        assert made.identifier.system == identifiers.CITIZEN_ID
        assert made.identifier.value == "•" * 9 + CITIZEN_ID[-4:]
        tables = ("accounts", "remembered_requests", "changes")
        async with identity.running.database.reading() as reader:
            for table in tables:
                kept = await reader._connection.fetchval(f"SELECT string_agg(t::text, '') FROM {table} t")
                assert kept
                assert CITIZEN_ID not in kept
                assert CITIZEN_ID.encode().hex() not in kept


@pytest.mark.parametrize("number", ["9123456789011", "912345678901", "abc", OTHER_CITIZEN_ID[:-1] + "x"])
async def test_a_citizen_id_that_is_none_opens_no_account(database_url, number):
    async with an_identity(database_url("identity")) as identity:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await identity.an_account(number)
        assert reason_of(refusal.value) == ("INVALID_ARGUMENT", "CITIZEN_ID_INVALID")
        assert number not in (refusal.value.details() or "")


async def test_an_account_is_also_opened_with_a_passport(database_url):
    async with an_identity(database_url("identity")) as identity:
        identifier = types_pb2.Identifier(system=identifiers.PASSPORT, value=" AA1234567 ")
        request = service_pb2.CreateAccountRequest(identifier=identifier)
        account = (await identity.call("CreateAccount", request, await identity.admin())).account
        assert account.identifier.value == "•••••4567"


async def test_a_mutation_with_the_same_request_id_is_answered_as_before(database_url):
    async with an_identity(database_url("identity")) as identity:
        request = service_pb2.RotateKeyRequest(request_id=new_id())
        token = await identity.admin()
        first = await identity.call("RotateKey", request, token)
        assert await identity.call("RotateKey", request, token) == first


async def test_administration_asks_for_the_scope(database_url):
    async with an_identity(database_url("identity")) as identity:
        metadata = identity.running.token(scopes="claims.read", kind=CallerKind.CLIENT)
        for method, request in (
            ("RotateKey", service_pb2.RotateKeyRequest()),
            ("UpdateClient", service_pb2.UpdateClientRequest(client_id="nhip-admin", is_disabled=True)),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await identity.call(method, request, metadata=metadata)
            assert reason_of(refusal.value) == ("PERMISSION_DENIED", "SCOPE_MISSING")


async def test_a_restart_finds_everything_as_it_was_and_takes_up_a_new_secret(database_url, tmp_path):
    url = database_url("identity")
    async with an_identity(url) as identity:
        folder = identity.secrets
        (tmp_path / "kept").mkdir()
        for path in folder.iterdir():
            (tmp_path / "kept" / path.name).write_bytes(path.read_bytes())
        keys = {key for key, _ in await identity.feed("keys")}
        before = await identity.token(**identity.secret("exchange_client"))
    changed = '{"client_id": "nhip-exchange", "client_secret": "another-secret-of-24-characters"}'
    (tmp_path / "kept" / "exchange_client").write_text(changed, encoding="utf-8")
    async with an_identity(url, secrets=tmp_path / "kept") as identity:
        assert {key for key, _ in await identity.feed("keys")} == keys
        after = await identity.token(**identity.secret("exchange_client"))
        assert after.scope == before.scope
        assert [key for key, _ in await identity.feed("identity")] == ["nhip"]
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await identity.token(client_id="nhip-exchange", client_secret="an-older-secret-of-24-characters")
        assert reason_of(refusal.value) == ("UNAUTHENTICATED", "CLIENT_UNKNOWN")


async def test_snapshots_hold_the_present_state(database_url):
    async with an_identity(database_url("identity")) as identity:
        await identity.an_organization()
        practitioner = await identity.a_practitioner()
        citizen = await identity.a_citizen()
        request = service_pb2.RevokeConsentRequest(category=resources_pb2.CONSENT_CATEGORY_GENERAL)
        consent = (await identity.call("RevokeConsent", request, citizen)).consent
        held = {key for key, _ in await identity.snapshot("identity")}
        assert held == {"nhip", "10661", practitioner.practitioner_id, consent.consent_id}
        assert len(await identity.snapshot("keys")) == 1


async def test_without_the_development_login_nobody_logs_in(database_url, monkeypatch):
    async with an_identity(database_url("identity")) as identity:
        await identity.an_account()
        monkeypatch.setattr("services.identity.rules.grants.DEVELOPMENT_LOGIN", "another-grant")
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await identity.token(grant_type=DEVELOPMENT_LOGIN, citizen_id=CITIZEN_ID)
        assert reason_of(refusal.value) == ("INVALID_ARGUMENT", "GRANT_UNSUPPORTED")
