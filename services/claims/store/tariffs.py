"""Rights and tariffs."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import asyncpg
from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.claims.model import Coverage, TariffItem

_RECORD_COVERAGES = Statement(
    "claims.record_coverages",
    text(
        """
        INSERT INTO coverages AS held (
            coverage_id, registration_id, scheme, sub_scheme, card_number, main_organization_id,
            primary_organization_id, starts_on, ends_on, recorded_at
        )
        SELECT * FROM unnest(
            CAST(:coverage_ids AS text[]), CAST(:registration_ids AS text[]), CAST(:schemes AS text[]),
            CAST(:sub_schemes AS text[]), CAST(:card_numbers AS text[]), CAST(:mains AS text[]),
            CAST(:primaries AS text[]), CAST(:starts AS date[]), CAST(:ends AS date[]),
            CAST(:recorded AS timestamptz[])
        )
        ON CONFLICT (coverage_id) DO UPDATE SET
            main_organization_id = excluded.main_organization_id,
            primary_organization_id = excluded.primary_organization_id,
            ends_on = excluded.ends_on, recorded_at = excluded.recorded_at
        WHERE (held.main_organization_id, held.primary_organization_id, held.ends_on)
            IS DISTINCT FROM (excluded.main_organization_id, excluded.primary_organization_id, excluded.ends_on)
        RETURNING coverage_id, xmax = 0 AS is_created
        """
    ),
)

_COVERAGES_OF_PERSON = Statement(
    "claims.coverages_of_person",
    text(
        """
        SELECT * FROM coverages
        WHERE registration_id IN (
                SELECT linked.registration_id
                FROM placements AS own JOIN placements AS linked USING (person_id)
                WHERE own.registration_id = :registration_id
                UNION SELECT CAST(:registration_id AS text)
            )
          AND starts_on <= CAST(:day AS date) AND (ends_on IS NULL OR ends_on >= CAST(:day AS date))
        ORDER BY starts_on DESC, coverage_id
        """
    ),
)

_ITEMS_OF_CODES = Statement(
    "claims.items_of_codes",
    text(
        """
        SELECT * FROM tariff_items JOIN unnest(CAST(:schemes AS text[]), CAST(:codes AS text[])) AS told (scheme, code)
            USING (scheme, code)
        """
    ),
)

_STORE_ITEMS = Statement(
    "claims.store_items",
    text(
        """
        INSERT INTO tariff_items (
            tariff_item_id, scheme, code, charge_group, name, price, quantity_limit, starts_on, ends_on
        )
        SELECT * FROM unnest(
            CAST(:ids AS text[]), CAST(:schemes AS text[]), CAST(:codes AS text[]), CAST(:charge_groups AS text[]),
            CAST(:names AS text[]), CAST(:prices AS bigint[]), CAST(:limits AS integer[]), CAST(:starts AS date[]),
            CAST(:ends AS date[])
        )
        """
    ),
)

_CLOSE_ITEMS = Statement(
    "claims.close_items",
    text(
        """
        UPDATE tariff_items SET ends_on = closed.ends_on
        FROM unnest(CAST(:ids AS text[]), CAST(:ends AS date[])) AS closed (tariff_item_id, ends_on)
        WHERE tariff_items.tariff_item_id = closed.tariff_item_id
        """
    ),
)

_LIST_ITEMS = Statement(
    "claims.list_items",
    text(
        """
        SELECT * FROM tariff_items
        WHERE scheme = :scheme AND code > :after
          AND starts_on <= CAST(:day AS date) AND (ends_on IS NULL OR ends_on >= CAST(:day AS date))
        ORDER BY code LIMIT CAST(:page_size AS integer)
        """
    ),
)

_SCHEMES_WITHOUT = Statement(
    "claims.schemes_without_tariff",
    text(
        """
        SELECT scheme FROM unnest(CAST(:schemes AS text[])) AS asked (scheme)
        WHERE NOT EXISTS (SELECT 1 FROM tariff_items WHERE tariff_items.scheme = asked.scheme)
        ORDER BY scheme
        """
    ),
)


async def record_coverages(writer: Writer, rights: Sequence[Coverage]) -> set[str]:
    """Stores rights; one that is held keeps its id and takes the new end and contractors. The ids that are new."""
    rows = await writer.change(
        _RECORD_COVERAGES,
        coverage_ids=[one.coverage_id for one in rights],
        registration_ids=[one.registration_id for one in rights],
        schemes=[one.scheme for one in rights],
        sub_schemes=[one.sub_scheme for one in rights],
        card_numbers=[one.card_number for one in rights],
        mains=[one.main_organization_id for one in rights],
        primaries=[one.primary_organization_id for one in rights],
        starts=[one.starts_on for one in rights],
        ends=[one.ends_on for one in rights],
        recorded=[one.recorded_at for one in rights],
    )
    return {row["coverage_id"] for row in rows if row["is_created"]}


async def coverages_of(reader: Reader, registration_id: str, day: date) -> list[Coverage]:
    """The rights that the person behind a registration has on a day, the youngest first."""
    rows = await reader.fetch(_COVERAGES_OF_PERSON, registration_id=registration_id, day=day)
    return [Coverage(**row) for row in rows]


async def lock(writer: Writer, schemes: Iterable[str]) -> None:
    """Holds the tariffs of these schemes, so that periods are compared with all others."""
    await writer.lock(*(f"tariff/{scheme}" for scheme in schemes))


async def items_of_codes(reader: Reader, codes: Iterable[tuple[str, str]]) -> list[TariffItem]:
    """Every period of these (scheme, code) pairs."""
    pairs = sorted(set(codes))
    rows = await reader.fetch(
        _ITEMS_OF_CODES, schemes=[scheme for scheme, _ in pairs], codes=[code for _, code in pairs]
    )
    return [item_of(row) for row in rows]


async def store(writer: Writer, created: Sequence[TariffItem], closed: Sequence[TariffItem]) -> None:
    """Stores new items, and the ends of items whose period is closed."""
    if closed:
        ids = [item.tariff_item_id for item in closed]
        await writer.execute(_CLOSE_ITEMS, ids=ids, ends=[item.ends_on for item in closed])
    if created:
        await writer.execute(
            _STORE_ITEMS,
            ids=[item.tariff_item_id for item in created],
            schemes=[item.scheme for item in created],
            codes=[item.code for item in created],
            charge_groups=[item.charge_group for item in created],
            names=[item.name for item in created],
            prices=[item.price for item in created],
            limits=[item.quantity_limit for item in created],
            starts=[item.starts_on for item in created],
            ends=[item.ends_on for item in created],
        )


async def list_items(reader: Reader, scheme: str, day: date, after: str, page_size: int) -> list[TariffItem]:
    """The items of a scheme that hold on a day, by code, after the code named."""
    rows = await reader.fetch(_LIST_ITEMS, scheme=scheme, day=day, after=after, page_size=page_size)
    return [item_of(row) for row in rows]


async def schemes_without(reader: Reader, schemes: Sequence[str]) -> list[str]:
    """Those of the schemes that have no tariff at all."""
    return [row["scheme"] for row in await reader.fetch(_SCHEMES_WITHOUT, schemes=list(schemes))]


def item_of(row: asyncpg.Record | dict[str, Any]) -> TariffItem:
    """A tariff item from a row."""
    return TariffItem(
        tariff_item_id=row["tariff_item_id"],
        scheme=row["scheme"],
        code=row["code"],
        charge_group=row["charge_group"],
        name=row["name"],
        price=row["price"],
        quantity_limit=row["quantity_limit"],
        starts_on=row["starts_on"],
        ends_on=row["ends_on"],
    )
