"""Plain Splink as its documentation would have it on these columns, fairly tuned: what a batch of ours is held against.

Library comparisons with term frequencies, tight blocking rules, estimates without labels. It sees what ours sees, as sent.
"""

from pathlib import Path
from typing import Any, Final

import duckdb
import splink.comparison_library as cl
from splink import Linker, SettingsCreator, block_on
from splink.backends.duckdb import DuckDBAPI

_BLOCKING: Final = (
    ("given", "birth"), ("family", "birth"), ("given", "family"), ("phone",), ("birth", "place_code"), ("citizen_id",),
)  # fmt: skip
_PAIRS_FOR_U: Final = 5e6
_RECALL: Final = 0.7


def pairs(connection: duckdb.DuckDBPyConnection, registrations: Path, least: float) -> str:
    """Trains and predicts; the name of a table of pairs (unique_id_l, unique_id_r, match_probability) from `least` on."""
    connection.execute(
        f"""create table sent as select record_id as unique_id, nullif(given, '') as given, nullif(family, '') as family,
        try_cast(birth_date as date) as birth, nullif(phone, '') as phone, nullif(place_code, '') as place_code,
        nullif(sex, '') as sex, nullif(citizen_id, '') as citizen_id
        from read_csv('{registrations}', all_varchar=true, header=true)"""
    )
    has_ids = connection.execute("select count(citizen_id) from sent").fetchall()[0][0] > 0
    comparisons: list[Any] = [
        cl.NameComparison("given").configure(term_frequency_adjustments=True),
        cl.NameComparison("family").configure(term_frequency_adjustments=True),
        cl.DateOfBirthComparison("birth", input_is_string=False),
        cl.ExactMatch("phone"),
        cl.ExactMatch("place_code"),
        cl.ExactMatch("sex"),
    ]
    if has_ids:
        comparisons.append(
            cl.DamerauLevenshteinAtThresholds("citizen_id", [1]).configure(term_frequency_adjustments=True)
        )
    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=comparisons,
        blocking_rules_to_generate_predictions=[
            block_on(*columns) for columns in _BLOCKING if has_ids or "citizen_id" not in columns
        ],
        retain_matching_columns=False,
    )
    linker = Linker(DuckDBAPI(connection).register("sent"), settings, log_level=None)
    training = linker.training
    training.estimate_probability_two_random_records_match([block_on("given", "family", "birth")], recall=_RECALL)
    training.estimate_u_using_random_sampling(max_pairs=_PAIRS_FOR_U)
    training.estimate_parameters_using_expectation_maximisation(block_on("given", "family"))
    training.estimate_parameters_using_expectation_maximisation(block_on("birth"))
    predicted: str = linker.inference.predict(threshold_match_probability=least).physical_name
    return predicted
