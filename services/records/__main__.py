"""Wiring of records: `python -m services.records serve | migrate`."""

from functools import partial

from nhip.records.v1 import decisions_pb2, exports_pb2, person_pb2, service_pb2, subscriptions_pb2, terminology_pb2

from libs.feed.follower import Subscription
from libs.feed.server import Feed
from libs.runtime.service import Assembly, Ground, main
from libs.runtime.settings import Settings, SettingsError
from services.records import feeds, followers
from services.records.api import RecordsApi
from services.records.api.checking import DecisionApi
from services.records.api.exporting import ExportRecordsApi
from services.records.api.ground import FEED, Means
from services.records.api.person import PersonRecordsApi
from services.records.api.subscriptions import SubscriptionApi
from services.records.api.terminology import TerminologyApi
from services.records.matching import keep_matching
from services.records.model import Policy
from services.records.reindexing import keep_indexed

# Names of NHIP_FHIR_POLICY → what they switch on.
_POLICIES = {
    "updates-create": "updates_create",
    "deletes-many": "deletes_many",
    "enforces-profiles": "enforces_profiles",
}


def policy_of(settings: Settings) -> Policy:
    """What the deployment allows. Raises SettingsError for a name that is none."""
    for name in sorted(settings.fhir_policy - _POLICIES.keys()):
        raise SettingsError(f"NHIP_FHIR_POLICY knows {', '.join(_POLICIES)}, not {name}")
    return Policy(**{_POLICIES[name]: True for name in settings.fhir_policy})


async def build(ground: Ground) -> Assembly:
    """Offers the RPCs and the feed, and follows who is one person and what they consent to."""
    means = Means(database=ground.database, clock=ground.clock, pages=ground.pages, policy=policy_of(ground.settings))
    return Assembly(
        apis={
            service_pb2.DESCRIPTOR.services_by_name["RecordsService"]: RecordsApi(means),
            person_pb2.DESCRIPTOR.services_by_name["PersonRecordsService"]: PersonRecordsApi(means),
            terminology_pb2.DESCRIPTOR.services_by_name["TerminologyService"]: TerminologyApi(means),
            decisions_pb2.DESCRIPTOR.services_by_name["DecisionService"]: DecisionApi(means),
            exports_pb2.DESCRIPTOR.services_by_name["ExportRecordsService"]: ExportRecordsApi(means),
            subscriptions_pb2.DESCRIPTOR.services_by_name["SubscriptionService"]: SubscriptionApi(means),
        },
        background=[
            partial(keep_indexed, ground.database),
            partial(keep_matching, ground.database, ground.clock),
        ],
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
