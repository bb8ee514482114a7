"""Binary (https://hl7.org/fhir/R4/binary.html): content that is sent, and read back, as what it is."""

import base64

import orjson
from nhip.records.v1 import resources_pb2

from services.edge.asgi import Reply, Request
from services.edge.fhir.media import FHIR_TYPES

TYPE = "Binary"
# In what way whose access rules hold for the content, as a header.
_SECURITY = b"x-security-context"


def is_content(request: Request, resource_type: str) -> bool:
    """True for a body that is the content of a Binary, not the resource."""
    kind = request.header(b"content-type").partition(";")[0].strip().lower()
    return resource_type == TYPE and kind not in FHIR_TYPES and bool(kind)


async def read_content(request: Request, resource_id: str) -> bytes:
    """The Binary that holds the body's content, as JSON."""
    document: dict[str, object] = {"resourceType": TYPE}
    if resource_id:
        document["id"] = resource_id
    document["contentType"] = request.header(b"content-type")
    if context := request.header(_SECURITY):
        document["securityContext"] = {"reference": context}
    if content := await request.body():
        document["data"] = base64.b64encode(content).decode()
    return orjson.dumps(document)


def content_of(stored: resources_pb2.StoredResource, reply: Reply) -> Reply:
    """The content of a Binary with its own type; the version's headers stay."""
    document = orjson.loads(stored.body)
    headers = [one for one in reply.headers if one[0] != b"content-type"]
    if context := document.get("securityContext", {}).get("reference"):
        headers.append((_SECURITY, str(context).encode("ascii", "ignore")))
    # Whatever it says that it is, a browser does not run it in this site's name.
    headers += [(b"x-content-type-options", b"nosniff"), (b"content-security-policy", b"sandbox")]
    kind = str(document.get("contentType", "application/octet-stream"))
    safe = kind if kind.isascii() and kind.isprintable() else "application/octet-stream"
    return Reply(reply.status, base64.b64decode(document.get("data", "")), safe.encode(), headers)
