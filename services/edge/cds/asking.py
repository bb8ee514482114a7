"""A hook as it is called: checked, and each mistake named by its place."""

import uuid
from dataclasses import dataclass
from typing import Any

import orjson

from libs.errors import FieldViolation, InvalidArgumentError
from services.edge import soundjson
from services.edge.asgi import Request, media_type
from services.edge.faults import Refusal
from services.edge.fhir.interaction import base_url

Json = dict[str, Any]
MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of a service."""

    hook_instance: str
    # The id of the Patient at the FHIR server that the client reads from.
    patient_id: str
    context: Json
    # Key → resource; what the client could not read is absent.
    prefetch: dict[str, Json]
    # True if the client reads from this platform, and ids are its ids.
    is_ours: bool

    def bundled(self, key: str) -> list[Json] | None:
        """The resources of a Bundle in the prefetch; None for what was not sent along."""
        found = self.prefetch.get(key)
        if found is None:
            return None
        if found.get("resourceType") != "Bundle":
            raise refused(f"prefetch.{key}", "a Bundle belongs here")
        return resources_of(found, f"prefetch.{key}")

    def require_ours(self, *missing: str) -> None:
        """Raises Refusal (412) where something would have to be read from a server that is not this one."""
        if missing and not self.is_ours:
            names = ", ".join(missing)
            raise Refusal(
                "FAILED_PRECONDITION",
                "PREFETCH_MISSING",
                f"the prefetch lacks {names}, and nothing is read from another server",
                status=412,
            )


async def asked(request: Request, hook: str) -> Asked:
    """The call of a hook. The token for records is put in place. Raises InvalidArgumentError, reason HOOK_INVALID."""
    document = await json_of(request)
    instance = document.get("hookInstance")
    if not isinstance(instance, str) or not _is_uuid(instance):
        raise refused("hookInstance", "a UUID belongs here")
    if document.get("hook") != hook:
        raise refused("hook", f"this service answers {hook}")
    context = document.get("context")
    if not isinstance(context, dict):
        raise refused("context", "an object belongs here")
    for name in ("userId", "patientId"):
        if not isinstance(context.get(name), str) or not context[name]:
            raise refused(f"context.{name}", "an id belongs here")
    prefetch = document.get("prefetch") or {}
    if not isinstance(prefetch, dict) or not all(one is None or isinstance(one, dict) for one in prefetch.values()):
        raise refused("prefetch", "an object of resources belongs here")
    _authorize(request, document.get("fhirAuthorization"))
    server = document.get("fhirServer")
    if server is not None and not isinstance(server, str):
        raise refused("fhirServer", "a URL belongs here")
    return Asked(
        instance,
        context["patientId"].removeprefix("Patient/"),
        context,
        {key: one for key, one in prefetch.items() if one is not None},
        server is None or server.rstrip("/") == base_url(request),
    )


async def json_of(request: Request) -> Json:
    """The body as an object. Raises Refusal (413, 415), InvalidArgumentError."""
    if media_type(request) != "application/json":
        raise Refusal("INVALID_ARGUMENT", "CONTENT_TYPE_UNSUPPORTED", "the body is application/json", status=415)
    document = await soundjson.parse_aside(await request.body(MAX_BYTES))
    if not isinstance(document, dict):
        raise refused("", "the body is an object")
    return document


def resources_of(bundle: Json, place: str) -> list[Json]:
    """The resources of a Bundle. Raises InvalidArgumentError, reason HOOK_INVALID."""
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise refused(f"{place}.entry", "a list belongs here")
    found = []
    for index, entry in enumerate(entries):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            raise refused(f"{place}.entry[{index}].resource", "a resource belongs here")
        found.append(resource)
    return found


def refused(place: str, description: str) -> InvalidArgumentError:
    """A mistake of the client, with its place."""
    return InvalidArgumentError(
        "HOOK_INVALID", f"{place}: {description}", fields=[FieldViolation(place, "HOOK_INVALID", description)]
    )


def body_of(resource: Json) -> bytes:
    """A resource as bytes."""
    return orjson.dumps(resource)


def _authorize(request: Request, authorization: Any) -> None:
    if authorization is None:
        return
    token = authorization.get("access_token") if isinstance(authorization, dict) else None
    kind = authorization.get("token_type", "Bearer") if isinstance(authorization, dict) else None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or kind != "Bearer":
        raise refused("fhirAuthorization", "an access_token of token_type Bearer belongs here")
    request.headers[b"authorization"] = b"Bearer " + token.encode()


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
