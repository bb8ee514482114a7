"""The numbers of a model estimated from the records themselves, without labels, by Splink's EM."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

import duckdb
from splink import Linker, SettingsCreator, block_on
from splink.backends.duckdb import DuckDBAPI

from libs.linkage import splink as as_splink
from libs.linkage.model import Model

_PAIRS_FOR_U: Final = 1_000_000
_PAIRS_FOR_EM: Final = 1_000_000
_SEED: Final = 20


def train(
    model: Model,
    connection: duckdb.DuckDBPyConnection,
    tables: Sequence[str],
    *,
    name: str,
    surely: Sequence[Sequence[str]],
    passes: Sequence[Sequence[str]],
    recall: float,
    pairs_for_u: int = _PAIRS_FOR_U,
    pairs_for_em: int = _PAIRS_FOR_EM,
) -> Model:
    """The model with prior, m and u estimated from one table that is to be deduplicated, or two to be linked.

    The prior is counted: pairs that agree in one of the sets of columns `surely` are taken to be one, and to be `recall`
    of all that are. u comes from random pairs, m from EM over the pairs that agree in each set of `passes`; at least two
    sets that share no comparison, so that each is learnt from pairs that were not chosen by it.
    """
    link_type = "dedupe_only" if len(tables) == 1 else "link_only"
    api = DuckDBAPI(connection)
    registered: list[Any] = [api.register(table) for table in tables]
    linker = Linker(
        registered if len(tables) > 1 else registered[0],
        SettingsCreator.from_path_or_dict(as_splink.settings(model, ["1 = 1"], link_type)),
        log_level=None,
    )
    linker.training.estimate_probability_two_random_records_match([block_on(*one) for one in surely], recall=recall)
    linker.training.estimate_u_using_random_sampling(max_pairs=pairs_for_u, seed=_SEED)
    for columns in passes:
        linker.training.estimate_parameters_using_expectation_maximisation(block_on(*columns), max_pairs=pairs_for_em)
    records = [connection.execute(f"select count(*) from {table}").fetchall()[0][0] for table in tables]
    provenance = {
        "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": f"splink {version('splink')}",
        "began_as": model.name,
        "records": records,
        "surely": [list(one) for one in surely],
        "recall_of_surely": recall,
        "passes": [list(one) for one in passes],
        "seed": _SEED,
    }
    return as_splink.trained(model, linker.misc.save_model_to_json(), name, provenance)
