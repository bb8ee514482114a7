"""An operation as it is called."""

from dataclasses import dataclass

from libs.errors import FieldViolation, InvalidArgumentError
from services.edge.asgi import Reply, Request
from services.edge.fhir.interaction import FORM_PARAMETERS, read_body
from services.edge.fhir.operations.parameters import Arguments, from_parameters, from_query
from services.edge.fhir.outcome import CONTENT_TYPE
from services.edge.upstream import Upstream

Query = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of an operation: on the system, a type, or an instance."""

    upstream: Upstream
    request: Request
    # GET or POST.
    verb: str
    # Both empty for the system; `resource_id` empty for a type.
    resource_type: str
    resource_id: str
    query: Query

    async def arguments(self, *known: str) -> Arguments:
        """The parameters: of the query, and those of the body's Parameters. One that is not known is an error.

        Raises InvalidArgumentError, reasons PARAMETER_UNKNOWN, TYPE_MISMATCH, and as `read_body`.
        """
        found = from_query([pair for pair in self.query if pair[0] not in FORM_PARAMETERS])
        if self.verb == "POST":
            body, document = await read_body(self.request)
            if not body:
                raise InvalidArgumentError(
                    "BODY_MISSING",
                    "the operation takes Parameters",
                    fields=[FieldViolation("", "BODY_MISSING", "Parameters belong here")],
                )
            found.add(from_parameters(document))
        found.require_known(known)
        return found


def answer(body: bytes) -> Reply:
    """A resource as the operation's answer."""
    return Reply(200, body, CONTENT_TYPE)
