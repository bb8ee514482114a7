"""Wiring of records: `python -m services.records serve | migrate`."""

from nhip.records.v1 import service_pb2

from libs.feed.follower import Subscription
from libs.feed.server import Feed
from libs.runtime.service import Assembly, Ground, main
from services.records import feeds, followers
from services.records.api import RecordsApi
from services.records.api.ground import FEED, Means


async def build(ground: Ground) -> Assembly:
    """Offers the RPCs and the feed, and follows who is one person and what they consent to."""
    means = Means(database=ground.database, clock=ground.clock, pages=ground.pages)
    return Assembly(
        apis={service_pb2.DESCRIPTOR.services_by_name["RecordsService"]: RecordsApi(means)},
        feeds=[Feed(FEED, feeds.records_snapshot)],
        subscriptions=[
            Subscription(
                "patient_index", "patient_index", followers.apply_patient_index, followers.reset_patient_index
            ),
            Subscription(
                "identity",
                "identity",
                followers.apply_identity,
                followers.reset_identity,
                followers.observe_enforcement,
            ),
        ],
    )


if __name__ == "__main__":
    raise SystemExit(main("records", build))
