"""The edge: REST and FHIR in, gRPC out, and back.

Owns nothing: no database, no cache of anybody's data, no decision about access. It promises that every RPC which
declares a route answers under /v1, that /fhir/R4 speaks FHIR R4, that /oauth2/token speaks RFC 6749, and that every
error arrives as problem+json or OperationOutcome with its reason and the trace it belongs to. It carries the caller's
token, trace and position on to the services, which verify and decide; of the token it reads one claim itself, the
organisation under which a Patient is registered, and leaves its proof to the patient index.
It never logs a path, a query or a body; never retries what may not be repeated; never answers with a stack trace;
never parses a FHIR body that it only passes on, beyond seeing that it is sound JSON.
"""
