"""What a Bulk Data export is asked for: http://hl7.org/fhir/uv/bulkdata/STU2/export.html#query-parameters."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from nhip.records.v1 import exports_pb2

from libs.access.caller import EMERGENCY, Caller, CallerKind, Scopes
from libs.errors import FieldViolation, InvalidArgumentError, PermissionDeniedError
from libs.fhir.definitions import definitions, is_resource_type
from libs.fhir.references import parse_local
from services.records.model import Json
from services.records.rules.queries import Condition, parse_query

SYSTEM = exports_pb2.EXPORT_LEVEL_SYSTEM
PATIENT = exports_pb2.EXPORT_LEVEL_PATIENT
GROUP = exports_pb2.EXPORT_LEVEL_GROUP
# What says how an answer looks, and not what is in it.
_OF_THE_ANSWER = frozenset(
    {
        *("_contained", "_containedType", "_count", "_elements", "_explain", "_include", "_revinclude", "_score"),
        *("_sort", "_summary", "_total"),
    }
)

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """An export that is understood, and for whose eyes it is."""

    caller: Caller
    level: int
    types: tuple[str, ...]
    # False for all that the level has.
    are_types_named: bool
    group_id: str = ""
    patient_ids: tuple[str, ...] = ()
    since: datetime | None = None
    # Type → alternatives.
    filters: Mapping[str, tuple[Pairs, ...]] = field(default_factory=dict)
    elements: tuple[str, ...] = ()

    @property
    def has_cohort(self) -> bool:
        """True where the persons are known beforehand, and are walked one after the other."""
        return bool(self.group_id or self.patient_ids or self.caller.is_citizen)

    def conditions(self, resource_type: str) -> list[list[Condition]]:
        """What the filters ask of a type: one of the lists, all of its conditions."""
        return [
            list(parse_query(resource_type, pairs, lenient=True).conditions)
            for pairs in self.filters.get(resource_type, ())
        ]

    def elements_of(self, resource_type: str) -> list[str]:
        """The elements that are wanted of a type; empty for all."""
        return [one for one in self.elements if "." not in one or one.startswith(f"{resource_type}.")]

    def sealed(self) -> Json:
        """As JSON."""
        caller = self.caller
        return {
            "caller": [
                *(caller.kind.value, caller.subject, caller.organization_id, str(caller.scopes), caller.purpose),
                caller.citizen_key,
            ],
            "level": self.level,
            "types": self.types,
            "named": self.are_types_named,
            "group": self.group_id,
            "patients": self.patient_ids,
            "since": self.since.isoformat() if self.since else "",
            "filters": self.filters,
            "elements": self.elements,
        }

    @classmethod
    def opened(cls, sealed: Json) -> "Plan":
        """The plan that was sealed."""
        kind, subject, organization_id, scopes, purpose, citizen_key = sealed["caller"]
        caller = Caller(CallerKind(kind), subject, organization_id, Scopes.parse(scopes), purpose, citizen_key)
        filters = {
            name: tuple(tuple((key, value) for key, value in pairs) for pairs in alternatives)
            for name, alternatives in sealed["filters"].items()
        }
        return cls(
            caller,
            sealed["level"],
            tuple(sealed["types"]),
            sealed["named"],
            sealed["group"],
            tuple(sealed["patients"]),
            datetime.fromisoformat(sealed["since"]) if sealed["since"] else None,
            filters,
            tuple(sealed["elements"]),
        )


def understood(request: exports_pb2.PlanExportRequest, caller: Caller) -> tuple[Plan, list[str]]:
    """The plan, and the search parameters that were not understood.

    Raises InvalidArgumentError, reasons TYPE_UNKNOWN, EXPORT_INVALID, SEARCH_INVALID; PermissionDeniedError, reasons
    SCOPE_MISSING, PURPOSE_REFUSED.
    """
    if caller.purpose == EMERGENCY:
        raise PermissionDeniedError("PURPOSE_REFUSED", "an emergency is about one person: it opens no bulk of records")
    if request.level == GROUP and not request.group_id:
        raise invalid("group", "a Group is named")
    if request.patient_ids and request.level == SYSTEM:
        raise invalid("patient", "patients are named for an export of patients or of a group")
    types, ignored = _types(request.types, caller.scopes, is_lenient=request.lenient)
    if request.level == GROUP and not caller.scopes.allow_fhir("Group", "r"):
        raise PermissionDeniedError("SCOPE_MISSING", "the token does not grant Group.r")
    filters, passed_over = _filters(request.type_filters, types, is_lenient=request.lenient)
    plan = Plan(
        caller,
        request.level,
        types,
        bool(request.types),
        request.group_id if request.level == GROUP else "",
        tuple(sorted(set(request.patient_ids))),
        request.since.ToDatetime(UTC) if request.HasField("since") else None,
        filters,
        tuple(dict.fromkeys(request.elements)),
    )
    return plan, [*ignored, *passed_over]


def _types(named: Sequence[str], scopes: Scopes, *, is_lenient: bool) -> tuple[tuple[str, ...], list[str]]:
    """The types that are exported, and what named none and is passed over."""
    ignored = [f"_type={one}" for one in dict.fromkeys(named) if is_lenient and not is_resource_type(one)]
    known = [one for one in dict.fromkeys(named) if not is_lenient or is_resource_type(one)]
    for one in known:
        if not is_resource_type(one):
            violation = FieldViolation("_type", "TYPE_UNKNOWN", "there is no such resource type in FHIR R4")
            raise InvalidArgumentError("TYPE_UNKNOWN", "_type names no resource type", fields=[violation])
        if not scopes.allow_fhir(one, "r"):
            raise PermissionDeniedError("SCOPE_MISSING", f"the token does not grant {one}.r")
    if named and not known:
        raise invalid("_type", "none of the types is one of FHIR R4")
    found = tuple(known) or tuple(one for one in sorted(definitions().resource_types) if scopes.allow_fhir(one, "r"))
    if not found:
        raise PermissionDeniedError("SCOPE_MISSING", "the token grants reading no type")
    return found, ignored


def _filters(
    texts: Iterable[str], types: Sequence[str], *, is_lenient: bool
) -> tuple[dict[str, tuple[Pairs, ...]], list[str]]:
    found: dict[str, tuple[Pairs, ...]] = {}
    ignored: list[str] = []
    for text in texts:
        resource_type, question, query = text.partition("?")
        if resource_type not in types or not question:
            raise invalid("_typeFilter", "a filter is written Type?name=value, of a type that is exported")
        pairs = tuple(parse_qsl(query, keep_blank_values=True))
        for name, _ in pairs:
            if name.partition(":")[0] in _OF_THE_ANSWER:
                raise invalid("_typeFilter", f"{name} says nothing of what is exported")
        ignored += parse_query(resource_type, pairs, lenient=is_lenient).ignored
        found[resource_type] = (*found.get(resource_type, ()), pairs)
    return found, ignored


def members_of(group: Json) -> tuple[set[str], set[str]]:
    """Ids of the Patients and of the Groups that a Group has as members."""
    patients, groups = set(), set()
    listed = group.get("member", [])
    for member in listed if isinstance(listed, list) else []:
        entity = member.get("entity") if isinstance(member, dict) else None
        local = parse_local(entity["reference"]) if isinstance(entity, dict) and _has_text(entity) else None
        if local is None or member.get("inactive") is True:
            continue
        if local.type == "Patient":
            patients.add(local.id)
        elif local.type == "Group":
            groups.add(local.id)
    return patients, groups


def _has_text(entity: Mapping[str, Any]) -> bool:
    return isinstance(entity.get("reference"), str)


def invalid(parameter: str, description: str) -> InvalidArgumentError:
    """A parameter of an export that does not fit."""
    violation = FieldViolation(parameter, "EXPORT_INVALID", description)
    return InvalidArgumentError("EXPORT_INVALID", f"{parameter}: {description}", fields=[violation])
