"""The RPCs of the patient index, a module for each kind of use."""

from services.patient_index.api.deciding import Deciding
from services.patient_index.api.explaining import Explaining
from services.patient_index.api.joining import Joining
from services.patient_index.api.modelling import Modelling
from services.patient_index.api.registering import Registering
from services.patient_index.api.reviewing import Reviewing
from services.patient_index.api.viewing import Viewing


class PatientIndexApi(Registering, Viewing, Explaining, Deciding, Joining, Reviewing, Modelling):
    """nhip.patient_index.v1.PatientIndexService."""
