"""$meta, $meta-add, $meta-delete (https://hl7.org/fhir/R4/resource-operation-meta.html): profiles, tags, security labels.

A label that is added or removed makes a version: what a label says decides who may see a resource, so that its history says
when it came.
"""

from typing import Any

import grpc
import orjson
from nhip.records.v1 import person_pb2, resources_pb2, service_pb2

from services.edge.asgi import Reply
from services.edge.faults import fault_of
from services.edge.fhir.interaction import require_id
from services.edge.fhir.operations.invocation import Invocation, answer
from services.edge.fhir.operations.parameters import refused, told

_LABELS = ("profile", "tag", "security")
# Another writer may come in between; whoever loses so often meets a busy resource and is told.
_ATTEMPTS = 4
Json = dict[str, Any]


async def meta(invoked: Invocation) -> Reply:
    """`GET|POST [base]|[type]|[type]/[id]/$meta`."""
    await _no_arguments(invoked)
    if not invoked.resource_id:
        message = person_pb2.CollectLabelsRequest(type=invoked.resource_type)
        response = await invoked.upstream["records.CollectLabels"](message, invoked.request)
        found = {
            "profile": list(response.profiles),
            "tag": [_coding(one) for one in response.tags],
            "security": [_coding(one) for one in response.security],
        }
        return _told({name: values for name, values in found.items() if values})
    _, body = await _read(invoked)
    return _told(body["meta"])


async def meta_add(invoked: Invocation) -> Reply:
    """`POST [type]/[id]/$meta-add`: what is there already stays once."""
    return await _change(invoked, _added)


async def meta_delete(invoked: Invocation) -> Reply:
    """`POST [type]/[id]/$meta-delete`: what is not there is no error."""
    return await _change(invoked, _removed)


async def _change(invoked: Invocation, change: Any) -> Reply:
    arguments = await invoked.arguments("meta")
    wanted = arguments.object("meta")
    if wanted is None:
        raise refused("meta", "PARAMETER_MISSING", "the labels belong here, as valueMeta")
    for name in wanted.keys() - set(_LABELS):
        raise refused(f"meta.{name}", "PARAMETER_INVALID", "profile, tag and security are labels")
    for name in _LABELS:
        if not isinstance(wanted.get(name, []), list):
            raise refused(f"meta.{name}", "PARAMETER_INVALID", "a list belongs here")
    for attempt in range(1, _ATTEMPTS + 1):
        stored, body = await _read(invoked)
        labels = {name: change(body["meta"].get(name, []), wanted.get(name, [])) for name in _LABELS}
        for name, values in labels.items():
            if values:
                body["meta"][name] = values
            else:
                body["meta"].pop(name, None)
        message = service_pb2.UpdateResourceRequest(
            type=stored.type, id=stored.id, body=orjson.dumps(body), if_match=stored.version
        )
        try:
            response = await invoked.upstream["records.UpdateResource"](message, invoked.request)
        except grpc.aio.AioRpcError as error:
            fault = fault_of(error)
            if fault is None or fault.reason != "VERSION_CONFLICT" or attempt == _ATTEMPTS:
                raise
            continue
        return _told(orjson.loads(response.resource.body)["meta"])
    raise AssertionError("the last attempt answers or raises")


async def _read(invoked: Invocation) -> tuple[resources_pb2.StoredResource, Json]:
    message = service_pb2.ReadResourceRequest(
        type=invoked.resource_type, id=require_id(invoked.resource_type, invoked.resource_id)
    )
    stored = (await invoked.upstream["records.ReadResource"](message, invoked.request)).resource
    return stored, orjson.loads(stored.body)


async def _no_arguments(invoked: Invocation) -> None:
    if invoked.verb == "GET" or invoked.request.header(b"content-length") in {"", "0"}:
        return
    await invoked.arguments()


def _key(label: Any) -> tuple[str, str]:
    if isinstance(label, dict):
        return str(label.get("system", "")), str(label.get("code", ""))
    return "", str(label)


def _added(present: list[Any], wanted: list[Any]) -> list[Any]:
    known = {_key(one) for one in present}
    return [*present, *(one for one in wanted if _key(one) not in known)]


def _removed(present: list[Any], wanted: list[Any]) -> list[Any]:
    unwanted = {_key(one) for one in wanted}
    return [one for one in present if _key(one) not in unwanted]


def _coding(code: resources_pb2.Code) -> Json:
    found = {"system": code.system, "code": code.code, "display": code.display}
    return {name: value for name, value in found.items() if value}


def _told(labels: Json) -> Reply:
    return answer(told([{"name": "return", "valueMeta": labels}]))
