"""The model of a batch: libs.linkage's of persons, trained on the registrations themselves, without labels."""

from pathlib import Path
from typing import Final

import duckdb

from libs.linkage import person
from libs.linkage.model import Model, read_model
from tools.linkage.training import train as train_model

NAME: Final = "th-person-batch"
_PAIRS_FOR_U: Final = 2_000_000
_PAIRS_FOR_EM: Final = 1_000_000
# Of registrations of one person that agree in both names and the birth date, as the prior's rule assumes.
_RECALL: Final = 0.7
_SURELY: Final = (("given", "family", "birth"),)
_PASSES: Final = (("given", "family"), ("birth",))

# A pair that shares none of these is never compared. Each is shared by few who are not one person.
BLOCKING: Final = (
    "l.given = r.given and l.birth = r.birth",
    "l.family = r.family and l.birth = r.birth",
    "l.given = r.given and l.family = r.family",
    "l.phone = r.phone and l.given_sound = r.given_sound",
    "l.given_sound = r.given_sound and l.family_sound = r.family_sound and l.birth_year = r.birth_year",
    "l.place = r.place and l.birth = r.birth and l.sex = r.sex",
    "l.given_sound = r.given_sound and l.place = r.place and l.birth_month = r.birth_month and l.birth_mday = r.birth_mday",
    "l.phone = r.phone and l.birth = r.birth",
    "l.given_skeleton = r.given_skeleton and l.birth = r.birth",
    "l.given_skeleton = r.given_skeleton and l.place = r.place and l.birth_year = r.birth_year",
    "l.citizen_id = r.citizen_id",
    "l.other_id = r.other_id",
)


def blocking(model: Model) -> list[str]:
    """The rules whose columns the model compares."""
    held = {comparison.field for comparison in model.comparisons}
    return [rule for rule in BLOCKING if all(f"l.{one} " not in rule or one in held for one in person.NUMBERS)]


def train(connection: duckdb.DuckDBPyConnection, columns: Path) -> Model:
    """The model with every number estimated from the registrations."""
    numbers = connection.execute(f"select count(citizen_id) + count(other_id) from '{columns}'").fetchall()[0][0]
    connection.execute(f"create or replace table registrations as select * from '{columns}'")
    return train_model(
        read_model(person.template(with_ids=numbers > 0)),
        connection,
        ["registrations"],
        name=NAME,
        surely=_SURELY,
        passes=_PASSES,
        recall=_RECALL,
        pairs_for_u=_PAIRS_FOR_U,
        pairs_for_em=_PAIRS_FOR_EM,
    )
