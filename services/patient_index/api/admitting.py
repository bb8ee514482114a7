"""From a message to a registration that may be placed, or to what is wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from nhip.patient_index.v1 import resources_pb2

from libs.access.caller import Caller
from libs.errors import FieldViolation, InvalidArgumentError, PermissionDeniedError
from libs.runtime.interceptors.validation import violations_of
from libs.thai.dates import bangkok_date
from services.patient_index import wire
from services.patient_index.model import Features, Incoming
from services.patient_index.rules.blocking import keys_of
from services.patient_index.rules.registering import (
    features_of,
    normalized,
    registration_id_of,
    violations,
)
from services.patient_index.store.reading import Content

# What a question about demographics may leave out.
_NOT_ASKED = frozenset({"organization_id", "local_number", "registration_id"})


@dataclass(frozen=True, slots=True)
class Sent:
    """A registration of a caller's own organisation as its bytes, before anything of it is checked."""

    registration_id: str
    content: bytes
    # None where the source does not say.
    written_at: datetime | None

    def is_held(self, held: Content) -> bool:
        """True if the index holds just this, and was not written to later than it knows."""
        return self.content == held.content and (self.written_at is None or self.written_at <= held.written_at)


def sent_of(message: resources_pb2.Registration, caller: Caller) -> Sent | None:
    """The registration that a message is of; None where a refusal is sure. What is held already was checked when it came."""
    if not caller.organization_id or caller.organization_id != message.organization_id:
        return None
    registration_id = registration_id_of(message.organization_id, message.local_number)
    if message.registration_id not in ("", registration_id):
        return None
    try:
        written_at = wire.written_at(message)
    except ValueError:
        return None
    identifiers = [normalized(wire.identifier_of(one)) for one in message.identifiers]
    return Sent(registration_id, wire.content_of(message, identifiers), written_at)


def admit(message: resources_pb2.Registration, caller: Caller, moment: datetime, path: str = "") -> Incoming:
    """A registration that the caller may register and that is sound. `path` leads to it in the request.

    The contract's own rules were checked before. Raises PermissionDeniedError, reason ORGANIZATION_FOREIGN;
    InvalidArgumentError with every violation, and the reason of the first.
    """
    if not caller.organization_id or caller.organization_id != message.organization_id:
        violation = FieldViolation(f"{path}organization_id", "ORGANIZATION_FOREIGN", "not the caller's organisation")
        raise PermissionDeniedError(
            "ORGANIZATION_FOREIGN", "the caller may not register for this organisation", fields=[violation]
        )
    filed = wire.filed_of(message, normalized)
    found = violations(filed, bangkok_date(moment))
    written = None
    try:
        written = wire.written_at(message)
    except ValueError:
        description = "the moment lies outside the calendar"
        found.append(FieldViolation("source_updated_at", "TIMESTAMP_INVALID", description))
    if found:
        raise _invalid(found, path, found[0].reason)
    features = features_of(filed)
    return Incoming(
        registration_id_of(filed.organization_id, filed.local_number),
        filed.organization_id,
        filed.local_number,
        wire.content_of(message, filed.identifiers),
        features,
        keys_of(features, filed.organization_id, filed.local_number),
        min(written, moment) if written else moment,
        is_dated=written is not None,
    )


def admit_item(message: resources_pb2.Registration, caller: Caller, moment: datetime) -> Incoming:
    """An item of a batch, whose contract nobody has checked yet: one bad item does not refuse the batch.

    Raises as `admit`; reason FIELD_INVALID where the contract itself is broken.
    """
    broken = violations_of(message)
    if broken:
        raise _invalid(broken, "", "FIELD_INVALID")
    return admit(message, caller, moment)


def asked_features(message: resources_pb2.Registration, moment: datetime, path: str) -> Features:
    """What is compared of demographics that somebody asks about. Raises InvalidArgumentError."""
    broken = [one for one in violations_of(message) if one.field not in _NOT_ASKED]
    if broken:
        raise _invalid(broken, path, "FIELD_INVALID")
    filed = wire.filed_of(message, normalized)
    found = [one for one in violations(filed, bangkok_date(moment)) if one.field not in _NOT_ASKED]
    if found:
        raise _invalid(found, path, found[0].reason)
    return features_of(filed)


def _invalid(found: Sequence[FieldViolation], path: str, reason: str) -> InvalidArgumentError:
    fields = [FieldViolation(f"{path}{one.field}", one.reason, one.description) for one in found]
    return InvalidArgumentError(reason, f"{fields[0].field}: {fields[0].description}", fields=fields)
