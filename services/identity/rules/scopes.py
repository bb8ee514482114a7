"""Which scopes a grant allows, and what of them may be asked for.

FHIR scopes follow SMART App Launch 2 (section "Scopes for requesting FHIR Resources"): context/Type.cruds.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from libs.errors import FieldViolation, InvalidArgumentError
from services.identity.model import PractitionerRole

# Every scope of the platform that is not a FHIR scope; each stands in the policy of at least one RPC.
PLATFORM_SCOPES = frozenset(
    {
        "audit.read",
        "claims.pay",
        "claims.read",
        "claims.write",
        "consent.read",
        "consent.write",
        "coverage.read",
        "coverage.write",
        "identity.admin",
        "imports.write",
        "matching.models",
        "person.self",
        "practitioners.write",
        "records.deliver",
        "records.export",
        "records.import",
        "registrations.link",
        "registrations.read",
        "registrations.write",
        "summary.read",
        "surveillance.read",
        "tariff.write",
        "terminology.write",
    }
)

_TREATING = (
    "claims.read",
    "claims.write",
    "coverage.read",
    "registrations.read",
    "registrations.write",
    "summary.read",
    "user/*.cruds",
)


def _fhir(interactions: str, *resource_types: str) -> tuple[str, ...]:
    return tuple(f"user/{resource_type}.{interactions}" for resource_type in resource_types)


# Each role writes what its licence lets it answer for, and reads what that takes.
ROLE_SCOPES: Mapping[PractitionerRole, tuple[str, ...]] = {
    PractitionerRole.DOCTOR: _TREATING,
    PractitionerRole.DENTIST: _TREATING,
    PractitionerRole.NURSE: (
        "coverage.read",
        "registrations.read",
        "registrations.write",
        "summary.read",
        "user/*.rs",
        *_fhir("crus", "AllergyIntolerance", "Appointment", "Encounter", "Immunization"),
        *_fhir("crus", "MedicationAdministration", "Observation", "Patient"),
    ),
    PractitionerRole.PHARMACIST: (
        "coverage.read",
        "registrations.read",
        "summary.read",
        "user/*.rs",
        *_fhir("crus", "AllergyIntolerance", "MedicationDispense", "MedicationStatement"),
    ),
    PractitionerRole.MEDICAL_TECHNOLOGIST: (
        "registrations.read",
        *_fhir("rs", "Encounter", "Patient"),
        *_fhir("rus", "ServiceRequest"),
        *_fhir("crus", "DiagnosticReport", "Observation", "Specimen"),
    ),
    PractitionerRole.PUBLIC_HEALTH_OFFICER: (
        "registrations.read",
        "surveillance.read",
        *_fhir("rs", "Condition", "Encounter", "Patient"),
        *_fhir("crus", "Immunization"),
    ),
}

# A citizen reads what is held about them, and decides.
CITIZEN_SCOPES = ("consent.read", "consent.write", "patient/*.rs", "person.self")

# The first administrator sets the platform up and settles what people ask about; it reads no clinical record.
BOOTSTRAP_SCOPES = (
    "audit.read",
    "claims.pay",
    "claims.read",
    "coverage.read",
    "coverage.write",
    "identity.admin",
    "practitioners.write",
    "registrations.link",
    "registrations.read",
    "surveillance.read",
    "tariff.write",
    "terminology.write",
)
# What imports do in the name of the organisation that sent the file; exports read by a plan that says whose eyes it is for.
EXCHANGE_SCOPES = (
    "claims.write",
    "coverage.write",
    "imports.write",
    "records.deliver",
    "records.export",
    "records.import",
    "registrations.read",
    "registrations.write",
    "system/*.cruds",
)

# A wider context covers a narrower one: a program a person who treats, and that one a person about themself.
_CONTEXTS = {"patient": 0, "user": 1, "system": 2}
_FHIR_SCOPE = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]{1,63})\.(c?r?u?d?s?)")


@dataclass(frozen=True, slots=True)
class FhirScope:
    """One SMART scope: interactions on a resource type (or all, `*`) in a context."""

    context: str
    resource_type: str
    interactions: str


def parse_fhir(name: str) -> FhirScope | None:
    """The SMART scope of that name; None for anything that is none, such as a SMART 1 scope or one with a query."""
    match = _FHIR_SCOPE.fullmatch(name)
    return FhirScope(*match.groups()) if match and match[3] else None


def covers(allowed: Iterable[str], wanted: str) -> bool:
    """True if what is allowed, taken together, grants all that `wanted` does."""
    allowed = frozenset(allowed)
    if wanted in allowed:
        return True
    fhir = parse_fhir(wanted)
    if fhir is None:
        return False
    letters: defaultdict[str, set[str]] = defaultdict(set)
    for scope in filter(None, map(parse_fhir, allowed)):
        if _CONTEXTS[scope.context] >= _CONTEXTS[fhir.context]:
            letters[scope.resource_type].update(scope.interactions)
    return letters["*"] | letters[fhir.resource_type] >= set(fhir.interactions)


def granted(allowed: Iterable[str], requested: str) -> tuple[str, ...]:
    """What of the allowed scopes a token carries: those requested, or all of them when none is.

    `requested` is separated by spaces. The answer is sorted, each once.
    Raises InvalidArgumentError, reason SCOPE_EXCEEDED.
    """
    allowed = frozenset(allowed)
    wanted = frozenset(requested.split())
    for name in sorted(wanted):
        if not covers(allowed, name):
            message = "a scope was asked for that the grant does not allow"
            raise InvalidArgumentError(
                "SCOPE_EXCEEDED", message, fields=[FieldViolation("scope", "SCOPE_EXCEEDED", message)]
            )
    return tuple(sorted(wanted or allowed))


def require_known(names: Iterable[str]) -> tuple[str, ...]:
    """The scopes sorted, each once. Raises InvalidArgumentError, reason SCOPE_UNKNOWN, for one that grants nothing."""
    names = tuple(names)
    violations = [
        FieldViolation(
            f"client.scopes[{place}]", "SCOPE_UNKNOWN", "neither a scope of the platform nor a SMART v2 scope"
        )
        for place, name in enumerate(names)
        if name not in PLATFORM_SCOPES and parse_fhir(name) is None
    ]
    if violations:
        raise InvalidArgumentError("SCOPE_UNKNOWN", "a scope is not known", fields=violations)
    return tuple(sorted(set(names)))
