"""The topics that can be subscribed to: for each of these types, that a resource of it was created, changed or deleted.

What of a type is meant, a subscription says by its filter: any search parameters of the type.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_BASE = "https://nhip.th/fhir/SubscriptionTopic/"
_TYPES = (
    *(
        "AllergyIntolerance",
        "Appointment",
        "CarePlan",
        "CareTeam",
        "Communication",
        "CommunicationRequest",
        "Composition",
    ),
    *("Condition", "Consent", "DetectedIssue", "Device", "DeviceRequest", "DiagnosticReport", "DocumentReference"),
    *("Encounter", "EpisodeOfCare", "FamilyMemberHistory", "Flag", "Goal", "ImagingStudy", "Immunization", "Location"),
    *("Media", "Medication", "MedicationAdministration", "MedicationDispense", "MedicationRequest"),
    *("MedicationStatement", "NutritionOrder", "Observation", "Organization", "Patient", "Practitioner"),
    *("PractitionerRole", "Procedure", "QuestionnaireResponse", "RelatedPerson", "RiskAssessment", "Schedule"),
    *("ServiceRequest", "Slot", "Specimen", "Task"),
)
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic."""

    # Its canonical URL.
    url: str
    resource_type: str


def _topic(resource_type: str) -> Topic:
    return Topic(f"{_BASE}{_WORD.sub('-', resource_type).lower()}-changed", resource_type)


TOPICS: Mapping[str, Topic] = {topic.url: topic for topic in map(_topic, _TYPES)}
