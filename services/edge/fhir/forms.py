"""The forms of an answer (https://hl7.org/fhir/R4/http.html#mime-type): JSON, XML, and a Binary as what it is."""

from enum import Enum

from libs.fhir.body import parse
from libs.fhir.xml import to_xml
from services.edge import soundjson
from services.edge.asgi import Reply, Request
from services.edge.faults import Refusal
from services.edge.fhir.media import JSON_TYPES, VERSIONS, XML_TYPES
from services.edge.fhir.outcome import CONTENT_TYPE

XML = b"application/fhir+xml; charset=utf-8"
Query = list[tuple[str, str]]
# Values of Accept that clients send so often that nobody needs to take them apart.
_PLAIN_ACCEPT = frozenset({"", "*/*", "application/fhir+json", "application/json"})
_JSON_FORMATS, _XML_FORMATS = JSON_TYPES | {"json"}, XML_TYPES | {"xml"}
_ANYTHING = frozenset({"*/*", "application/*"})


class Form(Enum):
    """How an answer is written."""

    JSON = "json"
    XML = "xml"
    # A type that is none of FHIR's: a Binary can be had as it, nothing else.
    OTHER = "other"


def form_of(request: Request, query: Query, *, of_content: bool = False) -> Form:
    """The form that `_format`, or else Accept, asks for; JSON where nothing better is asked for.

    With `of_content`, for what has a form of its own, that is wanted as soon as it is preferred.

    Raises Refusal (406) for a `_format` that is none, and for another version of FHIR.
    """
    for name, value in query:
        if name == "_format":
            # An unencoded plus in a query is a blank.
            kind = value.split(";")[0].strip().lower().replace(" ", "+")
            if kind not in _JSON_FORMATS | _XML_FORMATS:
                raise not_acceptable()
            return Form.JSON if kind in _JSON_FORMATS else Form.XML
    accept = request.header(b"accept").lower()
    return Form.JSON if accept in _PLAIN_ACCEPT else _best(accept, of_content=of_content)


def _best(accept: str, *, of_content: bool) -> Form:
    """Of what is accepted the most wanted; of equals JSON."""
    found: dict[Form, float] = {}
    for part in accept.split(","):
        kind, _, parameters = part.partition(";")
        settings = dict(one.strip().partition("=")[::2] for one in parameters.split(";"))
        if settings.get("fhirversion", VERSIONS[0]) not in VERSIONS:
            continue
        name = kind.strip()
        form = Form.XML if name in XML_TYPES else Form.JSON if name in JSON_TYPES | _ANYTHING else Form.OTHER
        found[form] = max(found.get(form, 0.0), _quality(settings.get("q", "1")))
    if not of_content and len(found) > 1:
        found.pop(Form.OTHER, None)
    return max((Form.JSON, Form.XML, Form.OTHER), key=lambda form: found.get(form, -1.0)) if found else Form.OTHER


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def not_acceptable() -> Refusal:
    """No form of what is asked for is accepted."""
    return Refusal("INVALID_ARGUMENT", "NOT_ACCEPTABLE", "answers are JSON or XML, of FHIR 4.0", status=406)


def written_as(form: Form, reply: Reply, *, is_pretty: bool) -> Reply:
    """The reply in a form; what is no resource stays as it is."""
    at = next((at for at, header in enumerate(reply.headers) if header == (b"content-type", CONTENT_TYPE)), None)
    if not reply.body or at is None:
        return reply
    if form is Form.XML:
        reply.body = to_xml(parse(reply.body), is_pretty=is_pretty)
        reply.headers[at] = (b"content-type", XML)
    elif is_pretty:
        reply.body = soundjson.pretty(reply.body)
    return reply
