"""Patches of what is stored (https://hl7.org/fhir/R4/http.html#patch): JSON Patch, and FHIRPath Patch as Parameters.

Clients of some servers send the part of the resource that changes: that is taken as what it is, a JSON Merge Patch (RFC 7396).
"""

from typing import Any

from libs.fhir import json_patch, path_patch
from libs.fhir.body import BodyError, Json, parse, parse_any
from services.records.rules import errors


def parse_patch(raw: bytes, place: str) -> Any:
    """A patch as it came: an array of operations, Parameters, or a part of the resource.

    Raises InvalidArgumentError, reason PATCH_INVALID.
    """
    try:
        return parse_any(raw)
    except BodyError as error:
        raise errors.patch_invalid(error.issue, place) from None


def patched(stored: bytes, patch: Any, place: str) -> Json:
    """The resource after the patch; its type and its id stay as they are.

    Raises InvalidArgumentError, reason PATCH_INVALID; FailedPreconditionError, reason PATCH_REFUSED.
    """
    before = parse(stored)
    try:
        after = _applied(before, patch)
        if type(after) is not dict or any(after.get(name) != before[name] for name in ("resourceType", "id")):
            raise json_patch.unfit("", "a patch changes neither the type nor the id of a resource")
    except json_patch.PatchError as error:
        refuse = errors.patch_invalid if error.is_malformed else errors.patch_refused
        raise refuse(error.issue, place) from None
    return after


def _applied(before: Json, patch: Any) -> Any:
    if type(patch) is not dict:
        return json_patch.apply(before, patch)
    if patch.get("resourceType") == "Parameters":
        return path_patch.apply(before, patch)
    return _merged(before, patch)


def _merged(target: Any, patch: Any) -> Any:
    """RFC 7396: null removes, objects are merged, anything else replaces."""
    if type(patch) is not dict:
        return patch
    merged = dict(target) if type(target) is dict else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged
