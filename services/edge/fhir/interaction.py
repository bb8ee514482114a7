"""What every interaction shares: headers in and out (https://hl7.org/fhir/R4/http.html#general), bodies, replies."""

import asyncio
import re
from codecs import BOM_UTF8
from datetime import UTC
from email.utils import formatdate
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from nhip.records.v1 import resources_pb2

from libs.errors import FieldViolation, InvalidArgumentError, NotFoundError
from libs.fhir.body import BodyError, dump
from libs.fhir.xml import from_xml
from services.edge import soundjson
from services.edge.asgi import Header, Reply, Request, media_type
from services.edge.faults import Refusal
from services.edge.fhir import binary
from services.edge.fhir.media import FHIR_TYPES, VERSIONS, XML_TYPES
from services.edge.fhir.outcome import CONTENT_TYPE, information

BASE_PATH = "/fhir/R4"
ID = re.compile(r"[A-Za-z0-9.\-]{1,64}")
_ETAG = re.compile(r'(?:W/)?"([0-9]{1,18})"')
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
# Query parameters that concern the answer's form, on every interaction.
FORM_PARAMETERS = frozenset({"_format", "_pretty"})


def base_url(request: Request) -> str:
    """The service base URL as the caller sees it."""
    return request.root_url + BASE_PATH


def wants_pretty(query: list[tuple[str, str]]) -> bool:
    """True for `_pretty=true`."""
    return ("_pretty", "true") in query


def preference(request: Request, name: str) -> str:
    """The value of one preference of the header Prefer (RFC 7240); empty when none."""
    prefer = request.headers.get(b"prefer")
    if prefer is None:
        return ""
    for part in request.header(b"prefer").replace(";", ",").split(","):
        key, _, value = part.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"')
    return ""


def preferences(request: Request) -> dict[str, str]:
    """All that the header Prefer says, in lower case; of several lines, which are one list (RFC 7240 section 2), each."""
    lines = [value.decode("latin-1") for name, value in request.scope["headers"] if name == b"prefer"]
    parts = ",".join(lines).replace(";", ",").lower().split(",")
    return {name.strip(): value.strip().strip('"') for name, _, value in (part.partition("=") for part in parts)}


def version_wanted(request: Request) -> int:
    """The version that If-Match names; 0 when it names none. Raises InvalidArgumentError, reason ETAG_MALFORMED."""
    value = request.header(b"if-match").strip()
    return 0 if value in {"", "*"} else parse_etag(value, "If-Match")


def parse_etag(value: str, place: str) -> int:
    """The version in `W/"3"`. Raises InvalidArgumentError, reason ETAG_MALFORMED."""
    match = _ETAG.fullmatch(value)
    if match is None:
        violation = FieldViolation(place, "ETAG_MALFORMED", 'a version is written W/"3"')
        raise InvalidArgumentError("ETAG_MALFORMED", f"{place} holds no version of this server", fields=[violation])
    return int(match[1])


def require_id(resource_type: str, text: str) -> str:
    """A resource id. Raises NotFoundError for what can be none."""
    if ID.fullmatch(text) is None:
        raise NotFoundError("RESOURCE_UNKNOWN", f"there is no such {resource_type}")
    return text


def require_version(resource_type: str, text: str) -> int:
    """A version number. Raises NotFoundError for what can be none."""
    if _VERSION.fullmatch(text) is None:
        raise NotFoundError("RESOURCE_UNKNOWN", f"there is no such version of this {resource_type}")
    return int(text)


