"""Persons from decisions: the decisions are the truth, and tables only their present sum."""

from collections.abc import Iterable, Sequence

from services.patient_index.model import Decision, DecisionKind


class HistoryBrokenError(ValueError):
    """A decision does not follow from those before it; the message names the decision."""


def replay(decisions: Iterable[Decision]) -> dict[str, str]:
    """Registration → person after all decisions, given in the order in which they were made.

    Raises HistoryBrokenError.
    """
    persons: dict[str, str] = {}
    for decision in decisions:
        if persons.get(decision.registration_id, "") != decision.previous_person_id:
            raise HistoryBrokenError(f"decision {decision.decision_id} starts from another person")
        if (decision.kind is DecisionKind.REGISTER) != (not decision.previous_person_id):
            raise HistoryBrokenError(
                f"decision {decision.decision_id} does not begin a registration, or begins it twice"
            )
        persons[decision.registration_id] = decision.person_id
    return persons


def standing(decisions: Sequence[Decision]) -> list[str]:
    """The persons that one registration stands on, oldest first.

    The last is where it is, the one below it is where it goes when it is unlinked. A single one is its ground: it came
    there by itself, or by leaving others behind.
    """
    persons: list[str] = []
    for decision in decisions:
        if decision.kind is DecisionKind.UNLINK:
            persons.pop()
            if not persons or persons[-1] != decision.person_id:
                persons = [decision.person_id]
        else:
            persons.append(decision.person_id)
    return persons
