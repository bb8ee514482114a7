"""Wiring: `python -m services.surveillance serve | migrate`."""

from nhip.surveillance.v1 import service_pb2

from libs.feed.follower import Subscription
from libs.feed.server import Feed
from libs.runtime.service import Assembly, Ground, main
from services.surveillance.api import SurveillanceApi, snapshot
from services.surveillance.diseases import packaged
from services.surveillance.followers import FEED, Followers


async def build(ground: Ground) -> Assembly:
    """Surveillance on its ground."""
    catalogue = packaged()
    followers = Followers(catalogue, ground.clock)
    api = SurveillanceApi(ground.database, catalogue, ground.clock, ground.pages)
    return Assembly(
        apis={service_pb2.DESCRIPTOR.services_by_name["SurveillanceService"]: api},
        feeds=[Feed(FEED, snapshot)],
        subscriptions=[
            Subscription("records", "records", followers.apply_records, followers.reset_records),
            Subscription("patient_index", "patient_index", followers.apply_placements, followers.reset_placements),
        ],
    )


if __name__ == "__main__":
    raise SystemExit(main("surveillance", build))
