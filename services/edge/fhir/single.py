"""Interactions that records knows as the one entry of a transaction: patches, and what a condition names.

Records tells of the entry; whoever called sees a request that stands alone, and places within its body.
"""

import re
from urllib.parse import quote, urlencode

import grpc
from nhip.records.v1 import service_pb2

from libs.errors import FieldViolation, InvalidArgumentError
from services.edge.asgi import Request
from services.edge.faults import Refusal, fault_of
from services.edge.fhir.interaction import FORM_PARAMETERS, base_url
from services.edge.upstream import Upstream

_RESOURCE = re.compile(r"^Bundle\.entry\[0\]\.resource(\.ofType\([A-Za-z]+\))?")
_ENTRY = re.compile(r"Bundle\.entry\[0\]\.?")


async def carry_out(
    upstream: Upstream,
    request: Request,
    entry: service_pb2.TransactionEntry,
    root: str,
    *,
    validate_only: bool = False,
) -> service_pb2.TransactionResult:
    """What became of the entry. Raises AioRpcError, or Refusal with places under `root`."""
    message = service_pb2.ExecuteTransactionRequest(
        entries=[entry], validate_only=validate_only, base_url=base_url(request)
    )
    if not validate_only:
        message.request_id = request.header(b"idempotency-key")
    try:
        response = await upstream["records.ExecuteTransaction"](message, request)
    except grpc.aio.AioRpcError as error:
        raise of_single(error, root) from None
    result: service_pb2.TransactionResult = response.results[0]
    return result


def of_single(error: grpc.aio.AioRpcError, root: str) -> Exception:
    """The error of a transaction with one entry, as the error of the entry alone."""
    fault = fault_of(error)
    if fault is None or not fault.fields:
        return error
    fields = [FieldViolation(_place(one.field, root), one.reason, one.description) for one in fault.fields]
    return Refusal(fault.code, fault.reason, _place(fault.message, root), fields=fields)


def _place(text: str, root: str) -> str:
    # The address of a request that stands alone has no place in its body.
    return _ENTRY.sub("", _RESOURCE.sub(root, text)).removeprefix("request.url").removeprefix(": ")


def query_in(condition: str) -> str:
    """The query of a condition, which some clients write with the type or the whole URL before it."""
    before, mark, query = condition.partition("?")
    return query if mark and "=" not in before else condition


def condition_of(query: list[tuple[str, str]]) -> str:
    """The search that names the resource. Raises InvalidArgumentError, reason CONDITION_MISSING, where there is none."""
    condition = [(name, value) for name, value in query if name not in FORM_PARAMETERS]
    if not condition:
        raise InvalidArgumentError(
            "CONDITION_MISSING", "without an id, a search in the URL says which resource is meant: Type?identifier=…"
        )
    return urlencode(condition, quote_via=quote)
