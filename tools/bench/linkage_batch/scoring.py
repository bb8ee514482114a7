"""Pairs held against the truth of a benchmark."""

from dataclasses import dataclass
from pathlib import Path

import duckdb


@dataclass(frozen=True, slots=True)
class Score:
    """Of the pairs of registrations that were said to be of one person."""

    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float:
        """The share of those said that is right."""
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        """The share of those of one person that was said."""
        return self.right / max(1, self.right + self.missed)

    @property
    def f1(self) -> float:
        """Their harmonic mean."""
        return 2 * self.right / max(1, 2 * self.right + self.wrong + self.missed)


def of_pairs(connection: duckdb.DuckDBPyConnection, pairs: str, truth: Path) -> Score:
    """The score of a query of pairs (`one`, `other`), each named once."""
    total = _number(connection, f"select sum(n * (n - 1) // 2) from {_sizes(truth)}")
    right, said = connection.execute(
        f"""with truth as {_truth(truth)} select count(*) filter (a.person_id = b.person_id), count(*)
        from ({pairs}) as pairs join truth as a on a.record_id = one join truth as b on b.record_id = other"""
    ).fetchall()[0]
    return Score(right, said - right, total - right)


def of_persons(connection: duckdb.DuckDBPyConnection, persons: Path, truth: Path) -> Score:
    """The score of a file of persons (record_id, person_id): of all pairs that stand in one, linked or through others."""
    both = f"select t.person_id as real, p.person_id as said from {_truth(truth)} as t join '{persons}' as p using (record_id)"

    def pairs(by: str) -> int:
        return _number(
            connection, f"select sum(n * (n - 1) // 2) from (select count(*) as n from ({both}) group by {by})"
        )

    right = pairs("real, said")
    return Score(right, pairs("said") - right, pairs("real") - right)


def _truth(truth: Path) -> str:
    return f"(select record_id, person_id from read_csv('{truth}', all_varchar=true, header=true))"


def _sizes(truth: Path) -> str:
    return f"(select count(*) as n from {_truth(truth)} group by person_id)"


def _number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(connection.execute(query).fetchall()[0][0] or 0)
