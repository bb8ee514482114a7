"""What each RPC declares in its proto, read once at start. A method that declares too little stops the process."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from nhip.options.v1 import options_pb2

CALLER = options_pb2.Access.Caller
ACTION = options_pb2.Audit.Action


class PolicyMissingError(Exception):
    """A method declares no policy, or half of one; the message names it."""


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC with its policy."""

    # `/nhip.records.v1.RecordsService/ReadResource`, `records`, `ReadResource`.
    path: str
    service: str
    name: str
    request_class: type[Message]
    response_class: type[Message]
    is_client_streaming: bool
    is_server_streaming: bool
    caller: int
    scopes: frozenset[str]
    fhir_interactions: str
    type_field: str
    is_purpose_required: bool
    services: frozenset[str]
    audit_action: int
    person_field: str
    registration_field: str
    slo_class: int
    has_request_id: bool
    is_read_only: bool
    # May be sent again without harm, and so is retried by channels: reads, and what is declared idempotent.
    is_idempotent: bool

    @property
    def label(self) -> str:
        """`records.ReadResource`, as logs and the audit log name it."""
        return f"{self.service}.{self.name}"

    @property
    def is_audited(self) -> bool:
        """True if the method touches a person's data."""
        return self.audit_action != ACTION.ACTION_NONE


def methods_of(service: ServiceDescriptor) -> tuple[Method, ...]:
    """The methods of a service. Raises PolicyMissingError."""
    return tuple(_method(descriptor) for descriptor in service.methods)


def _method(descriptor: MethodDescriptor) -> Method:
    options = descriptor.GetOptions()
    policy = options.Extensions[options_pb2.policy]
    access, audit = policy.access, policy.audit
    problems = tuple(_problems(descriptor, policy))
    if problems:
        raise PolicyMissingError(f"{descriptor.full_name}: {'; '.join(problems)}")
    level = options.idempotency_level
    read_only = level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS
    has_request_id = "request_id" in descriptor.input_type.fields_by_name
    return Method(
        path=f"/{descriptor.containing_service.full_name}/{descriptor.name}",
        service=descriptor.containing_service.full_name.split(".")[1],
        name=descriptor.name,
        request_class=GetMessageClass(descriptor.input_type),
        response_class=GetMessageClass(descriptor.output_type),
        is_client_streaming=bool(descriptor.client_streaming),
        is_server_streaming=bool(descriptor.server_streaming),
        caller=access.caller,
        scopes=frozenset(access.scopes),
        fhir_interactions=access.fhir_interactions,
        type_field=access.type_field,
        is_purpose_required=access.purpose_required,
        services=frozenset(access.services),
        audit_action=audit.action,
        person_field=audit.person_field,
        registration_field=audit.registration_field,
        slo_class=policy.slo_class,
        has_request_id=has_request_id,
        is_read_only=read_only,
        is_idempotent=read_only or level == descriptor_pb2.MethodOptions.IDEMPOTENT,
    )


def _problems(descriptor: MethodDescriptor, policy: options_pb2.MethodPolicy) -> Iterator[str]:
    access, audit = policy.access, policy.audit
    if access.caller == CALLER.CALLER_UNSPECIFIED:
        yield "it does not say who may call it"
    if audit.action == ACTION.ACTION_UNSPECIFIED:
        yield "it does not say how it is audited"
    if policy.slo_class == options_pb2.SLO_CLASS_UNSPECIFIED:
        yield "it has no service level"
    if access.fhir_interactions and not access.type_field:
        yield "it grants FHIR interactions and names no field with the resource type"
    for field in (access.type_field, audit.person_field, audit.registration_field):
        if field and not _has_path(descriptor.input_type, field):
            yield f"its request has no field {field}"


def _has_path(message: Descriptor, path: str) -> bool:
    field: FieldDescriptor | None = None
    current: Descriptor | None = message
    for name in path.split("."):
        if current is None or name not in current.fields_by_name:
            return False
        field = current.fields_by_name[name]
        current = field.message_type
    return field is not None


def value_at(message: Message, path: str) -> str:
    """The string at a dotted path; empty for the empty path."""
    if not path:
        return ""
    value: Any = message
    for name in path.split("."):
        value = getattr(value, name)
    return str(value)
