"""The caller: what a verified token says about who calls, for whom, and why."""

from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

from nhip.types.v1.types_pb2 import PurposeOfUse

TREATMENT = PurposeOfUse.PURPOSE_OF_USE_TREATMENT
EMERGENCY = PurposeOfUse.PURPOSE_OF_USE_EMERGENCY
PAYMENT = PurposeOfUse.PURPOSE_OF_USE_PAYMENT
PUBLIC_HEALTH = PurposeOfUse.PURPOSE_OF_USE_PUBLIC_HEALTH
OPERATIONS = PurposeOfUse.PURPOSE_OF_USE_OPERATIONS
PATIENT_REQUEST = PurposeOfUse.PURPOSE_OF_USE_PATIENT_REQUEST


class CallerKind(Enum):
    """What sort of caller a token was issued to."""

    ANONYMOUS = "anonymous"
    CITIZEN = "citizen"
    PRACTITIONER = "practitioner"
    CLIENT = "client"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Scopes:
    """What a token may be used for: platform scopes (`claims.write`) and SMART v2 scopes (`user/Observation.rs`)."""

    names: frozenset[str] = frozenset()
    # (resource type or *, letter) pairs of the SMART scopes.
    _fhir: frozenset[tuple[str, str]] = field(default=frozenset(), repr=False)

    @classmethod
    def parse(cls, text: str) -> "Scopes":
        """Scopes from a space-separated list; what is not understood grants nothing."""
        return _parse_scopes(text)

    def has_any(self, wanted: frozenset[str]) -> bool:
        """True if the token holds at least one of the platform scopes."""
        return not wanted.isdisjoint(self.names)

    def allow_fhir(self, resource_type: str, interactions: str) -> bool:
        """True if every interaction letter (c, r, u, d, s) is granted for the resource type."""
        return all((resource_type, letter) in self._fhir or ("*", letter) in self._fhir for letter in interactions)

    def allow_any_fhir(self) -> bool:
        """True if the token grants any FHIR interaction at all."""
        return bool(self._fhir)

    def __str__(self) -> str:
        return " ".join(sorted(self.names))


@lru_cache(maxsize=4096)
def _parse_scopes(text: str) -> Scopes:
    names = frozenset(text.split())
    fhir: set[tuple[str, str]] = set()
    for name in names:
        context, slash, grant = name.partition("/")
        resource_type, dot, letters = grant.partition(".")
        # SMART v2 writes the letters in this order and each once; anything else is not a scope.
        well_formed = slash and dot and context in {"patient", "user", "system"} and letters
        if well_formed and letters == "".join(letter for letter in "cruds" if letter in letters):
            fhir.update((resource_type, letter) for letter in letters)
    return Scopes(names, frozenset(fhir))


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. Anonymous where a method asks for no token."""

    kind: CallerKind
    # Unique among callers: `practitioner/<id>`, `client/<id>`, `citizen/<account id>`, `service/<name>`.
    subject: str
    # The organisation the caller acts for; empty for a citizen.
    organization_id: str = ""
    scopes: Scopes = Scopes()
    purpose: int = PurposeOfUse.PURPOSE_OF_USE_UNSPECIFIED
    # For a citizen: the keyed hash of their citizen id, as registrations and consents carry it.
    citizen_key: str = ""
    # For purpose EMERGENCY: why.
    break_glass_reason: str = ""
    # The client that obtained the token in another organisation's name; empty otherwise.
    actor: str = ""

    @property
    def is_citizen(self) -> bool:
        """True for a citizen's own token."""
        return self.kind is CallerKind.CITIZEN


ANONYMOUS = Caller(CallerKind.ANONYMOUS, "anonymous")
