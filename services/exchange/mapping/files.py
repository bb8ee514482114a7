"""Which of the 52 files become what, in which order, and what is said of the rest."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from libs.f43.archive import IMPORT_ORDER
from libs.f43.schema import FILES
from services.exchange.mapping import care, diagnosis, drug, sign, visit
from services.exchange.mapping.pieces import About, Draft, Row, key_columns, resource_id, stay_id, visit_id
from services.exchange.mapping.sign import Sign, sign_id


class Visits(Enum):
    """The numbers by which the files know a visit."""

    SEQ = "SEQ"
    AN = "AN"


@dataclass(frozen=True)
class ResourceFile:
    """A file whose rows become FHIR resources of a person whom the platform knows."""

    name: str
    drafts: Callable[[Row, About], list[Draft]]
    resource_type: str
    # The visit that a row belongs to, where it has one; `is_visit_required` refuses a row without a known one.
    visit: Visits | None = None
    is_visit_required: bool = False
    # True for the files that tell of the visits themselves.
    makes_visit: bool = False
    signs: tuple[Sign, ...] = ()

    @property
    def columns(self) -> Mapping[str, int]:
        """Where each column stands in a row."""
        return FILES[self.name].index


_VISIT, _STAY = Visits.SEQ, Visits.AN
_RESOURCE_FILES = (
    ResourceFile("SERVICE", visit.visit, "Encounter", _VISIT, makes_visit=True, signs=visit.VISIT_SIGNS),
    ResourceFile("ADMISSION", visit.stay, "Encounter", _STAY, makes_visit=True),
    ResourceFile("DIAGNOSIS_OPD", diagnosis.visit_diagnosis, "Condition", _VISIT, is_visit_required=True),
    ResourceFile("DIAGNOSIS_IPD", diagnosis.stay_diagnosis, "Condition", _STAY, is_visit_required=True),
    ResourceFile("CHRONIC", diagnosis.chronic, "Condition"),
    ResourceFile("SURVEILLANCE", diagnosis.surveillance, "Condition", _VISIT),
    ResourceFile("DRUG_OPD", drug.visit_drug, "MedicationRequest", _VISIT, is_visit_required=True),
    ResourceFile("DRUG_IPD", drug.stay_drug, "MedicationRequest", _STAY, is_visit_required=True),
    ResourceFile("DRUGALLERGY", drug.allergy, "AllergyIntolerance"),
    ResourceFile("PROCEDURE_OPD", care.visit_procedure, "Procedure", _VISIT, is_visit_required=True),
    ResourceFile("PROCEDURE_IPD", care.stay_procedure, "Procedure", _STAY, is_visit_required=True),
    # Results and vaccinations of other places are reported too, under numbers of visits that are not of this facility.
    ResourceFile("LABFU", care.laboratory, "Observation", _VISIT),
    ResourceFile("EPI", care.vaccination, "Immunization", _VISIT),
    ResourceFile("CHRONICFU", sign.follow_up, "Observation", _VISIT, signs=sign.FOLLOW_UP_SIGNS),
    ResourceFile("NCDSCREEN", sign.screening, "Observation", _VISIT, signs=sign.SCREENING_SIGNS),
    ResourceFile("NUTRITION", sign.nutrition, "Observation", _VISIT, signs=sign.NUTRITION_SIGNS),
    ResourceFile("APPOINTMENT", care.appointment, "Appointment"),
    ResourceFile("REFER_HISTORY", care.referral, "ServiceRequest", _VISIT),
)
RESOURCE_FILES: Mapping[str, ResourceFile] = {file.name: file for file in _RESOURCE_FILES}

# Files that make the person: their rows are joined before anybody is registered.
PERSON_FILES = ("HOME", "PERSON", "ADDRESS", "DEATH", "CARD")
CORRECTIONS = "DATA_CORRECT"
TAKEN = frozenset({*PERSON_FILES, *RESOURCE_FILES, CORRECTIONS})

_NO_FACTS = "the platform keeps no facts of this file yet"
_NOTES = {
    "PROVIDER": "practitioners are registered by their organisation, not by files",
    "CHARGE_OPD": "charges are claimed by the 16 files",
    "CHARGE_IPD": "charges are claimed by the 16 files",
}


def note_of(file: str) -> str:
    """Why the rows of a file are passed over; empty for a file that is taken."""
    return "" if file in TAKEN else _NOTES.get(file, _NO_FACTS)


def in_order(files: frozenset[str]) -> tuple[str, ...]:
    """The files that are taken, in the order in which their links resolve: people, visits, the rest, corrections."""
    rest = (name for name in IMPORT_ORDER if name in RESOURCE_FILES)
    return tuple(name for name in (*PERSON_FILES, *rest, CORRECTIONS) if name in files)


def removals(file: str, organization_id: str, keys: Mapping[str, str], updated_at: int) -> list[Draft] | None:
    """What is removed with a row of a file, by the row's key; None for a file whose rows cannot be removed.

    Raises KeyError, naming the column, where the key is not complete.
    """
    rule = RESOURCE_FILES.get(file)
    if rule is None:
        return None
    if file == "SERVICE":
        seq = keys["SEQ"]
        removed = [("Encounter", visit_id(organization_id, seq))]
        removed += [("Observation", sign_id(organization_id, (file, seq), kind)) for kind in rule.signs]
    elif file == "ADMISSION":
        removed = [("Encounter", stay_id(organization_id, keys["AN"]))]
    elif rule.signs:
        key = (file, *(keys[column] for column in key_columns(file)))
        removed = [("Observation", sign_id(organization_id, key, kind)) for kind in rule.signs]
    else:
        key = tuple(keys[column] for column in key_columns(file))
        removed = [(rule.resource_type, resource_id(rule.resource_type, organization_id, file, *key))]
    return [Draft(kind, identity, None, updated_at) for kind, identity in removed]
