"""Who may see which rows: the one place where it is decided, as a condition within every statement that reads.

A row is visible if
- it is about no person and of a type that directories and definitions have, which everybody looks things up in, or
- the caller's organisation filed it, or
- the caller is a citizen, and the row's registration is one of the person who has a registration with the citizen's key, or
- the purpose is treatment, and the person lets the caller's organisation see it: what is general unless it is refused, what
  is sensitive only if that is permitted and nothing is refused, or
- the purpose is an emergency: break-glass overrides consent, and is announced by the audit log.
Any other purpose sees what the caller's own organisation filed. A registration whose person is not known here yet is seen
by the organisation alone that filed under it.

Of several decisions of a person that hold at the time, one about the organisation wins over one about all, and a refusal
over a permission.

The parameters that a condition names are given by `parameters`.
"""

from datetime import datetime
from enum import Enum
from typing import Any

from libs.access.caller import EMERGENCY, TREATMENT, Caller
from services.records.model import Category, Consent

# An Observation without a subject, a List, a Group, a Binary may tell of people without naming them: those are seen by the
# organisation alone that filed them. These tell of none.
OPEN_TYPES = (
    *("ActivityDefinition", "CapabilityStatement", "ChargeItemDefinition", "CodeSystem", "CompartmentDefinition"),
    *("ConceptMap", "DeviceDefinition", "Endpoint", "EventDefinition", "ExampleScenario", "GraphDefinition"),
    *("HealthcareService", "ImplementationGuide", "InsurancePlan", "Library", "Location", "Measure", "Medication"),
    *("MedicationKnowledge", "MessageDefinition", "NamingSystem", "ObservationDefinition", "OperationDefinition"),
    *("Organization", "OrganizationAffiliation", "PlanDefinition", "Practitioner", "PractitionerRole", "Questionnaire"),
    *("Schedule", "SearchParameter", "Slot", "SpecimenDefinition", "StructureDefinition", "StructureMap", "Substance"),
    *("TerminologyCapabilities", "TestScript", "ValueSet"),
)
_OPEN = ", ".join(f"'{name}'" for name in OPEN_TYPES)


class View(Enum):
    """The sorts of callers, each with a condition of its own, so that statements are compiled once for each."""

    OWN = "own"
    CITIZEN = "citizen"
    TREATMENT = "treatment"
    EMERGENCY = "emergency"


def view_of(caller: Caller) -> View:
    """What sort of view a caller has."""
    if caller.is_citizen:
        return View.CITIZEN if caller.citizen_key else View.OWN
    if not caller.organization_id:
        return View.OWN
    if caller.purpose == TREATMENT:
        return View.TREATMENT
    return View.EMERGENCY if caller.purpose == EMERGENCY else View.OWN


def eyes_of(caller: Caller) -> tuple[str, str]:
    """The same for callers who see the same at the same time: their view, and whose it is."""
    return view_of(caller).value, caller.citizen_key if caller.is_citizen else caller.organization_id


def parameters(caller: Caller, seen_at: datetime) -> dict[str, Any]:
    """The values of the parameters that the condition of the caller's view names."""
    view = view_of(caller)
    # Nobody filed for the empty organisation: a citizen sees by their key alone.
    values: dict[str, Any] = {"caller_organization": "" if caller.is_citizen else caller.organization_id}
    if view is View.CITIZEN:
        values["caller_citizen_key"] = caller.citizen_key
    if view is View.TREATMENT:
        values["seen_at"] = seen_at
    return values


def effective(category: Category, person: str) -> str:
    """SQL: the decision that holds for the caller's organisation, or NULL. `person` is the column with the person's id."""
    return f"""(
        SELECT decided.decision FROM person_consents AS decided
        WHERE decided.person_id = {person} AND decided.category = {category.value}
          AND decided.organization_id IN ('', CAST(:caller_organization AS text))
          AND decided.expires_at > CAST(:seen_at AS timestamptz)
        ORDER BY decided.organization_id DESC, decided.decision DESC
        LIMIT 1
    )"""


def visible(row: str, view: View) -> str:
    """SQL: true if the caller may see the row with this alias.

    Its table has the columns `type`, `is_personal`, `organization_id`, `sensitivity` and `filed_under`.
    """
    is_open = f"(NOT {row}.is_personal AND {row}.type IN ({_OPEN}))"
    own = f"{is_open} OR {row}.organization_id = CAST(:caller_organization AS text)"
    return f"({own}{_of_the_person(row, view)})"


def _of_the_person(row: str, view: View) -> str:
    placed = f"SELECT 1 FROM registrations AS placed WHERE placed.registration_id = {row}.filed_under"
    if view is View.CITIZEN:
        return f""" OR EXISTS (
            SELECT 1 FROM registrations AS placed
            JOIN registrations AS mine ON mine.person_id = placed.person_id
            WHERE placed.registration_id = {row}.filed_under
              AND mine.citizen_key = CAST(:caller_citizen_key AS text) AND mine.citizen_key <> ''
        )"""
    if view is View.EMERGENCY:
        return f" OR EXISTS ({placed})"
    if view is View.TREATMENT:
        return f""" OR EXISTS ({placed}
            AND {effective(Category.GENERAL, "placed.person_id")} IS DISTINCT FROM {Consent.DENY.value}
            AND ({row}.sensitivity = 0
                 OR {effective(Category.SENSITIVE, "placed.person_id")} IS NOT DISTINCT FROM {Consent.PERMIT.value})
        )"""
    return ""
