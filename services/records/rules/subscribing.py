"""What a Subscription asks for, by the Subscriptions R5 Backport: http://hl7.org/fhir/uv/subscriptions-backport/STU1.1/.

Secrets of the channel's headers are taken out of the resource, where others may read it, and kept beside it.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from libs.access.caller import EMERGENCY, Caller, CallerKind, Scopes
from libs.errors import NhipError, PermissionDeniedError
from libs.fhir.issues import NOT_SUPPORTED, REQUIRED, VALUE, Issue
from libs.fhir.subscription_topics import TOPICS
from services.records.model import Json, Wanted
from services.records.rules import errors
from services.records.rules.queries import Condition, parse_query

REST_HOOK, WEBSOCKET = "rest-hook", "websocket"
EMPTY, ID_ONLY, FULL = "empty", "id-only", "full-resource"
REQUESTED, ACTIVE, ERROR, OFF = "requested", "active", "error", "off"
# Stands in the resource where the value of a header was.
HIDDEN = "***"
CONTENT_TYPES = {"": "application/fhir+json", "application/json": "application/fhir+json"}
DEFAULT_TIMEOUT, MAX_TIMEOUT = 15, 60
DEFAULT_COUNT, MAX_COUNT = 20, 100
MIN_HEARTBEAT = 10
MAX_HEADERS, MAX_HEADER = 20, 4096

_EXTENSION = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"
_HEADER = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}):[ \t]*([\x20-\x7e]*)")
# What the connection itself decides.
_OWN_HEADERS = frozenset(
    {"connection", "content-length", "content-type", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)
# What says how an answer looks, and not what is in it.
_OF_THE_ANSWER = frozenset(
    {
        *("_contained", "_containedType", "_count", "_elements", "_explain", "_include", "_revinclude", "_score"),
        *("_sort", "_summary", "_total"),
    }
)


def is_topical(body: Json) -> bool:
    """True for a Subscription that is to be acted upon; others are kept only while they are off."""
    return body.get("status") != OFF or body.get("criteria") in TOPICS


def understood(body: Json, caller: Caller, place: str) -> Wanted:
    """What a valid Subscription asks for.

    Raises InvalidArgumentError, reason RESOURCE_INVALID, with the expression; PermissionDeniedError, reasons
    SCOPE_MISSING, PURPOSE_REFUSED.
    """
    reading = _Reading(body, place)
    topic = reading.topic()
    resource_type = TOPICS[topic].resource_type
    if caller.purpose == EMERGENCY:
        raise PermissionDeniedError("PURPOSE_REFUSED", "an emergency is about one person now: nothing is subscribed to")
    if not caller.scopes.allow_fhir(resource_type, "r"):
        raise PermissionDeniedError("SCOPE_MISSING", f"the token does not grant {resource_type}.r")
    channel = reading.channel_kind()
    return Wanted(
        topic,
        resource_type,
        reading.filters(resource_type),
        channel,
        reading.endpoint(channel),
        reading.headers(),
        reading.content(),
        reading.content_type(),
        reading.heartbeat(),
        reading.number("timeout", "channel", reading.of_channel, DEFAULT_TIMEOUT, 1, MAX_TIMEOUT),
        reading.number("max-count", "channel", reading.of_channel, DEFAULT_COUNT, 1, MAX_COUNT),
        datetime.fromisoformat(body["end"]) if "end" in body else None,
    )


def hide_headers(body: Json) -> None:
    """Takes the values of the channel's headers out of a Subscription."""
    channel = body["channel"]
    headers = channel.get("header")
    if headers is not None:
        channel["header"] = [f"{str(one).partition(':')[0]}: {HIDDEN}" for one in headers]


def conditions_of(filters: Sequence[str]) -> list[list[Condition]]:
    """What the filters ask: one of the lists, all of its conditions."""
    found = []
    for one in filters:
        resource_type, _, query = one.partition("?")
        found.append(list(parse_query(resource_type, tuple(parse_qsl(query, keep_blank_values=True))).conditions))
    return found


def eyes_of(caller: Caller) -> list[Any]:
    """Who subscribed, as JSON."""
    return [
        *(caller.kind.value, caller.subject, caller.organization_id, str(caller.scopes), int(caller.purpose)),
        caller.citizen_key,
    ]


def caller_of(eyes: Sequence[Any], actor: str = "") -> Caller:
    """Who subscribed; `actor` carries the notification."""
    kind, subject, organization_id, scopes, purpose, citizen_key = eyes
    return Caller(CallerKind(kind), subject, organization_id, Scopes.parse(scopes), purpose, citizen_key, actor=actor)


