"""The FHIR interactions, in brief: the CapabilityStatement tells them in full."""

from typing import Any

FHIR_TAG = "fhir"
_PATH_WORDS = {
    "type": "A FHIR R4 resource type",
    "id": "A resource id",
    "vid": "A version number",
    "name": "A file's name, as the manifest has it",
}
# Path, verb, operation, summary, whether a resource is sent.
_INTERACTIONS = (
    ("/fhir/R4/metadata", "get", "capabilities", "What this server does", False),
    ("/fhir/R4", "post", "transaction", "A transaction or batch Bundle", True),
    ("/fhir/R4/{type}", "get", "search", "Searches a type; _count and the next link turn pages", False),
    ("/fhir/R4/{type}", "post", "create", "Stores a new resource; a Patient is registered first", True),
    ("/fhir/R4/{type}/{id}", "get", "read", "The current version", False),
    ("/fhir/R4/{type}/{id}", "put", "update", "Stores a new version", True),
    ("/fhir/R4/{type}/{id}", "delete", "delete", "Deletes; history stays", False),
    ("/fhir/R4/{type}/{id}/_history", "get", "historyInstance", "The versions of a resource, newest first", False),
    ("/fhir/R4/{type}/{id}/_history/{vid}", "get", "vread", "One version", False),
    ("/fhir/R4/{type}/_history", "get", "historyType", "The versions of a type, newest first", False),
    ("/fhir/R4/{type}/$validate", "post", "validate", "Checks a resource and stores nothing", True),
    ("/fhir/R4/Patient/$match", "post", "match", "Who may be meant by these demographics", True),
    ("/fhir/R4/Patient/{id}/$everything", "get", "everything", "All that is on record about the person", False),
    ("/fhir/R4/Patient/{id}/$summary", "get", "summary", "The International Patient Summary, as a document", False),
    ("/fhir/R4/Observation/$lastn", "get", "lastn", "The newest Observations of each code", False),
    ("/fhir/R4/ValueSet/$expand", "get", "expand", "The codes of a value set", False),
    ("/fhir/R4/ValueSet/$validate-code", "get", "validateCode", "Whether a code is of a value set", False),
    ("/fhir/R4/CodeSystem/$lookup", "get", "lookup", "What a code means", False),
    ("/fhir/R4/CodeSystem/$subsumes", "get", "subsumes", "How two codes stand to each other", False),
    ("/fhir/R4/ConceptMap/$translate", "get", "translate", "What a code is in another system", False),
    ("/fhir/R4/{type}/{id}/$meta", "get", "meta", "The profiles, tags and security labels", False),
    ("/fhir/R4/{type}/{id}/$meta-add", "post", "metaAdd", "Adds labels", True),
    ("/fhir/R4/{type}/{id}/$meta-delete", "post", "metaDelete", "Takes labels away", True),
    ("/fhir/R4/Subscription/{id}/$status", "get", "subscriptionStatus", "How a subscription stands", False),
    ("/fhir/R4/Subscription/{id}/$events", "get", "subscriptionEvents", "Events of a subscription once more", False),
    (
        *("/fhir/R4/Subscription/{id}/$get-ws-binding-token", "get", "subscriptionBindingToken"),
        *("A token by which a websocket is bound to a subscription", False),
    ),
    ("/fhir/R4/$export", "get", "export", "Begins an export of all that the caller may see", False),
    ("/fhir/R4/Patient/$export", "get", "exportPatients", "Begins an export of what is about persons", False),
    ("/fhir/R4/Group/{id}/$export", "get", "exportGroup", "Begins an export of what is about a Group's members", False),
    ("/fhir/R4/$export-status/{id}", "get", "exportStatus", "How an export goes; its manifest when it is done", False),
    ("/fhir/R4/$export-status/{id}", "delete", "exportCancel", "Stops an export, and frees its files", False),
    ("/fhir/R4/$export-file/{id}/{name}", "get", "exportFile", "A file of an export, as NDJSON", False),
)
_CONDITIONAL = {
    "update": ("If-Match",),
    "delete": ("If-Match",),
    "read": ("If-None-Match",),
    "create": ("If-None-Exist", "Prefer"),
    "search": ("Prefer",),
    **dict.fromkeys(("export", "exportPatients", "exportGroup"), ("Prefer",)),
}


def fhir_paths() -> dict[str, Any]:
    """Path items of the FHIR interactions."""
    paths: dict[str, Any] = {}
    for path, verb, name, summary, sends in _INTERACTIONS:
        paths.setdefault(path, {})[verb] = _operation(path, name, summary, sends=sends)
    paths["/fhir/R4/{type}/_search"] = {"post": _posted_search()}
    return paths


def _operation(path: str, name: str, summary: str, *, sends: bool) -> dict[str, Any]:
    resource = {"content": {"application/fhir+json": {"schema": {"type": "object"}}}}
    operation: dict[str, Any] = {
        "operationId": f"fhir.{name}",
        "tags": [FHIR_TAG],
        "summary": summary,
        "parameters": [
            {"name": word, "in": "path", "required": True, "description": text, "schema": {"type": "string"}}
            for word, text in _PATH_WORDS.items()
            if "{" + word + "}" in path
        ]
        + [{"name": header, "in": "header", "schema": {"type": "string"}} for header in _CONDITIONAL.get(name, ())],
        "responses": {
            "200": {"description": "A FHIR resource", **resource},
            "default": {"$ref": "#/components/responses/OperationOutcome"},
        },
        "security": [{}] if name == "capabilities" else [{"oauth2": []}],
    }
    if name == "create":
        operation["responses"]["201"] = {"description": "Stored", **resource}
    if name.startswith("export"):
        operation["responses"]["202"] = {"description": "It goes on; Content-Location or X-Progress tells how"}
    if name == "exportFile":
        lines = {"application/fhir+ndjson": {"schema": {"type": "string"}}}
        operation["responses"] = {**operation["responses"], "200": {"description": "Resources", "content": lines}}
        del operation["responses"]["202"]
    if name == "search":
        operation["parameters"].append(
            {
                "name": "parameters",
                "in": "query",
                "description": "Search parameters, such as code, date, patient.",
                "style": "form",
                "explode": True,
                "schema": {"type": "object", "additionalProperties": {"type": "string"}},
            }
        )
    if sends:
        operation["requestBody"] = {"required": True, **resource}
    return operation


def _posted_search() -> dict[str, Any]:
    operation = _operation("/fhir/R4/{type}/_search", "searchByPost", "Searches; parameters in the form", sends=False)
    form = {"type": "object", "additionalProperties": {"type": "string"}}
    operation["requestBody"] = {
        "required": False,
        "content": {"application/x-www-form-urlencoded": {"schema": form}},
    }
    return operation
