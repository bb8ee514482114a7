"""Wiring: `python -m services.claims serve | migrate`."""

import functools

from nhip.claims.v1 import service_pb2

from libs.feed.follower import Subscription
from libs.feed.server import Feed
from libs.runtime.service import Assembly, Ground, main
from services.claims import example_tariff
from services.claims.api import ClaimsApi, snapshot
from services.claims.decisions import FEED
from services.claims.followers import Followers, keep_sweeping


async def build(ground: Ground) -> Assembly:
    """Claims on its ground."""
    await example_tariff.load(ground.database)
    followers = Followers(ground.clock)
    api = ClaimsApi(ground.database, ground.clock, ground.pages)
    return Assembly(
        apis={service_pb2.DESCRIPTOR.services_by_name["ClaimsService"]: api},
        feeds=[Feed(FEED, snapshot)],
        subscriptions=[
            Subscription("records", "records", followers.apply_records, followers.reset_records),
            Subscription("patient_index", "patient_index", followers.apply_placements, followers.reset_placements),
        ],
        background=[functools.partial(keep_sweeping, ground.database, ground.clock)],
    )


if __name__ == "__main__":
    raise SystemExit(main("claims", build))
