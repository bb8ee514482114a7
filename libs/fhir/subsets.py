"""Parts of resources: http://hl7.org/fhir/R4/search.html#summary and after.

What was left out is said: such a resource carries the tag SUBSETTED, so that nobody takes it for the whole.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from libs.fhir.definitions import definitions

SUBSETTED: Final = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
# What no subset leaves away: without these nobody knows which resource it is.
_ALWAYS: Final = frozenset({"resourceType", "id", "meta", "implicitRules"})

Body = dict[str, Any]


@functools.cache
def _json_names(path: str) -> Mapping[str, tuple[str, str, bool]]:
    """JSON name → (name in the definition, path of its structure or empty, whether it is required)."""
    return {
        json_name: (
            element.name + ("[x]" if element.is_choice else ""),
            kind[1:] if kind.startswith("@") else "",
            element.is_required,
        )
        for element in definitions().structures[path]
        for json_name, kind in element.json_names().items()
    }


def _kept(body: Body, path: str, keeps: Callable[[str, str, str, bool], bool]) -> Body:
    names = _json_names(path)
    found: Body = {}
    for key, value in body.items():
        # A primitive's extensions go with it.
        known = names.get(key) or names.get(key.removeprefix("_"))
        if path.count(".") == 0 and key in _ALWAYS:
            found[key] = value
        elif known is not None and keeps(path, known[0], key.removeprefix("_"), known[2]):
            inner = known[1]
            if not inner or inner not in definitions().structures:
                found[key] = value
            elif isinstance(value, list):
                found[key] = [_kept(one, inner, keeps) if isinstance(one, dict) else one for one in value]
            else:
                found[key] = _kept(value, inner, keeps) if isinstance(value, dict) else value
    return found


def _in_summary(path: str, name: str, json_name: str, is_required: bool) -> bool:  # noqa: FBT001 one of four facts of an element
    del json_name, is_required
    return name in definitions().summaries.get(path, ())


def _text_only(path: str, name: str, json_name: str, is_required: bool) -> bool:  # noqa: FBT001 one of four facts of an element
    del json_name
    return "." in path or name == "text" or is_required


def _without_text(path: str, name: str, json_name: str, is_required: bool) -> bool:  # noqa: FBT001 one of four facts of an element
    del json_name, is_required
    return "." in path or name != "text"


_SUMMARIES: Final = {"true": _in_summary, "text": _text_only, "data": _without_text}


def summarized(body: Body, summary: str) -> Body:
    """The resource as `_summary` (true, text or data) wants it."""
    return _marked(_kept(body, body["resourceType"], _SUMMARIES[summary]))


def with_elements(body: Body, elements: Sequence[str]) -> Body:
    """The resource with the top-level elements that `_elements` names, and those that no resource may lack."""
    prefix = body["resourceType"] + "."
    wanted = frozenset(one.removeprefix(prefix).partition(".")[0] for one in elements)

    def keeps(path: str, name: str, json_name: str, is_required: bool) -> bool:  # noqa: FBT001 one of four facts of an element
        return "." in path or is_required or json_name in wanted or name.removesuffix("[x]") in wanted

    return _marked(_kept(body, body["resourceType"], keeps))


def _marked(body: Body) -> Body:
    meta = dict(body.get("meta") or {})
    tags = [one for one in meta.get("tag", ()) if one.get("code") != SUBSETTED["code"]]
    meta["tag"] = [*tags, dict(SUBSETTED)]
    return {**body, "meta": meta}
