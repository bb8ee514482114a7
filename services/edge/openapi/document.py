"""The OpenAPI document: /v1 from the descriptors, FHIR and OAuth as the edge serves them."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor

from libs.runtime.policy import CALLER
from services.edge.decoding import TIMESTAMP
from services.edge.openapi.fhir import FHIR_TAG, fhir_paths
from services.edge.openapi.schemas import Schema, Schemas, comments
from services.edge.problems import TYPE_ROOT
from services.edge.routes import Route
from services.edge.transcode import is_document

VERSION = "1"
_TAGS = {
    "identity": "Organisations, practitioners, clients, accounts, tokens, keys, consent",
    "patient_index": "Registrations and the person behind them",
    "records": "What is known of a person at a glance",
    "claims": "The Financial Data Hub: coverage, tariffs, claims, ledger",
    "surveillance": "Cases, line lists, weekly series, alerts",
    "exchange": "Imports of files",
    "audit": "Who looked, who wrote, provably",
    FHIR_TAG: "FHIR R4; see /fhir/R4/metadata for every type and search parameter",
    "oauth2": "Tokens and keys",
}
_POSITION = {
    "name": "NHIP-Position",
    "in": "header",
    "description": "Positions from earlier answers; this answer is at least as fresh.",
    "schema": {"type": "string"},
}
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Makes a retry harmless: the same key with the same request is carried out once.",
    "schema": {"type": "string", "maxLength": 64},
}
_PROBLEM: Schema = {
    "type": "object",
    "description": "RFC 9457 problem details.",
    "required": ["type", "title", "status", "detail", "instance", "reason"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": f"{TYPE_ROOT} and the reason."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "urn:nhip:trace: and the trace that the request belongs to."},
        "reason": {"type": "string", "description": "Stable, UPPER_SNAKE_CASE; clients decide by it."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "field": {"type": "string"},
                    "reason": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
_TOKEN_FIELDS = {
    "grant_type": "client_credentials, urn:ietf:params:oauth:grant-type:token-exchange, or a development login",
    "client_id": "or by HTTP Basic",
    "client_secret": "or by HTTP Basic",
    "scope": "space-separated; empty means all that the grant allows",
    "purpose": "TREATMENT, EMERGENCY, PAYMENT, PUBLIC_HEALTH, OPERATIONS, RESEARCH or PATIENT_REQUEST",
    "reason": "why the glass is broken; required for EMERGENCY",
    "licence": "development login of a practitioner",
    "organization_id": "development login: the practitioner's organisation; token exchange: for whom",
    "citizen_id": "development login of a citizen",
}


def openapi_document(routes: Sequence[Route]) -> bytes:
    """The document as JSON."""
    schemas = Schemas()
    schemas.found["Problem"] = _PROBLEM
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.verb.lower()] = _operation(route, schemas)
    paths.update(_oauth_paths())
    paths.update(fhir_paths())
    document = {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
        "info": {
            "title": "National Health Information Platform",
            "version": VERSION,
            "description": "One citizen, one card, treated anywhere. REST under /v1, FHIR R4 under /fhir/R4.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas.found,
            "responses": {
                "Problem": {
                    "description": "Any refusal or failure",
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                },
                "OperationOutcome": {
                    "description": "Any refusal or failure",
                    "content": {"application/fhir+json": {"schema": {"type": "object"}}},
                },
            },
            "securitySchemes": {
                "oauth2": {
                    "type": "oauth2",
                    "flows": {"clientCredentials": {"tokenUrl": "/oauth2/token", "scopes": _scope_words(routes)}},
                }
            },
        },
        "security": [{"oauth2": []}],
    }
    return orjson.dumps(document)


def scopes_of(routes: Sequence[Route]) -> list[str]:
    """Every platform scope that a route asks for, and the shapes of SMART scopes."""
    platform = sorted({scope for route in routes for scope in route.method.scopes})
    return ["patient/*.cruds", "user/*.cruds", "system/*.cruds", *platform]


def _scope_words(routes: Sequence[Route]) -> dict[str, str]:
    words = dict.fromkeys(scopes_of(routes), "FHIR interactions (SMART v2)")
    for scope in sorted({scope for route in routes for scope in route.method.scopes}):
        callers = sorted({route.method.label for route in routes if scope in route.method.scopes})
        words[scope] = ", ".join(callers)
    return words


def _operation(route: Route, schemas: Schemas) -> dict[str, Any]:
    method = route.method
    description = comments().get(route.descriptor.full_name, "")
    operation: dict[str, Any] = {
        "operationId": method.label,
        "tags": [method.service],
        "summary": description.partition(". ")[0].rstrip(".") or method.name,
        "parameters": list(_parameters(route, schemas)),
        "responses": {
            "200": {
                "description": "Done",
                "headers": {"NHIP-Position": {"schema": {"type": "string"}}},
                "content": _content(route, schemas),
            },
            "default": {"$ref": "#/components/responses/Problem"},
        },
        "security": _security(route),
    }
    if method.is_purpose_required:
        description += " The token states a purpose of use."
    if description:
        operation["description"] = description.strip()
    if body := _body(route, schemas):
        operation["requestBody"] = body
    return operation


def _content(route: Route, schemas: Schemas) -> dict[str, Any]:
    """JSON, or a picture where the answer is one."""
    if is_document(route.descriptor.output_type):
        return {"image/svg+xml": {"schema": {"type": "string"}}}
    return {"application/json": {"schema": schemas.reference(route.descriptor.output_type)}}


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.method.caller == CALLER.CALLER_ANYONE:
        return [{}]
    # One of the scopes is enough.
    return [{"oauth2": [scope]} for scope in sorted(route.method.scopes)] or [{"oauth2": []}]


def _parameters(route: Route, schemas: Schemas) -> Iterator[dict[str, Any]]:
    fields = route.descriptor.input_type.fields_by_name
    for name in route.variables:
        yield _parameter("path", name, schemas.field(fields[name]))
    if route.body != "*":
        taken = {*route.variables, route.body}
        yield from _query("", route.descriptor.input_type, frozenset(taken), schemas)
    yield _POSITION
    if route.method.has_request_id:
        yield _IDEMPOTENCY


def _query(prefix: str, descriptor: Descriptor, taken: frozenset[str], schemas: Schemas) -> Iterator[dict[str, Any]]:
    for field in descriptor.fields:
        if field.name in taken:
            continue
        nested = field.message_type
        if nested is None or nested.full_name == TIMESTAMP:
            yield _parameter("query", prefix + field.json_name, schemas.field(field))
        elif not field.is_repeated:
            yield from _query(f"{prefix}{field.json_name}.", nested, frozenset(), schemas)


def _parameter(place: str, name: str, schema: Schema) -> dict[str, Any]:
    description = schema.pop("description", "")
    parameter: dict[str, Any] = {"name": name, "in": place, "required": place == "path", "schema": schema}
    if description:
        parameter["description"] = description
    return parameter


def _body(route: Route, schemas: Schemas) -> dict[str, Any]:
    request = route.descriptor.input_type
    if not route.body:
        return {}
    if route.method.is_client_streaming:
        content = {"application/octet-stream": {"schema": {"contentMediaType": "application/octet-stream"}}}
        return {"required": True, "description": "The file, streamed.", "content": content}
    if route.body == "*":
        schema = schemas.reference(request, frozenset(route.variables))
    else:
        schema = schemas.field(request.fields_by_name[route.body])
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _oauth_paths() -> dict[str, Any]:
    fields = {name: {"type": "string", "description": text} for name, text in _TOKEN_FIELDS.items()}
    form = {"type": "object", "required": ["grant_type"], "properties": fields}
    answer = {
        "type": "object",
        "required": ["access_token", "token_type", "expires_in"],
        "properties": {
            "access_token": {"type": "string"},
            "token_type": {"type": "string", "const": "Bearer"},
            "expires_in": {"type": "integer", "description": "Seconds."},
            "scope": {"type": "string"},
        },
    }
    error = {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    }
    refused = {"description": "An error of RFC 6749 section 5.2", "content": {"application/json": {"schema": error}}}
    return {
        "/oauth2/token": {
            "post": {
                "operationId": "oauth2.token",
                "tags": ["oauth2"],
                "summary": "Issues a short-lived access token (RFC 6749)",
                "security": [{}],
                "requestBody": {
                    "required": True,
                    "content": {"application/x-www-form-urlencoded": {"schema": form}},
                },
                "responses": {
                    "200": {"description": "A token", "content": {"application/json": {"schema": answer}}},
                    "400": refused,
                    "401": refused,
                },
            }
        },
        "/.well-known/jwks.json": {
            "get": {
                "operationId": "oauth2.keys",
                "tags": ["oauth2"],
                "summary": "The keys that verify tokens (RFC 7517)",
                "security": [{}],
                "responses": {
                    "200": {
                        "description": "A JSON Web Key Set",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    },
                    "default": {"$ref": "#/components/responses/Problem"},
                },
            }
        },
    }
