"""Any table of people deduplicated, or any two linked, without labels: `nhip linkage match a.csv b.csv --out build/match`.

`reading` takes a file as it comes, `columns` says what its columns are, `folding` brings values to what is compared,
`comparing` makes the model's template of them, `matching` trains, weighs and groups, `judging` holds it against a truth.
"""
