"""Splink and recordlinkage on FEBRL, each as its documentation advises, on the pairs that ours compares."""

from typing import Any

import duckdb
import recordlinkage
from splink import Linker, SettingsCreator, block_on
from splink import comparison_library as library
from splink.backends.duckdb import DuckDBAPI
from splink.blocking_rule_library import CustomRule

from libs.linkage.assigning import Pair, one_to_one
from tools.bench.linkage import ours
from tools.bench.linkage.data import BLOCKING, COLUMNS, CROSSED, ID, Set


def by_splink(told: Set, *, with_id: bool) -> list[Pair]:
    """Splink's own comparisons, term frequencies and EM over the same passes; one to one where two files are linked."""
    comparisons: list[Any] = [
        library.NameComparison("given_name").configure(term_frequency_adjustments=True),
        library.NameComparison("surname").configure(term_frequency_adjustments=True),
        library.LevenshteinAtThresholds("street_number", 1),
        library.JaroWinklerAtThresholds("address_1", [0.9, 0.7]),
        library.JaroWinklerAtThresholds("address_2", [0.9, 0.7]),
        library.JaroWinklerAtThresholds("suburb", [0.9, 0.7]).configure(term_frequency_adjustments=True),
        library.DamerauLevenshteinAtThresholds("postcode", [1, 2]),
        library.DamerauLevenshteinAtThresholds("state", 1),
        library.DamerauLevenshteinAtThresholds("date_of_birth", [1, 2]),
    ]
    if with_id:
        comparisons.append(library.DamerauLevenshteinAtThresholds(ID, [1, 2]))
    settings = SettingsCreator(
        link_type="link_only" if told.is_link else "dedupe_only",
        comparisons=comparisons,
        blocking_rules_to_generate_predictions=[CustomRule(rule) for rule in ours.blocking(with_id=with_id)],
    )
    with duckdb.connect() as connection:
        api = DuckDBAPI(connection)
        registered: list[Any] = [api.register(table) for table in told.load(connection)]
        linker = Linker(registered if told.is_link else registered[0], settings, log_level=None)
        linker.training.estimate_probability_two_random_records_match(
            [block_on(*columns) for columns in ours.SURELY], recall=ours.RECALL_OF_SURELY
        )
        linker.training.estimate_u_using_random_sampling(max_pairs=1_000_000, seed=20)
        for columns in ours.PASSES:
            linker.training.estimate_parameters_using_expectation_maximisation(block_on(*columns))
        pairs = ours.pairs_of(connection, linker)
    return one_to_one(pairs) if told.is_link else pairs


def by_recordlinkage(told: Set, *, with_id: bool) -> dict[str, list[Pair]]:
    """The package's string comparisons: by the sum of similarities, and by its EM classifier."""
    index = recordlinkage.Index()
    for column in BLOCKING:
        if with_id or column != ID:
            index.block(column)
    for one, other in CROSSED:
        index.block(left_on=one, right_on=other)
    compare = recordlinkage.Compare()
    for column in COLUMNS:
        if column in ("given_name", "surname", "address_1", "address_2", "suburb"):
            compare.string(column, column, method="jarowinkler", label=column)
        elif with_id or column != ID:
            compare.string(column, column, method="damerau_levenshtein", label=column)
    frames = [frame.fillna("") for frame in told.frames]
    alike = compare.compute(index.index(*told.frames), *frames)
    summed = _pairs(alike.index, alike.sum(axis=1))
    classifier = recordlinkage.ECMClassifier(binarize=0.85)
    classifier.fit(alike)
    learnt = _pairs(alike.index, classifier.prob(alike))
    found = {"recordlinkage, summed": summed, "recordlinkage, ECM": learnt}
    return {name: one_to_one(pairs) if told.is_link else pairs for name, pairs in found.items()}


def _pairs(index: Any, weights: Any) -> list[Pair]:
    return [(float(weight), one, other) for (one, other), weight in zip(index, weights, strict=True)]
