"""Decides whether the caller may call the method at all. What they may see within it is decided in the query."""

from google.protobuf.message import Message

from libs.access.caller import Caller, CallerKind
from libs.access.tokens import TokenVerifier
from libs.errors import PermissionDeniedError, UnauthenticatedError
from libs.runtime.call import Call
from libs.runtime.interceptors import Handler
from libs.runtime.policy import CALLER, Method, value_at


class Access:
    """Verifies the bearer token and holds it against the method's policy."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier

    def wrap(self, method: Method, handler: Handler) -> Handler:
        """See the module."""
        if method.caller == CALLER.CALLER_ANYONE:
            return handler

        async def admitted(call: Call) -> Message | None:
            call.caller = self._verifier.verify(bearer_token(call.metadata.get("authorization", "")))
            if method.caller == CALLER.CALLER_SERVICE:
                require_service(method, call.caller)
            else:
                require_token(method, call.caller, call.request)
            return await handler(call)

        return admitted


def bearer_token(header: str) -> str:
    """The token of an Authorization header. Raises UnauthenticatedError, reason TOKEN_MISSING."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthenticatedError("TOKEN_MISSING", "the call carries no bearer token")
    return token.strip()


def require_service(method: Method, caller: Caller) -> None:
    """Raises PermissionDeniedError, reason CALLER_REFUSED, unless a service that the method admits calls."""
    name = caller.subject.removeprefix("service/")
    if caller.kind is not CallerKind.SERVICE or (method.services and name not in method.services):
        raise PermissionDeniedError("CALLER_REFUSED", f"{method.label} is open to services of the platform only")


def require_token(method: Method, caller: Caller, request: Message | None) -> None:
    """Raises PermissionDeniedError, reasons CALLER_REFUSED, SCOPE_MISSING, PURPOSE_MISSING."""
    if caller.kind is CallerKind.SERVICE:
        raise PermissionDeniedError("CALLER_REFUSED", f"{method.label} asks for an access token, not a service's")
    if method.fhir_interactions:
        resource_type = value_at(request, method.type_field) if request is not None else ""
        if not caller.scopes.allow_fhir(resource_type, method.fhir_interactions):
            wanted = f"{resource_type}.{method.fhir_interactions}"
            raise PermissionDeniedError("SCOPE_MISSING", f"the token does not grant {wanted}")
    elif method.scopes and not caller.scopes.has_any(method.scopes):
        wanted = " or ".join(sorted(method.scopes))
        raise PermissionDeniedError("SCOPE_MISSING", f"the token does not grant {wanted}")
    if method.is_purpose_required and not caller.purpose:
        raise PermissionDeniedError("PURPOSE_MISSING", f"{method.label} asks for a token that states a purpose of use")
