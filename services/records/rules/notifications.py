"""Notifications: http://hl7.org/fhir/uv/subscriptions-backport/STU1.1/notifications.html, in their form for R4."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from libs.ids import new_id
from services.records.model import Json, Operation
from services.records.rules.filing import instant
from services.records.rules.subscribing import EMPTY, FULL

HANDSHAKE, HEARTBEAT, EVENTS = "handshake", "heartbeat", "event-notification"
QUERY_STATUS, QUERY_EVENT = "query-status", "query-event"
_PROFILES = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
_STATUS_PROFILE = f"{_PROFILES}backport-subscription-status-r4"
_BUNDLE_PROFILE = f"{_PROFILES}backport-subscription-notification-r4"
_METHODS = {Operation.CREATE: ("POST", "201"), Operation.UPDATE: ("PUT", "200"), Operation.DELETE: ("DELETE", "204")}


@dataclass(frozen=True, slots=True)
class Happening:
    """An event as it is told."""

    number: int
    type: str
    id: str
    version: int
    operation: Operation
    occurred_at: datetime
    # What may be seen of it now; None where nothing may any more.
    body: bytes | None
    registration_id: str = ""

    @property
    def key(self) -> str:
        """`Type/id`."""
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class Heading:
    """What every notification says of its subscription."""

    base_url: str
    subscription_id: str
    topic: str
    status: str
    events_since_start: int
    error: str = ""

    def url(self, path: str) -> str:
        """An address here."""
        return f"{self.base_url}/{path}" if self.base_url else path


def status_of(heading: Heading, kind: str, happenings: Sequence[Happening] = (), content: str = EMPTY) -> Json:
    """The Parameters that say how a subscription stands, and what happened."""
    parameters: list[Json] = [
        {
            "name": "subscription",
            "valueReference": {"reference": heading.url(f"Subscription/{heading.subscription_id}")},
        },
        {"name": "topic", "valueCanonical": heading.topic},
        {"name": "status", "valueCode": heading.status},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(heading.events_since_start)},
    ]
    for one in happenings:
        part: list[Json] = [
            {"name": "event-number", "valueString": str(one.number)},
            {"name": "timestamp", "valueInstant": instant(one.occurred_at)},
        ]
        if content != EMPTY and one.body is not None:
            part.append({"name": "focus", "valueReference": {"reference": heading.url(one.key)}})
        parameters.append({"name": "notification-event", "part": part})
    if heading.error:
        parameters.append({"name": "error", "valueCodeableConcept": {"text": heading.error}})
    return {
        "resourceType": "Parameters",
        "id": new_id(),
        "meta": {"profile": [_STATUS_PROFILE]},
        "parameter": parameters,
    }


def notification(
    heading: Heading, kind: str, at: datetime, happenings: Sequence[Happening] = (), content: str = EMPTY
) -> bytes:
    """A Bundle of type history: the status first, then what it is about, as far as the payload has it."""
    status = status_of(heading, kind, happenings, content)
    entries: list[Json] = [
        {
            "fullUrl": f"urn:uuid:{status['id']}",
            "resource": status,
            "request": {"method": "GET", "url": heading.url(f"Subscription/{heading.subscription_id}/$status")},
            "response": {"status": "200"},
        }
    ]
    if content != EMPTY:
        entries += [_entry(heading, one, content) for one in happenings if one.body is not None]
    whole = {
        "resourceType": "Bundle",
        "id": new_id(),
        "meta": {"profile": [_BUNDLE_PROFILE]},
        "type": "history",
        "timestamp": instant(at),
        "entry": entries,
    }
    return orjson.dumps(whole)


def statuses(headings: Sequence[Heading], at: datetime) -> bytes:
    """How subscriptions stand: a Bundle of type searchset."""
    entries: list[Any] = []
    for heading in headings:
        status = status_of(heading, QUERY_STATUS)
        entries.append({"fullUrl": f"urn:uuid:{status['id']}", "resource": status, "search": {"mode": "match"}})
    whole = {
        "resourceType": "Bundle",
        "id": new_id(),
        "type": "searchset",
        "timestamp": instant(at),
        "total": len(entries),
        **({"entry": entries} if entries else {}),
    }
    return orjson.dumps(whole)


def _entry(heading: Heading, one: Happening, content: str) -> Json:
    method, code = _METHODS[one.operation]
    url = one.type if one.operation is Operation.CREATE else one.key
    entry: Json = {"fullUrl": heading.url(one.key)}
    if content == FULL and one.body and one.operation is not Operation.DELETE:
        entry["resource"] = orjson.loads(one.body)
    return {**entry, "request": {"method": method, "url": url}, "response": {"status": code}}
