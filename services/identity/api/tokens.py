"""Access tokens."""

from nhip.identity.v1 import service_pb2

from libs.access.caller import EMERGENCY, Caller, CallerKind, Scopes
from libs.access.tokens import sign
from libs.database.transactions import Reader
from libs.errors import PermissionDeniedError
from libs.ids import new_id
from libs.runtime.call import Call
from libs.thai import citizen_id, identifiers
from services.identity.api.ground import Section
from services.identity.model import Client
from services.identity.rules import directory as directory_rules
from services.identity.rules import grants, scopes
from services.identity.store import clients, directory

Request = service_pb2.IssueTokenRequest


class Tokens(Section):
    """Tokens, issued after OAuth 2.0 (RFC 6749, RFC 8693)."""

    async def IssueToken(self, request: Request, call: Call) -> service_pb2.IssueTokenResponse:
        """A signed token that says what the grant allows.

        Beyond the reasons in the contract: RESOURCE_EXHAUSTED ATTEMPTS_EXHAUSTED after ten wrong secrets in a minute;
        PERMISSION_DENIED CLIENT_MAY_NOT_ACT and NOT_FOUND ORGANIZATION_UNKNOWN for a token exchange; INVALID_ARGUMENT
        PURPOSE_REFUSED, LOGIN_INCOMPLETE.
        """
        grants.require_grant(request.grant_type, development_login=self.means.allow_development_login)
        if request.grant_type == grants.DEVELOPMENT_LOGIN:
            async with self.database.reading() as reader:
                return await self._sign(reader, await self._logged_in(reader, request))
        client = await self._authenticated(request, call)
        async with self.database.reading() as reader:
            return await self._sign(reader, await self._of_client(reader, request, client))

    async def _authenticated(self, request: Request, call: Call) -> Client:
        """The client whose secret was shown. An attempt that fails is counted."""
        now = self.means.clock()
        async with self.database.reading() as reader:
            login = await clients.find_for_login(reader, request.client_id)
        grants.require_attempt(login.attempts, now)
        is_right = self.means.client_secrets.is_right(request.client_secret, login.secret)
        if is_right and login.client is not None and not login.client.is_disabled:
            return login.client
        async with self.database.writing(call) as writer:
            await clients.note_failure(writer, request.client_id, now, grants.FAILURE_WINDOW)
        raise grants.client_unknown()

    async def _of_client(self, reader: Reader, request: Request, client: Client) -> Caller:
        """The client itself, or the client in another organisation's name."""
        purpose = grants.purpose_of(CallerKind.CLIENT, request.purpose, request.reason)
        subject = f"client/{client.client_id}"
        organization_id, actor = client.organization_id, ""
        if request.grant_type == grants.TOKEN_EXCHANGE:
            if not client.may_act_for_others:
                raise PermissionDeniedError("CLIENT_MAY_NOT_ACT", "the client may not act for another organisation")
            if await directory.find_organization(reader, request.organization_id) is None:
                raise directory_rules.organization_unknown()
            organization_id, actor = request.organization_id, subject
        granted = scopes.granted(client.scopes, request.scope)
        return Caller(CallerKind.CLIENT, subject, organization_id, _scopes(granted), purpose, actor=actor)

    async def _logged_in(self, reader: Reader, request: Request) -> Caller:
        """The citizen or practitioner of a development login."""
        if grants.is_citizen_login(request.licence, request.organization_id, request.citizen_id):
            value = citizen_id.normalize(request.citizen_id)
            citizen_key = self.means.citizen_keys.key_of(identifiers.CITIZEN_ID, value)
            account_id = await directory.find_account(reader, citizen_key)
            if account_id is None:
                raise grants.login_unknown()
            purpose = grants.purpose_of(CallerKind.CITIZEN, request.purpose, request.reason)
            granted = _scopes(scopes.granted(scopes.CITIZEN_SCOPES, request.scope))
            return Caller(CallerKind.CITIZEN, f"citizen/{account_id}", "", granted, purpose, citizen_key=citizen_key)
        practitioner = await directory.find_licence(reader, request.organization_id, request.licence)
        if practitioner is None:
            raise grants.login_unknown()
        purpose = grants.purpose_of(CallerKind.PRACTITIONER, request.purpose, request.reason)
        return Caller(
            CallerKind.PRACTITIONER,
            f"practitioner/{practitioner.practitioner_id}",
            practitioner.organization_id,
            _scopes(scopes.granted(scopes.ROLE_SCOPES[practitioner.role], request.scope)),
            purpose,
            break_glass_reason=request.reason.strip() if purpose == EMERGENCY else "",
        )

    async def _sign(self, reader: Reader, caller: Caller) -> service_pb2.IssueTokenResponse:
        seconds = int(grants.lifetime(caller.kind, caller.purpose).total_seconds())
        key_id, private_key = await self.means.signing_keys.signer(reader)
        now = self.means.clock().timestamp()
        return service_pb2.IssueTokenResponse(
            access_token=sign(private_key, key_id, caller, new_id(), now=now, seconds=seconds),
            token_type="Bearer",  # noqa: S106 the type's name (RFC 6750)
            expires_in=seconds,
            scope=str(caller.scopes),
        )


def _scopes(granted: tuple[str, ...]) -> Scopes:
    return Scopes.parse(" ".join(granted))
