"""What stands of a resource in the index beside its row: parts of the statements that write it, and their parameters.

Each part reads the rows that are written from a CTE `filed`, and knows them by their number.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from services.records.model import IndexEntries

# A text that is known already costs a look into an index; two that bring the same new one wait for each other in one order.
TEXTS = """
    INSERT INTO search_texts (hash, value)
    SELECT found.hash, found.value
    FROM unnest(CAST(:text_hashes AS bigint[]), CAST(:text_values AS text[])) AS found (hash, value)
    WHERE NOT EXISTS (SELECT 1 FROM search_texts AS known WHERE known.hash = found.hash)
    ORDER BY found.hash
    ON CONFLICT (hash) DO NOTHING
"""
DATES = """
    INSERT INTO search_dates (filed_under, type, id, version, parameter, occurred_from, occurred_to)
    SELECT filed.filed_under, filed.type, filed.id, filed.version, found.path, found.low, found.high
    FROM unnest(
        CAST(:date_rows AS bigint[]), CAST(:date_paths AS text[]), CAST(:date_lows AS timestamptz[]),
        CAST(:date_highs AS timestamptz[])
    ) AS found (ordinal, path, low, high)
    JOIN filed ON filed.ordinal = found.ordinal
"""
NUMBERS = """
    INSERT INTO search_numbers (filed_under, type, id, version, place, about, low, high, keys)
    SELECT filed.filed_under, filed.type, filed.id, filed.version, found.place, found.about, found.low, found.high,
           CAST(found.keys AS bigint[])
    FROM unnest(
        CAST(:number_rows AS bigint[]), CAST(:number_places AS bigint[]), CAST(:number_abouts AS bigint[]),
        CAST(:number_lows AS double precision[]), CAST(:number_highs AS double precision[]),
        CAST(:number_keys AS text[])
    ) AS found (ordinal, place, about, low, high, keys)
    JOIN filed ON filed.ordinal = found.ordinal
"""
# What stands there from an earlier version, and is the same, is left.
ORDERS = """
    INSERT INTO search_orders (filed_under, type, id, token, occurred_from)
    SELECT filed.filed_under, filed.type, filed.id, found.token, filed.occurred_from
    FROM unnest(CAST(:order_rows AS bigint[]), CAST(:order_tokens AS bigint[])) AS found (ordinal, token)
    JOIN filed ON filed.ordinal = found.ordinal
"""
NEW_ORDERS = (
    ORDERS
    + """
    WHERE NOT EXISTS (
        SELECT 1 FROM search_orders AS known
        WHERE known.filed_under = filed.filed_under AND known.token = found.token
          AND known.occurred_from = filed.occurred_from AND known.id = filed.id AND known.type = filed.type
    )
"""
)
INDEXED = {"texts": TEXTS, "dates": DATES, "numbers": NUMBERS, "orders": ORDERS}


def index_arrays(entries: Sequence[IndexEntries]) -> dict[str, dict[str, list[Any]]]:
    """What stands beside the rows, by kind and only the kinds that there are, each with the number of its row from 1."""
    texts = {hashed: value for one in entries for hashed, value in one.texts}
    dates = [(number, date) for number, one in enumerate(entries, 1) for date in one.dates]
    numbers = [(number, entry) for number, one in enumerate(entries, 1) for entry in one.numbers]
    orders = [(number, token) for number, one in enumerate(entries, 1) for token in one.orders]
    found: dict[str, dict[str, list[Any]]] = {}
    if texts:
        found["texts"] = {"text_hashes": list(texts), "text_values": list(texts.values())}
    if dates:
        found["dates"] = {
            "date_rows": [number for number, _ in dates],
            "date_paths": [one.path for _, one in dates],
            "date_lows": [one.occurred_from for _, one in dates],
            "date_highs": [one.occurred_to for _, one in dates],
        }
    if numbers:
        found["numbers"] = {
            "number_rows": [number for number, _ in numbers],
            "number_places": [one.place for _, one in numbers],
            "number_abouts": [one.about for _, one in numbers],
            "number_lows": [one.low for _, one in numbers],
            "number_highs": [one.high for _, one in numbers],
            "number_keys": [array_text(one.keys) for _, one in numbers],
        }
    if orders:
        found["orders"] = {
            "order_rows": [number for number, _ in orders],
            "order_tokens": [token for _, token in orders],
        }
    return found


NOTHING: Mapping[str, dict[str, list[Any]]] = {
    "texts": {"text_hashes": [], "text_values": []},
    "dates": {"date_rows": [], "date_paths": [], "date_lows": [], "date_highs": []},
    "numbers": {
        "number_rows": [], "number_places": [], "number_abouts": [],
        "number_lows": [], "number_highs": [], "number_keys": [],
    },
    "orders": {"order_rows": [], "order_tokens": []},
}  # fmt: skip


def array_text(numbers: Sequence[int]) -> str:
    """The text of an array: arrays of arrays cannot be ragged."""
    return "{" + ",".join(map(str, numbers)) + "}"
