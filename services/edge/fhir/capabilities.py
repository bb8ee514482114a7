"""capabilities (https://hl7.org/fhir/R4/http.html#capabilities): what this server does, resource by resource."""

import functools
from typing import Any

import orjson

from libs.fhir.definitions import definitions
from libs.fhir.search_parameters import parameters_of, supported
from libs.fhir.subscription_topics import TOPICS
from services.edge.asgi import Reply, Request
from services.edge.fhir.interaction import base_url
from services.edge.fhir.operations.table import operations_of
from services.edge.fhir.outcome import CONTENT_TYPE

# When this statement last changed in substance.
DATE = "2026-11-28"
INTERACTIONS = (
    *("read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"),
)
SYSTEM_INTERACTIONS = ("transaction", "batch", "history-system", "search-system")
# Of R4B, which the definitions know for what notifies of subscriptions; a statement of R4 must not name it.
_BEYOND_R4 = frozenset({"SubscriptionStatus"})
_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_BULK_DATA = "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"
_BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription"
_TOPIC = (
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/capabilitystatement-subscriptiontopic-canonical"
)
_PROCESS_MESSAGE = {
    "name": "process-message",
    "definition": "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message",
}
_PATIENT_NOTE = (
    "A Patient is registered in the patient index under the caller's organisation before it is filed; its id is the "
    "registration's. Creating a Patient that is filed already updates it and answers 200."
)


async def capabilities(request: Request, policy: frozenset[str]) -> Reply:
    """`GET metadata`; `policy` as in NHIP_FHIR_POLICY."""
    statement = _statement(request.root_url, base_url(request), policy)
    return Reply(200, statement, CONTENT_TYPE, [(b"cache-control", b"max-age=60")])


@functools.lru_cache(maxsize=16)
def _statement(root: str, base: str, policy: frozenset[str]) -> bytes:
    return orjson.dumps(
        {
            "resourceType": "CapabilityStatement",
            "url": f"{base}/metadata",
            "name": "NHIP",
            "title": "National Health Information Platform, FHIR R4",
            "status": "active",
            "date": DATE,
            "kind": "instance",
            "instantiates": [_BULK_DATA],
            "software": {"name": "NHIP edge"},
            "implementation": {"description": "National Health Information Platform", "url": base},
            "fhirVersion": "4.0.1",
            "format": ["json", "application/fhir+json", "xml", "application/fhir+xml"],
            "patchFormat": ["application/json-patch+json", "application/fhir+json", "application/fhir+xml"],
            "rest": [
                {
                    "mode": "server",
                    "security": _security(root),
                    "resource": _resources(policy),
                    "interaction": [
                        {"code": "transaction"},
                        {"code": "batch"},
                        {"code": "history-system"},
                        {"code": "search-system"},
                    ],
                    "operation": [_PROCESS_MESSAGE, *_operations("")],
                }
            ],
        }
    )


def _security(root: str) -> dict[str, Any]:
    token = {"url": "token", "valueUri": f"{root}/oauth2/token"}
    service = {"system": "http://terminology.hl7.org/CodeSystem/restful-security-service", "code": "SMART-on-FHIR"}
    return {
        "extension": [{"url": _OAUTH_URIS, "extension": [token]}],
        "service": [{"coding": [service]}],
        "description": "OAuth 2.0 bearer tokens with SMART v2 scopes and a stated purpose of use.",
    }


@functools.cache
def _resources(policy: frozenset[str]) -> list[dict[str, Any]]:
    return [_resource(name, policy) for name in sorted(definitions().resource_types - _BEYOND_R4)]


def _resource(name: str, policy: frozenset[str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": name,
        "interaction": [{"code": code} for code in INTERACTIONS],
        "versioning": "versioned",
        "readHistory": True,
        # A Patient's id is its registration's, whatever the policy.
        "updateCreate": "updates-create" in policy and name != "Patient",
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "multiple" if "deletes-many" in policy else "single",
        "referencePolicy": ["literal", "local"],
        "searchParam": [{"name": parameter, "type": kind} for parameter, kind in supported(name)],
        "operation": _operations(name),
    }
    references = sorted(parameter for parameter, known in parameters_of(name).items() if known.kind == "reference")
    if references:
        found["searchInclude"] = ["*", *(f"{name}:{parameter}" for parameter in references)]
    referring = _referring(name)
    if referring:
        found["searchRevInclude"] = list(referring)
    if name == "Subscription":
        found["extension"] = [{"url": _TOPIC, "valueCanonical": one} for one in sorted(TOPICS)]
        found["supportedProfile"] = [_BACKPORT]
    if name == "Patient":
        found["documentation"] = _PATIENT_NOTE
    return found


@functools.cache
def _referring(name: str) -> tuple[str, ...]:
    """`Type:parameter` of the references that may be to a resource of the type."""
    return tuple(
        f"{source}:{parameter}"
        for source in sorted(definitions().resource_types)
        for parameter, known in sorted(parameters_of(source).items())
        if known.kind == "reference" and name in known.targets
    )


def _operations(resource_type: str) -> list[dict[str, str]]:
    return [{"name": one.name, "definition": one.definition} for one in operations_of(resource_type)]
