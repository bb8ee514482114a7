"""What the index tells Prometheus: how well it joins, and how much waits for reviewers. Counts alone, nobody's data."""

import asyncio
import logging

import asyncpg
from prometheus_client import Gauge

from libs.clock import Clock
from libs.database.engine import Database
from services.patient_index.rules.measuring import Proportion, qualities
from services.patient_index.store.reviews import count_reviews
from services.patient_index.store.samples import read_judged

REFRESH_SECONDS = 60.0
# Dimensions and strata are those of rules.measuring: some thirty pairs in all.
_LABELS = ["dimension", "stratum", "bound"]
PRECISION = Gauge("nhip_linkage_precision", "Of linked pairs, the share that is one person, by blind review.", _LABELS)
RECALL = Gauge(
    "nhip_linkage_recall", "Of pairs that are one person, the share that is linked, by blind review.", _LABELS
)
JUDGED = Gauge(
    "nhip_linkage_judged_pairs", "Pairs that blind reviewers settled: linked, or one person.", ["dimension", "stratum"]
)
REVIEWS = Gauge("nhip_reviews_open", "Pairs that wait for a decision, by whether somebody works on them.", ["state"])
OLDEST_REVIEW = Gauge("nhip_review_oldest_seconds", "Age of the oldest pair that waits for a decision.")

log = logging.getLogger(__name__)


async def refresh(database: Database, clock: Clock) -> None:
    """Reads the figures once."""
    async with database.reading() as reader:
        judged = await read_judged(reader)
        waiting, assigned, oldest = await count_reviews(reader, clock())
    REVIEWS.labels("waiting").set(waiting)
    REVIEWS.labels("assigned").set(assigned)
    OLDEST_REVIEW.set(oldest)
    for one in qualities(judged):
        place = one.dimension, one.stratum
        _set(PRECISION, place, one.precision)
        _set(RECALL, place, one.recall)
        # Of the pairs that are linked, and those that should be.
        JUDGED.labels(*place).set(one.precision.total + one.recall.total - one.recall.counted)


async def keep_refreshed(database: Database, clock: Clock) -> None:
    """Reads the figures now and then, until cancelled."""
    while True:
        try:
            await refresh(database, clock)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            log.exception("the figures of the index could not be read; they are read again")
        await asyncio.sleep(REFRESH_SECONDS)


def _set(gauge: Gauge, place: tuple[str, str], proportion: Proportion) -> None:
    if not proportion.total:
        # Nothing is known; a gauge of 0 would say that all is wrong.
        return
    low, high = proportion.interval
    for bound, value in (("share", proportion.share), ("low", low), ("high", high)):
        gauge.labels(*place, bound).set(value)
