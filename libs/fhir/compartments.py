"""Whom a resource is about: the patient compartment of the specification.

http://hl7.org/fhir/R4/compartmentdefinition-patient.html names the parameters that place a resource in a patient's
compartment. Of several, the subject decides: who recorded an allergy is a patient too sometimes, but not the one it is of.
"""

import functools
from collections.abc import Mapping
from typing import Any

from libs.fhir.definitions import definitions
from libs.fhir.paths import Walk
from libs.fhir.references import LocalReference, parse_local
from libs.fhir.search_parameters import parameters_of

# In this order; a parameter of another name says who took part, not whom it is about.
_SUBJECTS = ("patient", "subject", "beneficiary", "individual", "member", "link", "policy-holder", "candidate")


@functools.cache
def _subject_walks(resource_type: str) -> tuple[Walk, ...]:
    inclusive = definitions().patient_compartment.get(resource_type, ())
    parameters = parameters_of(resource_type)
    return tuple(
        walk
        for name in _SUBJECTS
        if (name in inclusive or name in {"patient", "subject"})
        and name in parameters
        and _means_patient(resource_type, name)
        for walk in parameters[name].walks
    )


def _means_patient(resource_type: str, name: str) -> bool:
    targets = parameters_of(resource_type)[name].targets
    return not targets or "Patient" in targets


def patient_of(resource: Mapping[str, Any], resource_type: str) -> tuple[str, LocalReference] | None:
    """The Patient that a resource is about, with the expression of the reference; None for one about no patient.

    A Patient is not asked here: it is about itself.
    """
    for walk in _subject_walks(resource_type):
        for value in walk.values(resource):  # type: ignore[arg-type]  # a mapping that is read like a dict
            text = value.get("reference") if isinstance(value, dict) else None
            local = parse_local(text) if isinstance(text, str) else None
            if local is not None and local.type == "Patient":
                return ".".join(step.key for step in walk.steps), local
    return None
