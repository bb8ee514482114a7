"""Which index leads a search: decided here and not left to estimates.

Within one person, the registration's. A code is walked by date; where more is asked for, that is tried for a while first,
since a page may be met soon. What very many carry is met on a walk in the order of the result. Else the indexes of values
lead, and what they find is sorted.

The order of a result depends on the shape of its query alone, so that pages of one search, each led by what is known when it
is asked for, fit one another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from libs.fhir.moments import BEGINNING, Span
from services.records.rules.queries import (
    AllCondition,
    AnyCondition,
    ChainCondition,
    Condition,
    DateCondition,
    HasCondition,
    IdCondition,
    ListCondition,
    NearCondition,
    NumberCondition,
    PersonCondition,
    Query,
    TextCondition,
    TokenCondition,
)
from services.records.store.searching import frequencies

# As migration 0006 has it: few last longer, and those have an index of their own.
LASTING = timedelta(days=32)


class Lead(Enum):
    """What leads, in words."""

    REGISTRATION = "registration"
    CODE = "code by date"
    VALUES = "values"
    ORDER = "order"


@dataclass(frozen=True, slots=True)
class Plan:
    """How a page is found."""

    lead: Lead
    # What is walked for a while before the lead is taken, since it may meet a page soon.
    tried: Lead | None = None
    # The token that is walked by date, where CODE leads or is tried; else 0.
    token: int = 0
    # Chains that are looked at row by row, instead of leading.
    looked_up: frozenset[Condition] = frozenset()
    # The order of the result where the query asks for none.
    order: str = "recorded"


def plan_of(query: Query) -> Plan:
    """The plan, by the query's shape and by how many resources are known to carry its tokens."""
    if any(isinstance(one, PersonCondition) for one in query.conditions):
        return Plan(Lead.REGISTRATION)
    leading = [one for one in query.conditions if leads(one)]
    chains = frozenset(one for one in leading if not isinstance(one, TokenCondition) and frequencies.is_frequent(one))
    token = _walkable(query, leading)
    if token:
        others = [one for one in leading if not isinstance(one, TokenCondition) or one.orders != (token,)]
        if not others:
            return Plan(Lead.CODE, token=token, order="occurred")
        tried = Lead.CODE if all(map(_may_be_met, others)) else None
        return Plan(Lead.VALUES, tried, token, chains, "occurred")
    if query.order == "keys":
        return Plan(Lead.VALUES if leading else Lead.ORDER)
    # What all that leads has in common with very many resources is met on the walk; else the rarer leads.
    if all(map(frequencies.is_frequent, leading)):
        return Plan(Lead.ORDER, looked_up=chains)
    tried = Lead.ORDER if len(query.types) == 1 and all(map(_may_be_met, leading)) else None
    return Plan(Lead.VALUES, tried, looked_up=chains)


def _walkable(query: Query, leading: Sequence[Condition]) -> int:
    """The token that may be walked by date: that of what the type is about; 0 where there is none."""
    if query.order not in {"", "occurred"} or len(query.types) > 1:
        return 0
    orders = [one.orders[0] for one in leading if isinstance(one, TokenCondition) and len(one.orders) == 1]
    return orders[-1] if orders else 0


def _may_be_met(condition: Condition) -> bool:
    """True for what no index counts soon, and many may have in common."""
    if isinstance(condition, TokenCondition):
        return not frequencies.is_rare(condition)
    return isinstance(condition, NumberCondition | DateCondition) or frequencies.is_frequent(condition)


def leads(condition: Condition) -> bool:  # noqa: PLR0911 a case for each condition
    """True if an index of values finds the rows of the condition: then all of them come first, and are sorted."""
    match condition:
        case TokenCondition(is_negated=is_negated):
            return not is_negated
        case TextCondition() | IdCondition() | ListCondition() | NumberCondition() | NearCondition():
            return True
        case ChainCondition() | HasCondition() | PersonCondition():
            return True
        case DateCondition(paths, is_principal):
            return bool(paths) and not is_principal
        case AnyCondition(parts):
            return all(leads(one) for one in parts)
        case AllCondition(parts):
            return any(leads(one) for one in parts)
    return False


def is_led_whatever_its_values(query: Query) -> bool:
    """True where the same indexes are best for all values: for tokens of one person's resources, and for those of few."""
    if not query.conditions or len(query.types) > 1:
        return False
    is_of_one = any(isinstance(one, PersonCondition) for one in query.conditions)
    return all(
        isinstance(one, PersonCondition | IdCondition)
        or (isinstance(one, TokenCondition) and not one.is_negated and (is_of_one or not one.is_common))
        for one in query.conditions
    )


def is_of_row(condition: Condition) -> bool:
    """True for a condition on the times that stand in the row itself, which its indexes are sorted by."""
    return isinstance(condition, DateCondition) and (condition.is_principal or not condition.paths)


@dataclass(frozen=True, slots=True)
class Beginnings:
    """When the principal date of a match can begin; None where nothing is said of it."""

    first: datetime | None
    last: datetime | None
    # The first, if it lasts no longer than LASTING.
    first_of_short: datetime | None


def beginnings(conditions: Sequence[Condition]) -> Beginnings:
    """When a match can begin, by all conditions on its principal date."""
    every = [one for one in conditions if isinstance(one, DateCondition) and one.is_principal]
    firsts = [_of_all(min, [_first(*span) for span in one.spans]) for one in every]
    lasts = [_of_all(max, [_last(*span) for span in one.spans]) for one in every]
    shorts = [_of_all(min, [_first_of_short(*span) for span in one.spans]) for one in every]
    return Beginnings(
        max((one for one in firsts if one is not None), default=None),
        min((one for one in lasts if one is not None), default=None),
        max((one for one in shorts if one is not None), default=None),
    )


def _of_all(choose: Callable[[list[datetime]], datetime], moments: Sequence[datetime | None]) -> datetime | None:
    """Of alternatives, each of which must have one."""
    known = [one for one in moments if one is not None]
    return choose(known) if known and len(known) == len(moments) else None


# http://hl7.org/fhir/R4/search.html#prefix, as `building` tests it.


def _first(prefix: str, span: Span) -> datetime | None:
    return {"eq": span.low, "sa": span.high}.get(prefix)


def _last(prefix: str, span: Span) -> datetime | None:
    return {"eq": span.high, "lt": span.low, "eb": span.low, "le": span.high}.get(prefix)


def _first_of_short(prefix: str, span: Span) -> datetime | None:
    """What begins before, and is met, lasts beyond the span."""
    if prefix in {"ge", "gt"} and span.low - BEGINNING > LASTING:
        return span.low - LASTING
    return None
