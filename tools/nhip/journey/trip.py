"""What the steps of a journey hand on to each other."""

from dataclasses import dataclass, field

from rich.console import Console

from tools.nhip.enrol import DISEASE_CONTROL, INDEX_STEWARD, PAYER, Agency, client_id
from tools.nhip.journey.session import Session, citizen_login, practitioner_login, program_login
from tools.nhip.sample import Sample
from tools.nhip.target import Target
from tools.population import Facility, IndexCitizen, Population

TREATMENT = "PURPOSE_OF_USE_TREATMENT"


@dataclass
class Trip:
    """One citizen's way through the platform."""

    target: Target
    sample: Sample
    console: Console
    # Names this walk's visit, claim and numbers: the same on every walk of the same population.
    number: str
    person_id: str = ""
    registration_id: str = ""
    encounter_id: str = ""
    condition_id: str = ""
    # Seconds from the answer to the diagnosis until the case stood on the line list; negative while it was not seen.
    case_seen_after: float = -1.0
    claim_id: str = ""
    _sessions: dict[str, Session] = field(default_factory=dict)

    @property
    def population(self) -> Population:
        """The people and facilities."""
        return self.sample.population

    @property
    def citizen(self) -> IndexCitizen:
        """Whose journey it is."""
        return self.population.index_citizen

    @property
    def hn_at_b(self) -> str:
        """The hospital number that B gives the citizen."""
        return f"J{self.number}"

    @property
    def doctor(self) -> Session:
        """A doctor at B, who treats."""
        return self._doctor_of(self.population.hospital_b)

    @property
    def doctor_at_a(self) -> Session:
        """A doctor at A, who treats."""
        return self._doctor_of(self.population.hospital_a)

    @property
    def citizen_session(self) -> Session:
        """The citizen."""
        return self._session("citizen", citizen_login(self.citizen.citizen_id))

    @property
    def payer(self) -> Session:
        """The insurer's program."""
        return self._agency(PAYER, "PURPOSE_OF_USE_PAYMENT")

    @property
    def epidemiologist(self) -> Session:
        """Disease control's program."""
        return self._agency(DISEASE_CONTROL, "PURPOSE_OF_USE_PUBLIC_HEALTH")

    @property
    def steward(self) -> Session:
        """The program of those who keep the patient index."""
        return self._agency(INDEX_STEWARD, "PURPOSE_OF_USE_OPERATIONS")

    def program_of(self, facility: Facility, purpose: str) -> Session:
        """A facility's own program."""
        credentials = self.target.home.client(client_id(facility))
        return self._session(
            f"{facility.hcode} {purpose}", program_login(credentials.client_id, credentials.client_secret, purpose)
        )

    def close(self) -> None:
        """Closes every session."""
        for session in self._sessions.values():
            session.close()

    def _doctor_of(self, facility: Facility) -> Session:
        doctor = next(one for one in facility.practitioners if one.role == "doctor" and one.licence)
        return self._session(
            f"doctor at {facility.hcode}", practitioner_login(facility.hcode, doctor.licence, TREATMENT)
        )

    def _agency(self, agency: Agency, purpose: str) -> Session:
        credentials = self.target.home.client(agency.client_id)
        return self._session(
            agency.organization_id, program_login(credentials.client_id, credentials.client_secret, purpose)
        )

    def _session(self, name: str, login: dict[str, str]) -> Session:
        if name not in self._sessions:
            self._sessions[name] = Session(self.target.edge_url, name, login)
        return self._sessions[name]
