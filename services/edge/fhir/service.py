"""Everything under /fhir/R4: from a path to its interaction, and from any error to an OperationOutcome."""

import logging
from collections.abc import Sequence

from libs.errors import FieldViolation, InvalidArgumentError, NhipError
from libs.fhir.definitions import definitions
from services.edge.asgi import Reply, Request
from services.edge.faults import Refusal, fault_of, unexpected
from services.edge.fhir.batch import batch
from services.edge.fhir.bulk.files import FILE, export_file
from services.edge.fhir.bulk.import_status import (
    IMPORT_ERRORS,
    IMPORT_STATUS,
    cancel_import,
    import_errors,
    import_status,
)
from services.edge.fhir.bulk.status import STATUS, cancel, status
from services.edge.fhir.capabilities import capabilities
from services.edge.fhir.create import create
from services.edge.fhir.delete import delete, delete_matching
from services.edge.fhir.forms import Form, form_of, not_acceptable, written_as
from services.edge.fhir.history import history
from services.edge.fhir.ihe.messages import process_message
from services.edge.fhir.incoming import Entry, entries_of
from services.edge.fhir.interaction import read_body, require_id, require_type, wants_pretty
from services.edge.fhir.operations.invocation import Invocation
from services.edge.fhir.operations.table import INSTANCE, SYSTEM, TYPE, operation_of
from services.edge.fhir.outcome import refusal
from services.edge.fhir.patch import patch
from services.edge.fhir.read import read
from services.edge.fhir.search import posted_query, search, search_system
from services.edge.fhir.transaction import transaction
from services.edge.fhir.update import update, update_matching
from services.edge.fhir.vread import vread
from services.edge.upstream import Upstream

log = logging.getLogger(__name__)
Query = list[tuple[str, str]]
_NO_QUERY: Query = []
_STATUS = {STATUS: (status, cancel), IMPORT_STATUS: (import_status, cancel_import)}
_FILES = {FILE: export_file, IMPORT_ERRORS: import_errors}
_JOBS = _STATUS.keys() | _FILES.keys()
# What Accept says mostly: answered as it is.
_USUAL = frozenset({b"*/*", b"application/fhir+json", b"application/json"})