async def read_body(request: Request) -> tuple[bytes, dict[str, Any]]:
    """The body's bytes, XML made JSON, and what they say.

    Raises Refusal (413, 415), InvalidArgumentError (JSON_MALFORMED, XML_MALFORMED, …).
    """
    kind = media_type(request)
    if kind not in FHIR_TYPES or not _is_of_this_version(request):
        text = "the body is application/fhir+json or application/fhir+xml, of FHIR 4.0"
        raise Refusal("INVALID_ARGUMENT", "CONTENT_TYPE_UNSUPPORTED", text, status=415)
    # A mark of the order of bytes says nothing in UTF-8, and is passed over (RFC 8259 section 8.1).
    body = (await request.body()).removeprefix(BOM_UTF8)
    if kind in XML_TYPES:
        body = await asyncio.to_thread(_from_xml, body) if len(body) > soundjson.LARGE_BYTES else _from_xml(body)
    document = await soundjson.parse_aside(body)
    if not isinstance(document, dict):
        violation = FieldViolation("", "JSON_MALFORMED", "a FHIR resource is an object")
        raise InvalidArgumentError("JSON_MALFORMED", "the body is not a FHIR resource", fields=[violation])
    return body, document


def _is_of_this_version(request: Request) -> bool:
    parameter = request.header(b"content-type").lower().partition("fhirversion=")[2]
    return parameter.split(";")[0].strip().strip('"') in {"", *VERSIONS}


def _from_xml(body: bytes) -> bytes:
    """The resource in XML as JSON. Raises InvalidArgumentError, reason XML_MALFORMED, with the place."""
    try:
        return dump(from_xml(body))
    except BodyError as error:
        violation = FieldViolation(error.issue.expression, error.issue.code, error.issue.description)
        raise InvalidArgumentError("XML_MALFORMED", error.issue.description, fields=[violation]) from None


async def read_resource(request: Request, resource_type: str, resource_id: str = "") -> tuple[bytes, dict[str, Any]]:
    """The body as a resource of the type, and with the id, that the URL names. Raises as `read_body`."""
    if binary.is_content(request, resource_type):
        body = await binary.read_content(request, resource_id)
        document = soundjson.parse(body)
    else:
        body, document = await read_body(request)
    require_type(document, resource_type, resource_type)
    if resource_id and document.get("id") != resource_id:
        violation = FieldViolation(f"{resource_type}.id", "ID_MISMATCH", "the id in the body is the one in the URL")
        raise InvalidArgumentError("ID_MISMATCH", "URL and body name different ids", fields=[violation])
    return body, document


def require_type(document: Any, resource_type: str, place: str) -> dict[str, Any]:
    """The document, when it is a resource of the type. Raises InvalidArgumentError, reason TYPE_MISMATCH."""
    if not isinstance(document, dict) or document.get("resourceType") != resource_type:
        violation = FieldViolation(f"{place}.resourceType", "TYPE_MISMATCH", f"a {resource_type} belongs here")
        raise InvalidArgumentError("TYPE_MISMATCH", f"the body is not a {resource_type}", fields=[violation])
    return document


def http_date(moment: Timestamp) -> bytes:
    """As Last-Modified has it."""
    return formatdate(moment.seconds, usegmt=True).encode()


def instant(moment: Timestamp) -> str:
    """As FHIR has it, to the millisecond."""
    return moment.ToDatetime(tzinfo=UTC).isoformat(timespec="milliseconds")


def version_headers(stored: resources_pb2.StoredResource) -> list[Header]:
    """ETag and Last-Modified."""
    return [(b"etag", b'W/"%d"' % stored.version), (b"last-modified", http_date(stored.recorded_at))]


def location(base: str, stored: resources_pb2.StoredResource) -> str:
    """The absolute URL of the version."""
    return f"{base}/{stored.type}/{stored.id}/_history/{stored.version}"


def written(request: Request, stored: resources_pb2.StoredResource, status: int, *, located: bool) -> Reply:
    """The answer to a write, as the header Prefer wants it."""
    headers = version_headers(stored)
    # Where the version is that was written: a client that wants no content learns it from here.
    name = b"location" if located else b"content-location"
    headers.append((name, location(base_url(request), stored).encode()))
    wanted = preference(request, "return").lower()
    if wanted == "minimal":
        return Reply(status, b"", b"", headers)
    if wanted == "operationoutcome":
        return Reply(status, information("stored"), CONTENT_TYPE, headers)
    return Reply(status, stored.body, CONTENT_TYPE, headers)