class _Reading:
    """The parts of a Subscription, each refused where it stands."""

    def __init__(self, body: Json, place: str) -> None:
        self.body = body
        self._place = place
        self.of_channel: Json = body["channel"]

    def topic(self) -> str:
        criteria = str(self.body["criteria"])
        if criteria not in TOPICS:
            text = "the canonical URL of a topic that the CapabilityStatement lists belongs here"
            raise self._error("criteria", VALUE, text)
        for extension in self._extensions(self.body.get("_criteria")):
            if extension != f"{_EXTENSION}filter-criteria":
                raise self._error(
                    "criteria.extension", NOT_SUPPORTED, "filter criteria are all that is understood here"
                )
        return criteria

    def filters(self, resource_type: str) -> tuple[str, ...]:
        found = []
        extensions = self._values("filter-criteria", self.body.get("_criteria"))
        for text in extensions:
            expression = "criteria.extension.value"
            named, question, query = str(text).partition("?")
            if named != resource_type or not question:
                raise self._error(expression, VALUE, f"a filter of this topic is written {resource_type}?name=value")
            pairs = parse_qsl(query, keep_blank_values=True)
            for name, _ in pairs:
                if name.partition(":")[0] in _OF_THE_ANSWER:
                    raise self._error(expression, NOT_SUPPORTED, f"{name} says nothing of which resources are meant")
            try:
                parse_query(resource_type, tuple(pairs))
            except NhipError as error:
                raise self._error(expression, VALUE, error.message) from None
            found.append(str(text))
        return tuple(found)

    def channel_kind(self) -> str:
        kind = str(self.of_channel["type"])
        if kind not in {REST_HOOK, WEBSOCKET}:
            raise self._error("channel.type", NOT_SUPPORTED, "rest-hook and websocket are the channels here")
        return kind

    def endpoint(self, channel: str) -> str:
        endpoint = str(self.of_channel.get("endpoint", ""))
        if channel == WEBSOCKET:
            return ""
        parts = urlsplit(endpoint)
        if not endpoint:
            raise self._error("channel.endpoint", REQUIRED, "a rest-hook has an endpoint")
        if parts.scheme not in {"https", "http"} or not parts.hostname or parts.username or parts.password:
            raise self._error("channel.endpoint", VALUE, "an absolute https address without a login belongs here")
        return endpoint

    def headers(self) -> dict[str, str]:
        found = {}
        given = self.of_channel.get("header", [])
        if len(given) > MAX_HEADERS:
            raise self._error("channel.header", VALUE, f"at most {MAX_HEADERS} headers are sent")
        for index, text in enumerate(given):
            matched = _HEADER.fullmatch(str(text))
            # The value is a secret: no error repeats it.
            if matched is None or len(text) > MAX_HEADER or matched[1].lower() in _OWN_HEADERS:
                raise self._error(f"channel.header[{index}]", VALUE, "a header of the sender's is written Name: value")
            found[matched[1]] = matched[2].strip()
        return found

    def content(self) -> str:
        value = next(self._values("payload-content", self.of_channel.get("_payload")), EMPTY)
        if value not in {EMPTY, ID_ONLY, FULL}:
            raise self._error("channel.payload.extension.value", VALUE, "empty, id-only or full-resource")
        return str(value)

    def content_type(self) -> str:
        given = str(self.of_channel.get("payload", ""))
        wanted = CONTENT_TYPES.get(given, given)
        if wanted != "application/fhir+json":
            raise self._error("channel.payload", NOT_SUPPORTED, "notifications are application/fhir+json")
        return wanted

    def heartbeat(self) -> int:
        return self.number("heartbeat-period", "channel", self.of_channel, 0, MIN_HEARTBEAT, 86_400)

    def number(self, name: str, where: str, element: Json, default: int, low: int, high: int) -> int:
        value = next(self._values(name, element), default)
        if value == default:
            return default
        if not isinstance(value, int) or not low <= value <= high:
            raise self._error(f"{where}.extension.value", VALUE, f"{name} is a number from {low} to {high}")
        return value

    def _values(self, name: str, element: Any) -> Iterator[Any]:
        for extension in element.get("extension", []) if isinstance(element, dict) else []:
            if extension.get("url") == f"{_EXTENSION}{name}":
                yield from (value for key, value in extension.items() if key.startswith("value"))

    @staticmethod
    def _extensions(element: Any) -> list[str]:
        return [str(one.get("url")) for one in element.get("extension", [])] if isinstance(element, dict) else []

    def _error(self, expression: str, code: str, text: str) -> NhipError:
        return errors.resource_invalid([Issue(f"Subscription.{expression}", code, text)], self._place, "Subscription")
