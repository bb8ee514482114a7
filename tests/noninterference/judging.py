"""Who may read what, said once more in plain Python and apart from the service: the judge of what two stores may differ in."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from libs.access.caller import EMERGENCY, PAYMENT, TREATMENT, CallerKind, Scopes
from tests.noninterference.world import DENY, GENERAL, ORGANIZATIONS, PERMIT, SENSITIVE, World

ALL = "user/*.cruds records.export"
# The types of the worlds that are directories or definitions.
OPEN = frozenset({"Organization", "Practitioner", "Location", "Medication", "Questionnaire", "ValueSet"})


@dataclass(frozen=True)
class Eyes:
    """A caller: whose eyes a request is answered for."""

    name: str
    organization: str = ""
    purpose: int = 0
    scopes: str = ALL
    citizen_key: str = ""

    @property
    def is_citizen(self) -> bool:
        return bool(self.citizen_key)

    @property
    def token(self) -> dict[str, Any]:
        """What the token says."""
        if self.is_citizen:
            return {
                "kind": CallerKind.CITIZEN,
                "subject": f"citizen/{self.citizen_key}",
                "citizen_key": self.citizen_key,
                "scopes": self.scopes,
                "purpose": self.purpose,
            }
        reason = "unconscious" if self.purpose == EMERGENCY else ""
        return {
            "organization": self.organization,
            "purpose": self.purpose,
            "scopes": self.scopes,
            "reason": reason,
        }


ONE, TWO, THREE = ORGANIZATIONS
CALLERS = (
    Eyes("treating-1", ONE, TREATMENT),
    Eyes("treating-2", TWO, TREATMENT),
    Eyes("paying-2", TWO, PAYMENT),
    Eyes("purposeless-3", THREE),
    Eyes("emergency-3", THREE, EMERGENCY),
    Eyes("citizen-0", scopes="patient/*.rs person.self records.export", purpose=7, citizen_key="key-0"),
    Eyes("citizen-1", scopes="patient/*.rs person.self", purpose=7, citizen_key="key-1"),
    Eyes("laboratory-1", ONE, TREATMENT, "system/Observation.cruds system/Practitioner.rs"),
    Eyes("researcher-2", TWO, TREATMENT, "user/Observation.rs user/Encounter.rs user/Patient.r records.export"),
    Eyes("instrument-1", ONE, TREATMENT, "system/Observation.c"),
    Eyes("nobody", "", TREATMENT),
)


@dataclass(frozen=True)
class Row:
    """What of a version decides who may read it."""

    type: str
    id: str
    version: int
    organization: str
    filed_under: str
    is_personal: bool
    sensitivity: int
    is_gone: bool

    @property
    def key(self) -> str:
        return f"{self.type}/{self.id}"


class Judge:
    """Judges for one caller in one world."""

    def __init__(self, world: World, eyes: Eyes) -> None:
        self._eyes = eyes
        self._scopes = Scopes.parse(eyes.scopes)
        self._person_of = {one.id: one.person for one in world.registrations if one.person}
        keys = {(one.person, one.citizen_key) for one in world.registrations if one.person and one.citizen_key}
        self._own = {person for person, key in keys if key == eyes.citizen_key}
        self._says: dict[tuple[str, int], str] = {}
        for person, key in keys:
            for category in (GENERAL, SENSITIVE):
                about = [one for one in world.consents if (one.citizen_key, one.category) == (key, category)]
                self._says[person, category] = self._standing(
                    [(one.organization, one.decision) for one in about if one.organization in {"", eyes.organization}]
                )

    @staticmethod
    def _standing(decisions: Iterable[tuple[str, int]]) -> str:
        """What is decided about the organisation holds over what is decided about all, and a refusal over a permission."""
        decisions = list(decisions)
        own = [decision for organization, decision in decisions if organization]
        chosen = own or [decision for organization, decision in decisions if not organization]
        return "refused" if DENY in chosen else "permitted" if PERMIT in chosen else "silent"

    def grants(self, resource_type: str) -> bool:
        """True if the scopes let the caller read or search the type."""
        return any(self._scopes.allow_fhir(resource_type, letter) for letter in "rs")

    def may_see(self, row: Row) -> bool:
        """True if the caller may read the row, whatever their scopes are for."""
        if not row.is_personal and row.type in OPEN:
            return True
        eyes, person = self._eyes, self._person_of.get(row.filed_under, "")
        if eyes.is_citizen:
            return row.is_personal and person in self._own
        is_own = bool(eyes.organization) and row.organization == eyes.organization
        return is_own or (row.is_personal and bool(person) and self._is_shared(row, person))

    def _is_shared(self, row: Row, person: str) -> bool:
        """What another organisation filed about the person."""
        if not self._eyes.organization:
            return False
        if self._eyes.purpose == EMERGENCY:
            return True
        if self._eyes.purpose != TREATMENT or self._says.get((person, GENERAL)) == "refused":
            return False
        return row.sensitivity == 0 or self._says.get((person, SENSITIVE)) == "permitted"
