"""Whole files deduplicated or linked on one machine, by Splink's model on DuckDB.

    nhip linkage batch registrations.csv --out build/job

`folding` and `columns` derive what is compared, `model` trains without labels, `scoring` writes the SQL that weighs,
`deciding` joins, `job` does all of it in stages that can be taken up again.
"""
