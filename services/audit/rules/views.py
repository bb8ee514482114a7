"""Who is shown what of the log."""

from dataclasses import dataclass

from libs.access.caller import Caller
from libs.errors import FieldViolation, InvalidArgumentError, NotFoundError, PermissionDeniedError
from services.audit.model import Shown, person_subject, registration_subject


@dataclass(frozen=True, slots=True)
class Question:
    """Whose history is asked for: the citizen's own, by their key, or a person's, by an auditor."""

    citizen_key: str = ""
    person_id: str = ""


def require_reader(caller: Caller) -> None:
    """Raises PermissionDeniedError, reason SCOPE_MISSING, for one who is neither a citizen nor an auditor."""
    if not caller.is_citizen and not caller.scopes.has_any(frozenset({"audit.read"})):
        raise PermissionDeniedError("SCOPE_MISSING", "only a citizen reads by person.self; the token lacks audit.read")


def question(caller: Caller, person_id: str) -> Question:
    """Whose history the caller asks for.

    Raises PermissionDeniedError, reason SCOPE_MISSING; InvalidArgumentError, reason PERSON_REQUIRED for an auditor who
    names nobody, PERSON_UNEXPECTED for a citizen who names somebody.
    """
    require_reader(caller)
    if caller.is_citizen:
        if person_id:
            raise _invalid("PERSON_UNEXPECTED", "a citizen reads their own history and names nobody")
        return Question(citizen_key=caller.citizen_key)
    if not person_id:
        raise _invalid("PERSON_REQUIRED", "an auditor names the person")
    return Question(person_id=person_id)


def shown(person_ids: tuple[str, ...], registration_ids: tuple[str, ...], own: frozenset[str] | None) -> Shown:
    """What of an entry about these is shown to a citizen whose subjects are `own`; everything to an auditor (None).

    One call may touch many people's data. A citizen learns of it what concerns them: not who else was touched, and the
    names of resources only where they can be nobody else's.
    """
    if own is None:
        return Shown(person_ids, registration_ids, are_resources_shown=True)
    own_persons = tuple(one for one in person_ids if person_subject(one) in own)
    own_registrations = tuple(one for one in registration_ids if registration_subject(one) in own)
    is_all_own = own_persons == person_ids and own_registrations == registration_ids
    return Shown(own_persons, own_registrations, are_resources_shown=is_all_own)


def entry_unknown() -> NotFoundError:
    """One answer to an entry that is not there and to one that the caller may not see."""
    return NotFoundError("ENTRY_UNKNOWN", "there is no such entry")


def require_size(tree_size: int, size: int, *, least: int, field: str) -> int:
    """The size. Raises InvalidArgumentError, reason TREE_SIZE_INVALID, unless it lies between `least` and `size`."""
    if not least <= tree_size <= size:
        message = "the log has had no tree of this size that could hold what is asked for"
        raise InvalidArgumentError(
            "TREE_SIZE_INVALID", message, fields=[FieldViolation(field, "TREE_SIZE_INVALID", message)]
        )
    return tree_size


def _invalid(reason: str, message: str) -> InvalidArgumentError:
    return InvalidArgumentError(reason, message, fields=[FieldViolation("person_id", reason, message)])
