"""How a tariff grows: by new periods, never by changing what a period said."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from libs.errors import AlreadyExistsError, FailedPreconditionError, FieldViolation
from libs.ids import derived_id
from services.claims.model import TariffItem


@dataclass(frozen=True, slots=True)
class Growth:
    """What is to be stored of a batch."""

    created: list[TariffItem]
    # Items whose open period is closed; nothing else of them changes.
    closed: list[TariffItem]
    unchanged: int


def item_id(scheme: str, code: str, starts_on: date) -> str:
    """The id of a tariff item: the same for the same scheme, code and start."""
    return derived_id("tariff", scheme, code, starts_on.isoformat())


def coverage_id(registration_id: str, scheme: str, sub_scheme: str, card_number: str, starts_on: date) -> str:
    """The id of a right: the same for the same registration, scheme, sub-scheme, card and start."""
    return derived_id("coverage", registration_id, scheme, sub_scheme, card_number, starts_on.isoformat())


def grow(held: Iterable[TariffItem], told: Sequence[TariffItem]) -> Growth:
    """Puts a batch to the items held for its schemes and codes.

    An item with the same scheme, code and start is the same item: it changes nothing, or closes a period that was open.
    Raises AlreadyExistsError, reason TARIFF_EXISTS, where it says anything else, and FailedPreconditionError, reason
    TARIFF_OVERLAP, for a period that overlaps another of the same code; both name the place in the batch.
    """
    before = {item.tariff_item_id: item for item in held}
    after: dict[str, TariffItem] = dict(before)
    places: dict[str, int] = {}
    unchanged = 0
    for index, item in enumerate(told):
        same = after.get(item.tariff_item_id)
        if same == item:
            unchanged += 1
            continue
        if same is not None and not _closes(same, item):
            raise AlreadyExistsError(
                "TARIFF_EXISTS",
                "the tariff holds another item with this scheme, code and start; a price is changed by a new period",
                fields=[FieldViolation(f"items[{index}]", "TARIFF_EXISTS", "differs from the item that is held")],
            )
        after[item.tariff_item_id] = item
        places[item.tariff_item_id] = index
    _refuse_overlaps(after, places)
    changed = [after[one] for one in places]
    created = [item for item in changed if item.tariff_item_id not in before]
    closed = [item for item in changed if item.tariff_item_id in before]
    return Growth(created, closed, unchanged)


def _closes(held: TariffItem, told: TariffItem) -> bool:
    """True if the item told is the one held, with an end where it had none."""
    return held.ends_on is None and replace(held, ends_on=told.ends_on) == told


def _refuse_overlaps(items: Mapping[str, TariffItem], places: Mapping[str, int]) -> None:
    ordered = sorted(items.values(), key=lambda item: (item.scheme, item.code, item.starts_on))
    for earlier, later in itertools.pairwise(ordered):
        is_same_code = (earlier.scheme, earlier.code) == (later.scheme, later.code)
        if is_same_code and (earlier.ends_on is None or later.starts_on <= earlier.ends_on):
            index = places.get(later.tariff_item_id, places.get(earlier.tariff_item_id, 0))
            raise FailedPreconditionError(
                "TARIFF_OVERLAP",
                "the period overlaps another of the same scheme and code; close that one first",
                fields=[FieldViolation(f"items[{index}].starts_on", "TARIFF_OVERLAP", "overlaps another period")],
            )
