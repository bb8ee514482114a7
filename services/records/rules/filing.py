"""From the bytes that were sent to a resource that can be filed: parsed, valid, its parts known."""

import hashlib
from datetime import UTC, datetime

from libs.fhir.body import BodyError, Json, canonical, dump, parse
from libs.fhir.compartments import patient_of
from libs.fhir.issues import REQUIRED, VALUE, Issue
from libs.fhir.profiles import claimed_issues
from libs.fhir.references import LocalReference, local_references, rewrite, without_base
from libs.fhir.validation import validate
from services.records.rules.errors import resource_invalid

# What the server fills in, and a reader sends back: no part of the content.
_FILLED_IN = ("versionId", "lastUpdated")
_HASH_BYTES = 16


def parse_resource(
    raw: bytes,
    resource_type: str,
    place: str = "",
    *,
    resource_id: str = "",
    own_base: str = "",
    enforces_profiles: bool = False,
) -> Json:
    """The valid resource in the bytes. `resource_id` is the id that it must have, if it states one.

    References under the server's own address, `own_base`, become local ones.

    Raises InvalidArgumentError, reason RESOURCE_INVALID, with an expression for each defect.
    """
    try:
        body = parse(raw)
    except BodyError as error:
        raise resource_invalid([error.issue], place, resource_type) from None
    # Most name no address at all; a slash may be written with a backslash before it.
    if own_base and (own_base.encode() in raw or b"\\/" in raw):
        rewrite(body, lambda _, text: without_base(text, own_base))
    require_valid(body, resource_type, place, enforces_profiles=enforces_profiles)
    if resource_id and body.get("id", resource_id) != resource_id:
        issue = Issue(f"{resource_type}.id", VALUE, "the id is not that of the address")
        raise resource_invalid([issue], place, resource_type)
    return body


def require_valid(body: Json, resource_type: str, place: str = "", *, enforces_profiles: bool = False) -> None:
    """Raises InvalidArgumentError, reason RESOURCE_INVALID, with an expression for each defect.

    With `enforces_profiles`, the known profiles that it claims are held against it too.
    """
    issues = validate(body, resource_type)
    if enforces_profiles and not issues:
        issues = claimed_issues(body)
    if issues:
        raise resource_invalid(issues, place, resource_type)


def require_id(body: Json, resource_type: str, place: str) -> str:
    """The id of an update's body, which must state it. Raises as `parse_resource`."""
    found = body.get("id")
    if not isinstance(found, str):
        raise resource_invalid([Issue(f"{resource_type}.id", REQUIRED, "the id is required")], place, resource_type)
    return found


def content_hash(body: Json, organization_id: str) -> bytes:
    """A hash of what the resource says, without what the server filled in."""
    content = {name: value for name, value in body.items() if name not in {"id", "meta"}}
    meta = {name: value for name, value in body.get("meta", {}).items() if name not in _FILLED_IN}
    if meta.get("source") == source_of(organization_id):
        del meta["source"]
    if meta:
        content["meta"] = meta
    return hashlib.blake2b(canonical(content), digest_size=_HASH_BYTES).digest()


def source_of(organization_id: str) -> str:
    """How `meta.source` names the organisation that filed a resource."""
    return f"Organization/{organization_id}"


def finished(body: Json, resource_id: str, version: int, recorded_at: datetime, organization_id: str) -> bytes:
    """The bytes that are stored and answered: with id, version, time and, where it names none, the source."""
    meta = {"versionId": str(version), "lastUpdated": instant(recorded_at)}
    own = body.get("meta", {})
    meta.update((name, value) for name, value in own.items() if name not in _FILLED_IN)
    meta.setdefault("source", source_of(organization_id))
    whole: Json = {"resourceType": body["resourceType"], "id": resource_id, "meta": meta}
    whole.update((name, value) for name, value in body.items() if name not in whole)
    return dump(whole)


def instant(moment: datetime) -> str:
    """A FHIR instant, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_milliseconds(moment: datetime) -> datetime:
    """The time that is both stored and written into the body."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def subject_of(body: Json, resource_type: str, resource_id: str) -> tuple[str, LocalReference] | None:
    """The Patient whom a resource is about, with the expression that says so; a Patient is about itself."""
    if resource_type == "Patient":
        return "id", LocalReference("Patient", resource_id)
    return patient_of(body, resource_type)


def references_of(body: Json) -> list[tuple[str, LocalReference]]:
    """Every reference to a resource of this server, with its expression. Versions are not asked for."""
    return [(expression, LocalReference(local.type, local.id)) for expression, local in local_references(body)]
