"""An example tariff of one scheme, so that a fresh platform can decide claims.

`data/example_tariff_ucs.tsv` is an example: codes, groups and prices are plausible for the Universal Coverage Scheme, and
are not the scheme's announcement. Prices are in satang. A scheme that has a tariff of its own, loaded by
BatchCreateTariffItems, never gets these items.
"""

import functools
from datetime import date
from importlib import resources

from libs.database.engine import Database
from services.claims.model import TariffItem
from services.claims.rules.tariffs import item_id
from services.claims.store import tariffs


@functools.cache
def items() -> tuple[TariffItem, ...]:
    """The items of the example."""
    text = resources.files(__package__).joinpath("data/example_tariff_ucs.tsv").read_text(encoding="utf-8")
    return tuple(_item(line.split("\t")) for line in text.splitlines()[1:])


def _item(row: list[str]) -> TariffItem:
    scheme, code, charge_group, name, price, quantity_limit, starts_on, ends_on = row
    start = date.fromisoformat(starts_on)
    return TariffItem(
        tariff_item_id=item_id(scheme, code, start),
        scheme=scheme,
        code=code,
        charge_group=charge_group,
        name=name,
        price=int(price),
        quantity_limit=int(quantity_limit),
        starts_on=start,
        ends_on=date.fromisoformat(ends_on) if ends_on else None,
    )


async def load(database: Database) -> int:
    """Loads the example into every scheme of its that has no tariff; the number of items stored. Twice is once."""
    schemes = sorted({item.scheme for item in items()})
    async with database.reading() as reader:
        wanting = await tariffs.schemes_without(reader, schemes)
    if not wanting:
        return 0
    async with database.writing() as writer:
        await tariffs.lock(writer, wanting)
        still_wanting = await tariffs.schemes_without(writer, wanting)
        missing = [item for item in items() if item.scheme in still_wanting]
        if missing:
            await tariffs.store(writer, missing, ())
    return len(missing)
