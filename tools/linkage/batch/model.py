"""The model of a batch: what is compared and how, as Splink's settings, and its training without labels."""

from pathlib import Path
from typing import Any, Final

import duckdb
from splink import Linker, SettingsCreator, block_on
from splink.backends.duckdb import DuckDBAPI

NAME: Final = "batch-1"
# Of Jaro and Winkler's similarity: spelling variants lie above the first, rhyming names above the second.
_SIMILAR, _CLOSE = 0.92, 0.82
_PAIRS_FOR_U: Final = 2_000_000
_PAIRS_FOR_EM: Final = 1_000_000
# Of registrations of one person that agree in both names and the birth date, as the prior's rule assumes.
_RECALL: Final = 0.7


def _null(*columns: str) -> dict[str, Any]:
    condition = " or ".join(f"{column}_{side} is null" for column in columns for side in "lr")
    return {"sql_condition": condition, "label_for_charts": "missing", "is_null_level": True}


def _level(label: str, condition: str, **more: Any) -> dict[str, Any]:
    return {"sql_condition": condition, "label_for_charts": label, **more}


_ELSE: Final = {"sql_condition": "ELSE", "label_for_charts": "different"}


def _name(column: str) -> dict[str, Any]:
    sound, roman = f"{column}_sound", f"{column}_roman"
    same_sound = f"({sound}_l = {sound}_r and length({sound}_l) > 1)"
    same_roman = f"({roman}_l = {roman}_r and length({roman}_l) > 2)"
    alike = f"jaro_winkler_similarity({column}_l, {column}_r)"
    # One slip in five letters or more leaves names at least this alike, and the distance costs more to compute.
    slip = (
        f"({alike} >= {_CLOSE} and length({column}_l) > 4 and length({column}_r) > 4 "
        f"and damerau_levenshtein({column}_l, {column}_r) <= 1)"
    )
    return {
        "output_column_name": column,
        "comparison_levels": [
            _null(column),
            _level(
                "exact", f"{column}_l = {column}_r", tf_adjustment_column=column, tf_adjustment_weight=1.0,
                tf_minimum_u_value=0.00001,
            ),
            _level("similar", f"{same_sound} or {alike} >= {_SIMILAR} or {slip} or {same_roman}"),
            _level("close", f"{alike} >= {_CLOSE}"),
            _ELSE,
        ],
    }  # fmt: skip


_BIRTH: Final = {
    "output_column_name": "birth",
    "comparison_levels": [
        _null("birth_year"),
        _level("exact", "birth_year_l = birth_year_r and birth_day_l = birth_day_r and birth_day_l <> 101"),
        _level(
            "partial",
            "birth_year_l = birth_year_r and (birth_day_l is null or birth_day_r is null or birth_day_l = 101 "
            "or birth_day_r = 101)",
        ),
        _level(
            "swapped",
            "birth_year_l = birth_year_r and birth_day_l // 100 = birth_day_r % 100 and birth_day_l % 100 = "
            "birth_day_r // 100",
        ),
        _level("era", "birth_day_l = birth_day_r and abs(birth_year_l - birth_year_r) in (43, 57)"),
        _level(
            "near",
            "(birth_day_l = birth_day_r and (abs(birth_year_l - birth_year_r) % 10 = 0 or "
            "abs(birth_year_l - birth_year_r) < 10)) or (birth_year_l = birth_year_r and "
            "(birth_day_l // 100 = birth_day_r // 100 or birth_day_l % 100 = birth_day_r % 100))",
        ),
        _ELSE,
    ],
}
_PLACE: Final = {
    "output_column_name": "place",
    "comparison_levels": [
        _null("place"),
        _level("sub_district", "place_l = place_r"),
        _level("district", "place_l // 100 = place_r // 100"),
        _level("province", "place_l // 10000 = place_r // 10000"),
        _ELSE,
    ],
}


def _number(column: str) -> dict[str, Any]:
    slip = f"length({column}_l) = length({column}_r) and damerau_levenshtein({column}_l, {column}_r) <= 1"
    return {
        "output_column_name": column,
        "comparison_levels": [
            _null(column),
            _level(
                "same", f"{column}_l = {column}_r", tf_adjustment_column=column, tf_adjustment_weight=1.0,
                tf_minimum_u_value=0.0000001,
            ),
            _level("typo", slip),
            _ELSE,
        ],
    }  # fmt: skip


def _same(column: str) -> dict[str, Any]:
    levels = [_null(column), _level("same", f"{column}_l = {column}_r"), _ELSE]
    return {"output_column_name": column, "comparison_levels": levels}


# A pair that shares none of these is never compared. Each is shared by few who are not one person.
BLOCKING: Final = (
    "l.given = r.given and l.birth_year = r.birth_year and l.birth_day = r.birth_day",
    "l.family = r.family and l.birth_year = r.birth_year and l.birth_day = r.birth_day",
    "l.given = r.given and l.family = r.family",
    "l.phone = r.phone and l.given_sound = r.given_sound",
    "l.given_sound = r.given_sound and l.family_sound = r.family_sound and l.birth_year = r.birth_year",
    "l.place = r.place and l.birth_year = r.birth_year and l.birth_day = r.birth_day and l.sex = r.sex",
    "l.given_sound = r.given_sound and l.place = r.place and l.birth_day = r.birth_day",
    "l.phone = r.phone and l.birth_year = r.birth_year and l.birth_day = r.birth_day",
    "l.citizen_id = r.citizen_id",
    "l.other_id = r.other_id",
)


def settings(link_type: str = "dedupe_only", *, with_ids: bool = True) -> dict[str, Any]:
    """Splink's settings, untrained. Without ids, numbers that somebody issued are not compared."""
    comparisons = [_name("given"), _name("family"), _BIRTH, _same("sex"), _PLACE, _same("phone")]
    blocking = [rule for rule in BLOCKING if with_ids or "_id" not in rule]
    if with_ids:
        comparisons += [_number("citizen_id"), _number("other_id")]
    return {
        "link_type": link_type,
        "unique_id_column_name": "unique_id",
        "probability_two_random_records_match": 1e-6,
        "comparisons": comparisons,
        "blocking_rules_to_generate_predictions": blocking,
        "retain_matching_columns": False,
        "retain_intermediate_calculation_columns": False,
    }


def train(connection: duckdb.DuckDBPyConnection, columns: Path) -> dict[str, Any]:
    """The settings with every parameter estimated from the registrations themselves, without labels."""
    numbers = connection.execute(f"select count(citizen_id) + count(other_id) from '{columns}'").fetchall()[0][0]
    connection.execute(f"create or replace table registrations as select * from '{columns}'")
    linker = Linker(
        DuckDBAPI(connection).register("registrations"),
        SettingsCreator.from_path_or_dict(settings(with_ids=numbers > 0)),
        log_level=None,
    )
    by_names = block_on("given", "family")
    by_birth = block_on("birth_year", "birth_day")
    linker.training.estimate_probability_two_random_records_match(
        [block_on("given", "family", "birth_year", "birth_day")], recall=_RECALL
    )
    linker.training.estimate_u_using_random_sampling(max_pairs=_PAIRS_FOR_U)
    for rule in (by_names, by_birth):
        linker.training.estimate_parameters_using_expectation_maximisation(rule, max_pairs=_PAIRS_FOR_EM)
    model: dict[str, Any] = linker.misc.save_model_to_json()
    return model