class Fhir:
    """The FHIR R4 service."""

    def __init__(self, upstream: Upstream, policy: frozenset[str]) -> None:
        """`upstream` reaches records and the patient index; `policy` is what the deployment allows beyond the usual."""
        self._upstream = upstream
        self._policy = policy
        self._types = definitions().resource_types

    async def answer(self, request: Request) -> Reply:
        """Answers one request, also with its errors, in the form that it asks for."""
        reply = await self._answered(request)
        query = request.query if reply.body and request.scope["query_string"] else _NO_QUERY
        if not query and request.headers.get(b"accept", b"*/*") in _USUAL:
            return reply
        try:
            form = form_of(request, query)
        except (Refusal, NhipError):
            # The reply tells of it.
            return reply
        return written_as(form, reply, is_pretty=wants_pretty(query))

    async def _answered(self, request: Request) -> Reply:
        """The reply as JSON, or as a Binary's content."""
        try:
            query = request.query if request.scope["query_string"] else _NO_QUERY
            segments = request.segments[2:]
            _require_form(request, segments, query)
            return await self._interact(request, segments, query)
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                log.exception("%s %s failed for an unknown reason", request.method, request.route)
                fault = unexpected()
            return refusal(fault)

    async def _interact(self, request: Request, segments: list[str], query: Query) -> Reply:
        if segments and not segments[-1]:
            segments = segments[:-1]
        verb = "GET" if request.method == "HEAD" else request.method
        match segments:
            case [resource_type, resource_id] if resource_type in self._types and resource_id[:1] not in {"_", "$"}:
                return await self._instance(request, verb, resource_type, resource_id)
            case [resource_type] if resource_type in self._types:
                request.route = "/fhir/R4/{type}"
                return await self._type(request, verb, resource_type, query)
            case [resource_type, *rest] if resource_type in self._types:
                return await self._beyond(request, verb, resource_type, rest, query)
            case _:
                return await self._base(request, verb, segments, query)

    async def _base(  # noqa: PLR0911 an answer for each address
        self, request: Request, verb: str, segments: list[str], query: Query
    ) -> Reply:
        """What concerns no type: bundles, the capabilities, operations of the whole system."""
        match segments:
            case []:
                request.route = "/fhir/R4"
                if verb == "GET":
                    return await search_system(self._upstream, request, query)
                _allow(verb, "GET", "HEAD", "POST")
                return await self._bundle(request)
            case ["_search"]:
                request.route = "/fhir/R4/_search"
                _allow(verb, "POST")
                return await search_system(self._upstream, request, await posted_query(request))
            case ["_history"]:
                request.route = "/fhir/R4/_history"
                _allow(verb, "GET", "HEAD")
                return await history(self._upstream, request, "", "", query)
            case ["metadata"]:
                request.route = "/fhir/R4/metadata"
                _allow(verb, "GET", "HEAD")
                return await capabilities(request, self._policy)
            case ["$process-message"]:
                request.route = "/fhir/R4/$process-message"
                _allow(verb, "POST")
                return await process_message(self._upstream, request, self._transaction)
            case [kind, job_id, *name] if kind in _JOBS and len(name) == (kind in _FILES):
                return await self._job(request, verb, kind, job_id, *name)
            case [operation] if operation.startswith("$"):
                return await self._invoke(request, verb, "", "", operation, query)
            case _:
                raise Refusal("NOT_FOUND", "TYPE_UNKNOWN", "there is no such resource type in FHIR R4", status=404)

    async def _job(self, request: Request, verb: str, kind: str, job_id: str, name: str = "") -> Reply:
        """Exports and imports by their own addresses: how they go, and their files."""
        request.route = f"/fhir/R4/{kind}/{{id}}" + ("/{name}" if name else "")
        if kind in _FILES:
            _allow(verb, "GET", "HEAD")
            return await _FILES[kind](self._upstream, request, job_id, name)
        tell, stop = _STATUS[kind]
        if verb == "DELETE":
            return await stop(self._upstream, request, job_id)
        _allow(verb, "DELETE", "GET", "HEAD")
        return await tell(self._upstream, request, job_id)

    async def _type(self, request: Request, verb: str, resource_type: str, query: Query) -> Reply:
        match verb:
            case "GET":
                return await search(self._upstream, request, resource_type, query)
            case "PUT":
                return await update_matching(self._upstream, request, resource_type, query)
            case "PATCH":
                return await patch(self._upstream, request, resource_type, "", query)
            case "DELETE":
                return await delete_matching(self._upstream, request, resource_type, query)
        _allow(verb, "DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
        return await create(self._upstream, request, resource_type)

    async def _instance(self, request: Request, verb: str, resource_type: str, resource_id: str) -> Reply:
        request.route = "/fhir/R4/{type}/{id}"
        if verb == "GET":
            return await read(self._upstream, request, resource_type, resource_id)
        if verb == "PUT":
            return await update(self._upstream, request, resource_type, resource_id)
        if verb == "PATCH":
            return await patch(self._upstream, request, resource_type, resource_id, _NO_QUERY)
        _allow(verb, "DELETE", "GET", "HEAD", "PATCH", "PUT")
        return await delete(self._upstream, request, resource_type, resource_id)

    async def _beyond(self, request: Request, verb: str, resource_type: str, rest: list[str], query: Query) -> Reply:
        upstream = self._upstream
        match rest:
            case ["_search"]:
                request.route = "/fhir/R4/{type}/_search"
                _allow(verb, "POST")
                return await search(upstream, request, resource_type, await posted_query(request))
            case ["_history"]:
                request.route = "/fhir/R4/{type}/_history"
                _allow(verb, "GET", "HEAD")
                return await history(upstream, request, resource_type, "", query)
            case [*_, operation] if operation.startswith("$"):
                return await self._operation(request, verb, resource_type, rest, query)
            case [resource_id, "_history"]:
                request.route = "/fhir/R4/{type}/{id}/_history"
                _allow(verb, "GET", "HEAD")
                return await history(upstream, request, resource_type, resource_id, query)
            case [resource_id, "_history", version]:
                request.route = "/fhir/R4/{type}/{id}/_history/{vid}"
                _allow(verb, "GET", "HEAD")
                return await vread(upstream, request, resource_type, resource_id, version)
            case [resource_id, inner, *last] if last in ([], ["_search"]):
                return await self._compartment(request, verb, f"{resource_type}/{resource_id}", inner, query)
            case _:
                raise Refusal("NOT_FOUND", "INTERACTION_UNKNOWN", "there is nothing at this path", status=404)

    async def _compartment(self, request: Request, verb: str, compartment: str, inner: str, query: Query) -> Reply:
        """https://hl7.org/fhir/R4/search.html#2.21.1.2: what belongs to one Patient."""
        kind, _, resource_id = compartment.partition("/")
        if kind != "Patient" or (inner != "*" and inner not in self._types):
            raise Refusal("NOT_FOUND", "INTERACTION_UNKNOWN", "there is nothing at this path", status=404)
        require_id(kind, resource_id)
        is_posted = request.segments[-1] == "_search"
        request.route = "/fhir/R4/Patient/{id}/{type}" + ("/_search" if is_posted else "")
        _allow(verb, *(("POST",) if is_posted else ("GET", "HEAD")))
        if is_posted:
            query = await posted_query(request)
        if inner == "*":
            return await search_system(self._upstream, request, query, compartment)
        return await search(self._upstream, request, inner, query, compartment)

    async def _operation(self, request: Request, verb: str, resource_type: str, rest: list[str], query: Query) -> Reply:
        """https://hl7.org/fhir/R4/operations.html."""
        match rest:
            case [operation]:
                resource_id = ""
            case [resource_id, operation]:
                pass
            case _:
                raise Refusal("NOT_FOUND", "INTERACTION_UNKNOWN", "there is nothing at this path", status=404)
        return await self._invoke(request, verb, resource_type, resource_id, operation, query)

    async def _invoke(
        self, request: Request, verb: str, resource_type: str, resource_id: str, name: str, query: Query
    ) -> Reply:
        level = INSTANCE if resource_id else TYPE if resource_type else SYSTEM
        found = operation_of(name.removeprefix("$"), resource_type, level)
        if found is None:
            raise Refusal("NOT_FOUND", "INTERACTION_UNKNOWN", "there is no such operation here", status=404)
        shown = found.type or "{type}"
        places = {SYSTEM: (), TYPE: (shown,), INSTANCE: (shown, "{id}")}[level]
        request.route = "/".join(("/fhir/R4", *places, f"${found.name}"))
        _allow(verb, *found.verbs)
        return await found.run(Invocation(self._upstream, request, verb, resource_type, resource_id, query))

    async def _bundle(self, request: Request) -> Reply:
        body, document = await read_body(request)
        require_type(document, "Bundle", "Bundle")
        kind = document.get("type")
        if kind == "transaction":
            return await self._transaction(self._upstream, request, entries_of(request, body, document))
        if kind == "batch":
            return await batch(self._entry, request, entries_of(request, body, document))
        violation = FieldViolation("Bundle.type", "BUNDLE_INVALID", "transaction or batch")
        raise InvalidArgumentError("BUNDLE_INVALID", "the base takes transactions and batches", fields=[violation])

    async def _transaction(self, upstream: Upstream, request: Request, entries: Sequence[Entry]) -> Reply:
        return await transaction(upstream, self._entry, request, entries)

    async def _entry(self, request: Request) -> Reply:
        """One entry of a batch; a batch within a batch is none."""
        if not any(request.segments[2:]):
            return refusal(Refusal("INVALID_ARGUMENT", "URL_MISSING", "an entry names a resource type").fault)
        if request.segments[2] in _FILES:
            return refusal(Refusal("INVALID_ARGUMENT", "URL_UNSUPPORTED", "a file is no entry of a Bundle").fault)
        return await self._answered(request)


def _require_form(request: Request, segments: list[str], query: Query) -> None:
    # Of what is asked for in no form of FHIR's, a Binary can be had, and the lines of an export or import.
    if form_of(request, query) is Form.OTHER and segments[:1] not in (["Binary"], *([name] for name in _FILES)):
        raise not_acceptable()


def _allow(verb: str, *allowed: str) -> None:
    if verb not in allowed:
        names = ", ".join(allowed)
        raise Refusal(
            "INVALID_ARGUMENT",
            "METHOD_NOT_ALLOWED",
            f"this path takes {names}",
            status=405,
            headers=((b"allow", names.encode()),),
        )
