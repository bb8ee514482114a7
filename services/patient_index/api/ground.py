"""What every RPC of the index stands on, and what all say the same way."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from nhip.patient_index.v1 import resources_pb2

from libs.clock import Clock
from libs.database.engine import Database
from libs.errors import NotFoundError
from libs.pages import PageTokens
from libs.runtime.call import Call
from services.patient_index.api.transaction import Index
from services.patient_index.model import Held

DEFAULT_PAGE = 20
READ_SCOPE = "registrations.read"


@dataclass(frozen=True, slots=True)
class Means:
    """What the RPCs are made with."""

    index: Index
    database: Database
    clock: Clock
    pages: PageTokens
    # Takes over the model that decides.
    read_model: Callable[[], Awaitable[None]]
    # Lets a shadow run begin at once.
    wake: Callable[[], None]


class Rooted:
    """An API over its means."""

    def __init__(self, means: Means) -> None:
        self.means = means


def only_key(call: Call) -> str | None:
    """The citizen key that the caller is confined to; None for those who may see everybody. An empty key sees nobody."""
    caller = call.caller
    return None if READ_SCOPE in caller.scopes.names and not caller.is_citizen else caller.citizen_key


def registration_unknown() -> NotFoundError:
    """Also for those that the caller may not see."""
    return NotFoundError("REGISTRATION_UNKNOWN", "there is no such registration")


def person_unknown() -> NotFoundError:
    """Also for those whom the caller may not see."""
    return NotFoundError("PERSON_UNKNOWN", "there is no such person")


def person_merged(into: str) -> NotFoundError:
    """Of whom another has the registrations now."""
    metadata = {"person_id": into}
    return NotFoundError("PERSON_MERGED", "the person was merged into another, who is named", metadata=metadata)


def touch(call: Call, registrations: Iterable[Held]) -> None:
    """Notes for the audit log whose data a call shows or writes."""
    for held in registrations:
        call.touch(
            person=held.person_id,
            registration=held.registration_id,
            resource=f"Patient/{held.registration_id}",
        )


def touch_person(call: Call, registrations: Sequence[Held]) -> None:
    """Of one person alone, whose access log it then is."""
    touch(call, registrations)
    call.touch(citizen_key=next((held.citizen_key for held in registrations if held.citizen_key), ""))


def touch_candidates(call: Call, candidates: Iterable[resources_pb2.Candidate]) -> None:
    """Notes whose data candidates show."""
    for candidate in candidates:
        found = candidate.registration
        call.touch(
            person=found.person_id,
            registration=found.registration_id,
            resource=f"Patient/{found.registration_id}",
        )
