"""Which operation stands where: the table that requests are answered and capabilities are told by."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.edge.asgi import Reply
from services.edge.fhir.bulk.export import export
from services.edge.fhir.bulk.importing import import_
from services.edge.fhir.ihe.crossreference import cross_reference
from services.edge.fhir.operations.everything import everything
from services.edge.fhir.operations.invocation import Invocation
from services.edge.fhir.operations.labels import meta, meta_add, meta_delete
from services.edge.fhir.operations.lastn import lastn
from services.edge.fhir.operations.match import match
from services.edge.fhir.operations.summary import summary
from services.edge.fhir.operations.terminology.expand import expand
from services.edge.fhir.operations.terminology.lookup import lookup
from services.edge.fhir.operations.terminology.subsumes import subsumes
from services.edge.fhir.operations.terminology.translate import translate
from services.edge.fhir.operations.terminology.validate_code import validate_in_code_system, validate_in_value_set
from services.edge.fhir.operations.validate import validate
from services.edge.fhir.subscriptions.operations import binding_token, events, status

SYSTEM, TYPE, INSTANCE = "system", "type", "instance"
ANY_TYPE = ""
_HL7 = "http://hl7.org/fhir/OperationDefinition/"
_BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/"
_BULK = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of one type, or of every type."""

    # Without the `$`.
    name: str
    # ANY_TYPE for all.
    type: str
    levels: tuple[str, ...]
    verbs: tuple[str, ...]
    # Canonical URL of its OperationDefinition.
    definition: str
    run: Callable[[Invocation], Awaitable[Reply]]


async def _cross_reference(invoked: Invocation) -> Reply:
    return await cross_reference(invoked.upstream, invoked.request, invoked.query)


_READING, _POSTING = ("GET", "POST"), ("POST",)
OPERATIONS = (
    Operation(
        "ihe-pix",
        "Patient",
        (TYPE,),
        _READING,
        "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix",
        _cross_reference,
    ),
    Operation("match", "Patient", (TYPE,), _POSTING, f"{_HL7}Patient-match", match),
    Operation("everything", "Patient", (TYPE, INSTANCE), _READING, f"{_HL7}Patient-everything", everything),
    Operation(
        "summary",
        "Patient",
        (TYPE, INSTANCE),
        _READING,
        "http://hl7.org/fhir/uv/ips/OperationDefinition/summary",
        summary,
    ),
    Operation("lastn", "Observation", (TYPE,), _READING, f"{_HL7}Observation-lastn", lastn),
    Operation("expand", "ValueSet", (TYPE, INSTANCE), _READING, f"{_HL7}ValueSet-expand", expand),
    Operation(
        "validate-code", "ValueSet", (TYPE, INSTANCE), _READING, f"{_HL7}ValueSet-validate-code", validate_in_value_set
    ),
    Operation("lookup", "CodeSystem", (TYPE, INSTANCE), _READING, f"{_HL7}CodeSystem-lookup", lookup),
    Operation("subsumes", "CodeSystem", (TYPE, INSTANCE), _READING, f"{_HL7}CodeSystem-subsumes", subsumes),
    Operation(
        "validate-code",
        "CodeSystem",
        (TYPE, INSTANCE),
        _READING,
        f"{_HL7}CodeSystem-validate-code",
        validate_in_code_system,
    ),
    Operation("translate", "ConceptMap", (TYPE, INSTANCE), _READING, f"{_HL7}ConceptMap-translate", translate),
    Operation("validate", ANY_TYPE, (SYSTEM, TYPE, INSTANCE), _POSTING, f"{_HL7}Resource-validate", validate),
    Operation("meta", ANY_TYPE, (SYSTEM, TYPE, INSTANCE), _READING, f"{_HL7}Resource-meta", meta),
    Operation("meta-add", ANY_TYPE, (INSTANCE,), _POSTING, f"{_HL7}Resource-meta-add", meta_add),
    Operation("meta-delete", ANY_TYPE, (INSTANCE,), _POSTING, f"{_HL7}Resource-meta-delete", meta_delete),
    Operation("export", ANY_TYPE, (SYSTEM,), _READING, f"{_BULK}export", export),
    Operation("export", "Patient", (TYPE,), _READING, f"{_BULK}patient-export", export),
    Operation("export", "Group", (INSTANCE,), _READING, f"{_BULK}group-export", export),
    Operation("status", "Subscription", (TYPE, INSTANCE), _READING, f"{_BACKPORT}backport-subscription-status", status),
    Operation("events", "Subscription", (INSTANCE,), _READING, f"{_BACKPORT}backport-subscription-events", events),
    Operation(
        "get-ws-binding-token",
        "Subscription",
        (TYPE, INSTANCE),
        _READING,
        f"{_BACKPORT}backport-subscription-get-ws-binding-token",
        binding_token,
    ),
    Operation("import", ANY_TYPE, (SYSTEM,), _POSTING, "https://nhip.th/fhir/OperationDefinition/import", import_),
)


def operation_of(name: str, resource_type: str, level: str) -> Operation | None:
    """The operation of this name, on a type (empty for the system) and level; None where there is none."""
    for one in OPERATIONS:
        if one.name == name and level in one.levels and (level == SYSTEM or one.type in {ANY_TYPE, resource_type}):
            return one
    return None


def operations_of(resource_type: str) -> list[Operation]:
    """What a type has; for the empty type, what the system has."""
    if not resource_type:
        return [one for one in OPERATIONS if SYSTEM in one.levels]
    of_the_type = (one for one in OPERATIONS if one.type in {ANY_TYPE, resource_type} and one.levels != (SYSTEM,))
    return sorted(of_the_type, key=lambda one: one.name)
